import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '#platform';
import { type ReminderKind, REMINDERS, RENEWING_STATES } from './reminder.rules.js';
import { type SubscriptionSource } from './subscription.js';
import { GRANTING_STATES } from './subscription.rules.js';

/** A reminder that was just noted down as sent, with what its letter says. */
export interface NotedReminder {
  readonly subscriptionId: number;
  readonly kind: ReminderKind;
  readonly endsAt: Date;
  readonly email: string;
  readonly locale: string;
  readonly tariff: string;
  readonly source: SubscriptionSource;
}

const HOURS = 24;
const OPENS = REMINDERS.map(({ fromDays }) => (fromDays === null ? null : fromDays * HOURS));
const CLOSES = REMINDERS.map(({ untilDays }) => untilDays * HOURS);
/** How far before an end its first reminder is due, in hours; a failed payment is found by its state instead. */
const EARLIEST = Math.min(...OPENS.filter((hours) => hours !== null));

/**
 * `dueReminder` of `reminder.rules.ts`, in SQL. The first conditions on `access_until` only name the part of its index that any window
 * can reach; what waits for a payment has an index of its own. Intervals are in hours, because a day of a session's time zone need not
 * have 24. Somebody who was told that their payment failed is not told again within three days if the store moves the end, and
 * whoever was told that access stopped is not told that it has ended.
 */
const NOTE = `
  WITH due AS MATERIALIZED (
    SELECT s.id, r.kind, s.access_until, u.email, u.locale, t.name AS tariff, s.source
    FROM user_tariffs s
    JOIN unnest($2::text[], $3::int[], $4::int[], $10::text[]) AS r (kind, opens, closes, states)
      ON s.state = ANY(string_to_array(r.states, ','))
      AND (r.opens IS NULL OR s.access_until + make_interval(hours => r.opens) <= $1)
      AND $1 < s.access_until + make_interval(hours => r.closes)
    JOIN users u ON u.id = s.user_id
    JOIN tariffs t ON t.id = s.tariff_id
    WHERE s.access_until > $1::timestamptz - make_interval(hours => $5)
      AND (s.access_until <= $1::timestamptz - make_interval(hours => $6) OR s.state IN ('grace', 'retry'))
      AND (r.opens IS NULL OR s.started_at < s.access_until + make_interval(hours => r.opens))
      AND (s.state <> 'expired' OR s.access_until <= $1)
      AND NOT (s.auto_renewing AND s.state = ANY($8))
      AND u.status = 'active'
      AND NOT EXISTS (
        SELECT FROM subscription_reminders had
        WHERE had.subscription_id = s.id
          AND ((had.kind = r.kind AND had.ends_at = s.access_until)
            OR (r.kind = 'ended' AND had.kind = 'payment_stopped' AND had.ends_at = s.access_until)
            OR (r.kind = 'payment_failed' AND had.kind = r.kind AND had.created_at > $1::timestamptz - interval '72 hours')))
      AND NOT EXISTS (
        SELECT FROM user_tariffs o
        WHERE o.user_id = s.user_id AND o.id <> s.id AND o.state = ANY($7)
          AND o.started_at <= greatest(s.access_until, $1)
          AND (o.access_until IS NULL OR (o.access_until, o.id) > (s.access_until, s.id)
            OR (o.auto_renewing AND o.state = ANY($8) AND o.access_until > $1)))
    ORDER BY s.access_until, s.id
    LIMIT $9
    FOR NO KEY UPDATE OF s SKIP LOCKED
  ), noted AS (
    INSERT INTO subscription_reminders (subscription_id, kind, ends_at, created_at)
    SELECT id, kind, access_until, $1 FROM due
    ON CONFLICT DO NOTHING
    RETURNING subscription_id
  )
  SELECT due.id AS "subscriptionId", due.kind, due.access_until AS "endsAt", due.email, due.locale, due.tariff, due.source
  FROM due JOIN noted ON noted.subscription_id = due.id
  ORDER BY due.id`;

@Injectable()
export class RemindersRepository {
  constructor(private readonly uow: UnitOfWork) {}

  /** Notes down reminders that are due as sent, up to a number of them, for the caller to send in the same transaction. */
  note(limit: number, at: Date): Promise<readonly NotedReminder[]> {
    this.uow.assertOpen();
    return this.uow.manager.query<NotedReminder[]>(NOTE, [
      at,
      REMINDERS.map(({ kind }) => kind),
      OPENS,
      CLOSES,
      Math.max(...CLOSES),
      EARLIEST,
      GRANTING_STATES,
      RENEWING_STATES,
      limit,
      REMINDERS.map(({ states }) => states.join(',')),
    ]);
  }
}
