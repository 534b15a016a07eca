import { type Revenue } from '#payments';
import { GivenQueryInstant } from '../http/given.decorator.js';
import { ShownInteger, ShownMoney, ShownText } from '../http/shown.decorator.js';
import { LEDGER_DIGITS } from '../payments/payment.dto.js';

/** `?from=&to=` */
export class RevenueQuery {
  @GivenQueryInstant({ optional: true, description: 'From then on; the beginning by default' })
  from?: Date;

  @GivenQueryInstant({ optional: true, description: 'Before then; no end by default', example: '2026-12-01T00:00:00Z' })
  to?: Date;
}

export class RevenueOut {
  @ShownText({ example: 'USD' })
  currency: string;

  @ShownMoney({ digits: LEDGER_DIGITS, description: 'What came in, also where it went back later' })
  completed: string;

  @ShownMoney({ digits: LEDGER_DIGITS, description: 'What went back, also of what came in earlier' })
  refunded: string;

  @ShownText({ example: '9.99', description: 'What came in, less what went back; below zero where more went back' })
  net: string;

  @ShownInteger({ minimum: 0, example: 1, description: 'How many payments came in, not counting what cost nothing' })
  count: number;

  static from({ currency, completed, refunded, net, count }: Revenue): RevenueOut {
    return { currency, completed, refunded, net, count };
  }
}
