import { Injectable } from '@nestjs/common';
import { type Money, storedMoney } from '#kernel';
import { PreparedQueries } from '#platform';

/** What came in and what went back in a span of time, in one currency. */
export interface Revenue {
  /** ISO 4217. */
  readonly currency: string;
  /** All that came in, also what went back later. */
  readonly completed: Money;
  /** All that went back, also of what came in earlier. */
  readonly refunded: Money;
  /** What came in, less what went back; below zero where more went back. */
  readonly net: Money;
  /** How many payments came in, not counting what cost nothing. */
  readonly count: number;
}

/**
 * Money counts on the day on which it moved: a refund belongs to its own month and does not change the one of its payment. What
 * comes from a sandbox is no money.
 */
const BY_CURRENCY = {
  name: 'revenue_by_currency',
  text: `
    SELECT currency, sum(came) AS completed, sum(went) AS refunded, sum(came) - sum(went) AS net,
      count(*) FILTER (WHERE came > 0)::int AS count
    FROM (
      SELECT currency, amount AS came, 0 AS went FROM payments
      WHERE created_at >= coalesce($1, '-infinity'::timestamptz) AND created_at < coalesce($2, 'infinity'::timestamptz)
        AND status IN ('completed', 'refunded') AND NOT is_test AND amount > 0
      UNION ALL
      SELECT currency, 0, refunded_amount FROM payments
      WHERE refunded_at >= coalesce($1, '-infinity'::timestamptz) AND refunded_at < coalesce($2, 'infinity'::timestamptz)
        AND NOT is_test AND refunded_amount > 0
    ) AS moved
    GROUP BY currency ORDER BY currency`,
};

interface Row {
  currency: string;
  completed: string;
  refunded: string;
  net: string;
  count: number;
}

@Injectable()
export class RevenueRepository {
  constructor(private readonly queries: PreparedQueries) {}

  /** By currency, from an instant to before another; null = without that limit. */
  async between(from: Date | null, to: Date | null): Promise<readonly Revenue[]> {
    const rows = await this.queries.rows<Row>(BY_CURRENCY, [from, to]);
    return rows.map(({ currency, completed, refunded, net, count }) => ({
      currency,
      completed: storedMoney(completed),
      refunded: storedMoney(refunded),
      net: storedMoney(net),
      count,
    }));
  }
}
