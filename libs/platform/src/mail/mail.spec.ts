import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { DataSource } from 'typeorm';
import { type OpenRooms, openInstance, openRooms } from '../../../../test/support/rooms.js';
import { type ReceivedMail, SmtpSink } from '../../../../test/support/smtp-sink.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { until } from '../../../../test/support/until.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { Outbox } from '../outbox/outbox.service.js';
import { Mail } from './mail.service.js';

const PASSWORD = 'p@ss:w/rd';
const LOGIN = { name: 'vpn@example.com', password: PASSWORD };
const FROM = 'Example VPN <no-reply@vpn.example.com>';

let sink: SmtpSink;
let proxy: TcpProxy;
let open: OpenRooms;
const logLines: string[] = [];

beforeAll(async () => {
  sink = await SmtpSink.start({ login: LOGIN });
  proxy = await TcpProxy.to('127.0.0.1', sink.port);
  open = await openRooms([], environment(proxy.port), [], logLines);
});
beforeEach(async () => {
  await open.rooms.get(DataSource).query('TRUNCATE outbox');
  sink.mails.length = 0;
  logLines.length = 0;
});
afterAll(async () => {
  await open.close();
  proxy.close();
  await sink.stop();
});

function environment(port: number, password = PASSWORD, protocol = 'smtp', host = '127.0.0.1'): Record<string, string> {
  const login = `${encodeURIComponent(LOGIN.name)}:${encodeURIComponent(password)}`;
  return { SMTP_URL: `${protocol}://${login}@${host}:${port}`, MAIL_FROM: FROM };
}

function write(to: string, { locale = 'en', tariff = 'Monthly', rooms = open.rooms } = {}): Promise<void> {
  const letter = { kind: 'access_ends', params: { tariff, endsAt: new Date('2026-11-25T10:00:00Z') } } as const;
  return rooms.get(UnitOfWork).run(() => rooms.get(Mail).put({ to, locale, letter }));
}

interface Row {
  readonly attempts: number;
  readonly failed_at: Date | null;
  readonly error: string | null;
}

function rows(): Promise<Row[]> {
  return open.rooms.get(DataSource).query('SELECT * FROM outbox ORDER BY id');
}

function arrived(count: number): Promise<readonly ReceivedMail[]> {
  return until(async () => (sink.mails.length >= count && (await rows()).length === 0 ? sink.mails : undefined));
}

/** Why the one message was not delivered at its latest attempt. */
function failure(attempts = 1): Promise<Row> {
  return until(async () => (await rows()).find((row) => row.attempts === attempts && row.error !== null));
}

describe('a mail', () => {
  it('arrives, as text and as HTML, and says that a machine wrote it', async () => {
    await write('ann@example.com', { tariff: 'Tom & Jerry' });
    const [mail] = await arrived(1);
    expect(mail).toMatchObject({ from: 'no-reply@vpn.example.com', recipients: ['ann@example.com'] });
    expect(mail!.headers.get('from')).toBe('Example VPN <no-reply@vpn.example.com>');
    expect(mail!.headers.get('to')).toBe('ann@example.com');
    expect(mail!.headers.get('subject')).toBe('Your VPN access ends on 25 November 2026');
    expect(mail!.headers.get('auto-submitted')).toBe('auto-generated');
    expect(mail!.text).toContain('your subscription "Tom & Jerry" ends on 25 November 2026 at 10:00 (UTC)');
    expect(mail!.html).toContain('<p>Hello,</p>');
    expect(mail!.html).toContain('Tom &amp; Jerry');
  });

  it('is in Russian for who reads Russian', async () => {
    await write('bob@example.com', { locale: 'ru', tariff: 'Месяц' });
    const [mail] = await arrived(1);
    expect(mail!.headers.get('subject')).toBe('Доступ к VPN заканчивается 25 ноября 2026 г.');
    expect(mail!.headers.get('content-language')).toBe('ru');
    expect(mail!.text).toContain('Ваша подписка «Месяц» заканчивается 25 ноября 2026 г.');
    expect(mail!.html).toContain('<html lang="ru">');
  });

  it('that is repeated can be told to be the same one', async () => {
    let count = 0;
    sink.beforeAnswer = () => {
      if (++count === 1) sink.hangUp(); // it has the mail, and we never hear of it
      return Promise.resolve();
    };
    await write('cat@example.com');
    expect(await failure()).toMatchObject({ failed_at: null });
    open.clock.advance({ minutes: 1 });
    await open.rooms.get(Outbox).deliver();
    const [first, second] = await arrived(2);
    expect(second!.headers.get('message-id')).toBe(first!.headers.get('message-id'));
    expect(second!.headers.get('date')).toBe(first!.headers.get('date'));
    await write('cat@example.com');
    const [, , another] = await arrived(3);
    expect(another!.headers.get('message-id')).not.toBe(first!.headers.get('message-id'));
  });

  it('cannot be given another header by what stands in its subject', async () => {
    const payload = { to: 'ann@example.com', subject: 'Hello\r\nBcc: eve@example.com', text: 'Hello', language: 'en' };
    await open.rooms.get(UnitOfWork).run(() => open.rooms.get(Outbox).put({ kind: 'mail', payload }));
    const [mail] = await arrived(1);
    expect(mail!.recipients).toEqual(['ann@example.com']);
    expect(mail!.headers.get('subject')).toBe('Hello Bcc: eve@example.com');
    expect(mail!.headers.has('bcc')).toBe(false);
  });

  it.each([
    'ann@example.com, eve@example.com',
    'ann@example.com\r\nBcc: eve@example.com',
    '"eve@example.com x"@example.com',
    'ann@example.com>\r\nRCPT TO:<eve@example.com',
    'Ann <ann@example.com>',
    'ann@localhost',
  ])('to %j goes nowhere', async (to) => {
    await write(to);
    expect(await failure()).toMatchObject({ error: 'unusable_address', failed_at: expect.any(Date) });
    expect(sink.mails).toEqual([]);
  });
});

