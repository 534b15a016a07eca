import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '#platform';
import { type ReminderKind, REMINDERS, RENEWING_STATES } from './reminder.rules.js';
import { GRANTING_STATES } from './subscription.rules.js';

/** A reminder that was just noted down as sent, with what its letter says. */
export interface NotedReminder {
  readonly subscriptionId: number;
  readonly kind: ReminderKind;
  readonly endsAt: Date;
  readonly email: string;
  readonly locale: string;
  readonly tariff: string;
}

const HOURS = 24;
const OPENS = REMINDERS.map(({ fromDays }) => fromDays * HOURS);
const CLOSES = REMINDERS.map(({ untilDays }) => untilDays * HOURS);

/**
 * `dueReminder` of `reminder.rules.ts`, in SQL. The first two conditions on `access_until` only name the part of its index that any
 * window can reach. Intervals are in hours, because a day of a session's time zone need not have 24.
 */
const NOTE = `
  WITH due AS MATERIALIZED (
    SELECT s.id, r.kind, s.access_until, u.email, u.locale, t.name AS tariff
    FROM user_tariffs s
    JOIN unnest($2::text[], $3::int[], $4::int[]) AS r (kind, opens, closes)
      ON s.access_until + make_interval(hours => r.opens) <= $1 AND $1 < s.access_until + make_interval(hours => r.closes)
    JOIN users u ON u.id = s.user_id
    JOIN tariffs t ON t.id = s.tariff_id
    WHERE s.access_until > $1::timestamptz - make_interval(hours => $5)
      AND s.access_until <= $1::timestamptz - make_interval(hours => $6)
      AND s.started_at < s.access_until + make_interval(hours => r.opens)
      AND (s.state = ANY($7) OR (s.state = 'expired' AND s.access_until <= $1))
      AND NOT (s.auto_renewing AND s.state = ANY($8))
      AND u.status = 'active'
      AND NOT EXISTS (
        SELECT FROM subscription_reminders had
        WHERE had.subscription_id = s.id AND had.kind = r.kind AND had.ends_at = s.access_until)
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
  SELECT due.id AS "subscriptionId", due.kind, due.access_until AS "endsAt", due.email, due.locale, due.tariff
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
      Math.min(...OPENS),
      GRANTING_STATES,
      RENEWING_STATES,
      limit,
    ]);
  }
}
