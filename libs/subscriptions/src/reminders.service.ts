import { Injectable } from '@nestjs/common';
import { Clock } from '#kernel';
import { type AddressedLetter, Mail, UnitOfWork } from '#platform';
import { type NotedReminder, RemindersRepository } from './reminders.repository.js';

const BATCH = 500;

/** Tells people, in time, that their access ends and does not renew by itself, or that their store could not charge them. */
@Injectable()
export class Reminders {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly repository: RemindersRepository,
    private readonly mail: Mail,
    private readonly clock: Clock,
  ) {}

  /**
   * Sends every reminder that is due, each once: that it was sent and the mail itself are one transaction. Answers how many that
   * were. While mail is off nobody is reminded, nor noted down as if they had been.
   */
  async remind(): Promise<number> {
    if (!this.mail.isOn) return 0;
    for (let total = 0; ;) {
      const sent = await this.uow.run(async () => {
        const noted = await this.repository.note(BATCH, this.clock.now());
        await this.mail.put(...noted.map(letterOf));
        return noted.length;
      });
      total += sent;
      if (sent < BATCH) return total;
    }
  }
}

function letterOf({ kind, endsAt, email, locale, tariff, source }: NotedReminder): AddressedLetter {
  const store = source === 'google' ? 'Google Play' : 'App Store';
  switch (kind) {
    case 'three_days':
    case 'one_day':
      return { to: email, locale, letter: { kind: 'access_ends', params: { tariff, endsAt } } };
    case 'ended':
      return { to: email, locale, letter: { kind: 'access_ended', params: { tariff, endedAt: endsAt } } };
    case 'payment_failed':
      return { to: email, locale, letter: { kind: 'payment_failed', params: { tariff, store, endsAt } } };
    case 'payment_stopped':
      return { to: email, locale, letter: { kind: 'payment_stopped', params: { tariff, store, stoppedAt: endsAt } } };
  }
}
