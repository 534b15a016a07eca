import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Payments } from '#payments';
import { Operation } from '../http/operation.decorator.js';
import { RevenueOut, RevenueQuery } from './admin-payments.dto.js';

@ApiTags('admin')
@Controller('admin/payments')
export class AdminPaymentsController {
  constructor(private readonly payments: Payments) {}

  @Get('summary')
  @Operation({
    access: 'admin',
    summary: 'What came in and what went back, by currency',
    description: 'Money counts on the day on which it moved. Purchases in a sandbox are no money.',
    answer: [RevenueOut],
    errors: ['validation_error'],
  })
  async getRevenue(@Query() { from, to }: RevenueQuery): Promise<RevenueOut[]> {
    return (await this.payments.revenue(from ?? null, to ?? null)).map((revenue) => RevenueOut.from(revenue));
  }
}
