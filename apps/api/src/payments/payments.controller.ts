import { Body, Controller, Delete, Get, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { type Principal } from '#auth';
import { Payments } from '#payments';
import { Caller } from '../http/access.guard.js';
import { DELETED, DeletedOut } from '../http/deleted.dto.js';
import { PathId } from '../http/given.decorator.js';
import { answerListing, OwnedListQuery, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { PaymentChangeIn, PaymentIn, PaymentOut } from './payment.dto.js';

@ApiTags('payments')
@Controller('payments')
export class PaymentsController {
  constructor(private readonly payments: Payments) {}

  @Post()
  @Operation({
    access: 'user',
    summary: 'Write a payment down',
    description: 'Always pending, unless an administrator says otherwise.',
    answer: PaymentOut,
    creates: true,
    errors: [
      'not_allowed',
      'user_not_found',
      'tariff_not_found',
      'payment_already_recorded',
      'payment_status_not_allowed',
      'validation_error',
    ],
  })
  async createPayment(@Caller() caller: Principal, @Body() body: PaymentIn): Promise<PaymentOut> {
    const userId = body.user_id ?? caller.user.id;
    return PaymentOut.from(await this.payments.create(caller, userId, PaymentIn.toDraft(body)));
  }

  @Get()
  @Operation({
    access: 'user',
    summary: "One's own payments; an administrator sees everybody's",
    answer: [PaymentOut],
    paged: true,
    errors: ['not_allowed', 'validation_error'],
  })
  async listPayments(
    @Caller() caller: Principal,
    @Query() query: OwnedListQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PaymentOut[]> {
    const listing = await this.payments.list(caller, query.user_id ?? undefined, pageOf(query));
    return answerListing(reply, listing, (payment) => PaymentOut.from(payment));
  }

  @Get(':id')
  @Operation({
    access: 'user',
    summary: 'One payment',
    answer: PaymentOut,
    errors: ['payment_not_found', 'not_allowed', 'validation_error'],
  })
  async getPayment(@Caller() caller: Principal, @PathId() id: number): Promise<PaymentOut> {
    return PaymentOut.from(await this.payments.get(caller, id));
  }

  @Put(':id')
  @Operation({
    access: 'user',
    summary: 'Correct a pending payment that was made by hand',
    description:
      'Only an administrator moves the status. Completing a payment with a tariff starts it, exactly once. A completed one may ' +
      'still become `refunded`, with no other field: the time that it bought is cut off.',
    answer: PaymentOut,
    errors: [
      'payment_not_found',
      'not_allowed',
      'payment_not_editable',
      'payment_status_not_allowed',
      'validation_error',
    ],
  })
  async updatePayment(
    @Caller() caller: Principal,
    @PathId() id: number,
    @Body() body: PaymentChangeIn,
  ): Promise<PaymentOut> {
    return PaymentOut.from(await this.payments.correct(caller, id, PaymentChangeIn.toCorrection(body)));
  }

  @Delete(':id')
  @Operation({
    access: 'user',
    summary: 'Delete a pending payment that was made by hand',
    answer: DeletedOut,
    errors: ['payment_not_found', 'not_allowed', 'payment_not_editable', 'validation_error'],
  })
  async deletePayment(@Caller() caller: Principal, @PathId() id: number): Promise<DeletedOut> {
    await this.payments.delete(caller, id);
    return DELETED;
  }
}
