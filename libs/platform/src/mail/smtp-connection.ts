import { Injectable } from '@nestjs/common';
import { createTransport, type NodemailerError } from 'nodemailer';
import { isError } from '#kernel';
import { Settings } from '../config/settings.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { type OutboxDelivery, type OutboxOutcome } from '../outbox/outbox.service.js';
import { htmlOf } from './letters.js';

/** Milliseconds: to be connected and greeted, without a byte in between, and for everything together. */
const CONNECT_MS = 10_000;
const SILENCE_MS = 10_000;
const WHOLE_MS = 30_000;

/**
 * An address that means one mailbox, whoever reads it: no quoting, comments or routes, in which parsers differ and second
 * recipients hide, and a domain with a dot.
 */
const PLAIN_ADDRESS =
  /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9\u0080-\uffff-]+(\.[A-Za-z0-9\u0080-\uffff-]+)+$/;

/** The mail server of the settings. The only file that knows its protocol. */
@Injectable()
export class SmtpConnection {
  private readonly mail: Settings['mail'];
  private readonly transport: ReturnType<typeof openTransport> | undefined;

  constructor(
    settings: Settings,
    private readonly uow: UnitOfWork,
  ) {
    this.mail = settings.mail;
    this.transport = this.mail && openTransport(this.mail);
  }

  /**
   * Hands one mail over. A repetition has the same `Message-ID` and date, so that a mailbox, or its reader, sees that it is one.
   * Answers are told by code only: what servers say repeats addresses, and now and then what they were sent.
   */
  async send({ id, createdAt, payload }: OutboxDelivery<'mail'>): Promise<OutboxOutcome> {
    this.uow.assertClosed();
    if (this.mail === undefined || this.transport === undefined) return { failed: 'mail_is_off' };
    const { to, subject, text, language } = payload;
    if (!PLAIN_ADDRESS.test(to)) return { refused: 'unusable_address' };
    const { from } = this.mail;
    try {
      await this.transport.sendMail({
        from: { name: from.name, address: from.address },
        to: { name: '', address: to },
        envelope: { from: from.address, to },
        subject,
        text,
        html: htmlOf(text, language),
        messageId: `<outbox.${id}.${createdAt.getTime()}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
        date: createdAt,
        headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': language },
        disableFileAccess: true,
        disableUrlAccess: true,
        signal: AbortSignal.timeout(WHOLE_MS),
      });
      return 'done';
    } catch (error) {
      return outcomeOf(error);
    }
  }
}

function openTransport({ server }: NonNullable<Settings['mail']>) {
  const { host, port, isImplicitTls, login } = server;
  return createTransport({
    host,
    port,
    secure: isImplicitTls,
    // Without it, whoever sits in between strikes STARTTLS from the greeting and reads the password.
    requireTLS: login !== undefined && !isImplicitTls && !isLoopback(host),
    ...(login === undefined ? {} : { auth: { user: login.name, pass: login.password } }),
    connectionTimeout: CONNECT_MS,
    dnsTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * RFC 5321 4.2.1: 5yz is for good, the rest may be tried again. Only what is said of the recipient or of the mail counts for good;
 * a refused password or sender is ours to mend, and the mails shall be sent then.
 */
function outcomeOf(thrown: unknown): OutboxOutcome {
  if (!isError(thrown)) return { failed: 'smtp' };
  const { code, responseCode, command, permanent }: NodemailerError = thrown;
  const answer = responseCode === undefined ? (code ?? 'fault') : `${command ?? ''} ${responseCode}`.trim();
  const error = `smtp: ${answer}`;
  return permanent === true && (command === 'RCPT TO' || command === 'DATA') ? { refused: error } : { failed: error };
}
