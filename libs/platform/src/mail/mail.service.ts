import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { type Logger } from 'pino';
import { Settings } from '../config/settings.js';
import { Outbox } from '../outbox/outbox.service.js';
import { LOG } from '../telemetry/log.js';
import { type Letter } from './letter.js';
import { letterText, localeOf } from './letters.js';
import { SmtpConnection } from './smtp-connection.js';

/** A letter and whom it is for. */
export interface AddressedLetter {
  readonly to: string;
  /** The language of the reader, as his row says it. */
  readonly locale: string;
  readonly letter: Letter;
}

/** Writes to people. What is put here is sent if, and only if, the current transaction is committed. */
@Injectable()
export class Mail implements OnModuleInit {
  /** Whether there is a mail server. Without one nothing is written, and nothing is sent later. */
  readonly isOn: boolean;

  constructor(
    { mail }: Settings,
    private readonly outbox: Outbox,
    private readonly smtp: SmtpConnection,
    @Inject(LOG) private readonly log: Logger,
  ) {
    this.isOn = mail !== undefined;
  }

  onModuleInit(): void {
    if (this.isOn) this.outbox.handle('mail', (delivery) => this.smtp.send(delivery));
    else this.log.info('mail is off: SMTP_URL and MAIL_FROM are not set');
  }

  async put(...letters: readonly AddressedLetter[]): Promise<void> {
    if (!this.isOn) return;
    await this.outbox.put(
      ...letters.map(({ to, locale, letter }) => {
        const language = localeOf(locale);
        const { subject, paragraphs } = letterText(letter, language);
        return { kind: 'mail' as const, payload: { to, subject, text: paragraphs.join('\n\n'), language } };
      }),
    );
  }
}
