import { Body, Controller, Get, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { actorOf, type Principal } from '#auth';
import { Support } from '#iap';
import { Caller } from '../http/access.guard.js';
import { PathId } from '../http/given.decorator.js';
import { answerListing, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { PurchaseListQuery, PurchaseOut, StoreEventListQuery, StoreEventOut, TransferIn } from './admin-iap.dto.js';

@ApiTags('admin')
@Controller('admin/iap')
export class AdminIapController {
  constructor(private readonly support: Support) {}

  @Get('purchases')
  @Operation({
    access: 'admin',
    summary: 'Purchases in the stores, newest first',
    answer: [PurchaseOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listPurchases(
    @Query() query: PurchaseListQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PurchaseOut[]> {
    const filter = { userId: query.user_id, unclaimed: query.only === 'unclaimed' };
    return answerListing(reply, await this.support.listPurchases(filter, pageOf(query)), (purchase) =>
      PurchaseOut.from(purchase),
    );
  }

  @Post('purchases/:id/transfer')
  @Operation({
    access: 'admin',
    summary: 'Give a purchase to another account',
    description: 'With the access it grants: the former owner loses it at once.',
    answer: PurchaseOut,
    errors: ['purchase_not_found', 'user_not_found', 'sandbox_not_allowed', 'validation_error'],
  })
  async transferPurchase(
    @Caller() caller: Principal,
    @PathId() id: number,
    @Body() body: TransferIn,
  ): Promise<PurchaseOut> {
    return PurchaseOut.from(await this.support.transfer(actorOf(caller), id, body.user_id, body.reason));
  }

  @Post('purchases/:id/reconcile')
  @Operation({
    access: 'admin',
    summary: 'Ask the store about a purchase now',
    answer: PurchaseOut,
    errors: ['purchase_not_found', 'store_unavailable', 'store_not_configured', 'validation_error'],
  })
  async reconcilePurchase(@PathId() id: number): Promise<PurchaseOut> {
    return PurchaseOut.from(await this.support.reconcile(id));
  }

  @Post('purchases/:id/refund')
  @Operation({
    access: 'admin',
    summary: "Give the money of Play's latest order back, and end the access",
    description: 'Apple refunds by itself alone: the customer asks at reportaproblem.apple.com.',
    answer: PurchaseOut,
    errors: [
      'purchase_not_found',
      'refund_not_possible',
      'store_unavailable',
      'store_not_configured',
      'validation_error',
    ],
  })
  async refundPurchase(@Caller() caller: Principal, @PathId() id: number): Promise<PurchaseOut> {
    return PurchaseOut.from(await this.support.refund(actorOf(caller), id));
  }

  @Get('events')
  @Operation({
    access: 'admin',
    summary: 'What the stores told, newest first',
    answer: [StoreEventOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listStoreEvents(
    @Query() query: StoreEventListQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StoreEventOut[]> {
    const filter = { status: query.status, purchaseId: query.purchase_id };
    return answerListing(reply, await this.support.listEvents(filter, pageOf(query)), (event) =>
      StoreEventOut.from(event),
    );
  }

  @Post('events/:id/replay')
  @Operation({
    access: 'admin',
    summary: 'Have an event dealt with once more',
    answer: StoreEventOut,
    errors: ['store_event_not_found', 'validation_error'],
  })
  async replayStoreEvent(@Caller() caller: Principal, @PathId() id: number): Promise<StoreEventOut> {
    return StoreEventOut.from(await this.support.replay(actorOf(caller), id));
  }
}