describe('a mail server', () => {
  it('that refuses the recipient for good is not asked again', async () => {
    sink.refusals.set('gone@example.com', 550);
    await write('gone@example.com');
    expect(await failure()).toMatchObject({ error: 'smtp: RCPT TO 550', failed_at: expect.any(Date) });
    const told = async (): Promise<true | undefined> =>
      Promise.resolve(logLines.join('').includes('a message was given up') || undefined);
    await until(told); // the row comes first
    expect(logLines.join('')).not.toContain('gone@');
  });

  it('that refuses him for now is asked again', async () => {
    sink.refusals.set('grey@example.com', 450);
    await write('grey@example.com');
    expect(await failure()).toMatchObject({ error: 'smtp: RCPT TO 450', failed_at: null });
    sink.refusals.delete('grey@example.com');
    open.clock.advance({ minutes: 1 });
    await open.rooms.get(Outbox).deliver();
    expect(await arrived(1)).toMatchObject([{ recipients: ['grey@example.com'] }]);
  });

  it('that is down gets its mail when it is up again', async () => {
    proxy.cut();
    await write('dan@example.com');
    expect(await failure()).toMatchObject({ failed_at: null, error: expect.stringMatching(/^smtp: E[A-Z]+$/) });
    open.clock.advance({ minutes: 1 });
    await open.rooms.get(Outbox).deliver();
    await failure(2);
    proxy.mend();
    open.clock.advance({ minutes: 5 });
    await open.rooms.get(Outbox).deliver();
    expect(await arrived(1)).toMatchObject([{ recipients: ['dan@example.com'] }]);
  });

  it('that refuses our password loses no mail, and the password is not logged', async () => {
    const lines: string[] = [];
    const settings = environment(sink.port, 'wrong-Pa55word');
    const { databaseUrl, clock } = open;
    const rooms = await openInstance([], { databaseUrl, clock, environment: settings, logLines: lines });
    await write('fay@example.com', { rooms });
    expect(await failure()).toMatchObject({ failed_at: null, error: 'smtp: AUTH PLAIN 535' });
    await rooms.close();
    expect(lines.join('')).toContain('AUTH PLAIN 535');
    expect(lines.join('')).not.toMatch(/wrong-Pa55word|fay@/);
  });

  it('that offers no TLS gets no password, and the page for operators knows what the log then says (I7)', async () => {
    const lines: string[] = [];
    const { databaseUrl, clock } = open;
    // The sink once more, by an address that is not taken for this machine: there a password needs no TLS.
    const settings = environment(sink.port, PASSWORD, 'smtp', '[::ffff:127.0.0.1]');
    const rooms = await openInstance([], { databaseUrl, clock, environment: settings, logLines: lines });
    await write('ida@example.com', { rooms });
    const { error } = await failure();
    await rooms.close();
    expect(error).toBe('smtp: STARTTLS 500');
    expect(lines.join('')).toContain(error);
    expect(sink.mails).toEqual([]);
    expect(readFileSync('docs/operations.md', 'utf8')).toContain(`\`${error}\``);
  });

  it('whose certificate nobody vouches for gets neither password nor mail', async () => {
    const impostor = await SmtpSink.start({ hasTls: true, login: LOGIN });
    const settings = environment(impostor.port, PASSWORD, 'smtps');
    const { databaseUrl, clock } = open;
    const rooms = await openInstance([], { databaseUrl, clock, environment: settings });
    await write('gus@example.com', { rooms });
    expect(await failure()).toMatchObject({ failed_at: null, error: expect.stringMatching(/^smtp: E[A-Z]+$/) });
    expect(impostor.mails).toEqual([]);
    await rooms.close();
    await impostor.stop();
  });

  it('is not needed: without one nothing is written down, and the log says so once', async () => {
    const lines: string[] = [];
    const { databaseUrl, clock } = open;
    const rooms = await openInstance([], { databaseUrl, clock, logLines: lines });
    await write('hal@example.com', { rooms });
    await write('hal@example.com', { rooms });
    expect(await rows()).toEqual([]);
    expect(lines.filter((line) => line.includes('mail is off'))).toHaveLength(1);
    await rooms.close();
  });
});
