import { type SMTPServerSession, SMTPServer } from 'smtp-server';

/** A mail as it arrived, decoded. */
export interface ReceivedMail {
  /** Whom the envelope names, which is who gets it whatever the headers say. */
  readonly from: string;
  readonly recipients: readonly string[];
  /** By lower-case name, unfolded and decoded. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  readonly html: string;
  readonly isEncrypted: boolean;
}

export interface SinkOptions {
  readonly login?: { readonly name: string; readonly password: string };
  /** TLS from the first byte, with a certificate that nobody vouches for. */
  readonly hasTls?: boolean;
}

/** A real mail server on a loopback port of its own, which delivers to nobody. */
export class SmtpSink {
  readonly mails: ReceivedMail[] = [];
  /** What it says to a recipient instead of taking mail for him: an SMTP code. */
  readonly refusals = new Map<string, number>();
  /** Called for what has arrived but was not acknowledged yet. */
  beforeAnswer: () => Promise<void> = () => Promise.resolve();

  private constructor(
    private readonly server: SMTPServer,
    readonly port: number,
  ) {}

  static async start({ login, hasTls = false }: SinkOptions = {}): Promise<SmtpSink> {
    const sink: { current?: SmtpSink } = {};
    const server = new SMTPServer({
      secure: hasTls,
      logger: false,
      disabledCommands: login === undefined ? ['AUTH', 'STARTTLS'] : ['STARTTLS'],
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _session, done) => {
        if (username === login?.name && password === login?.password) done(null, { user: username });
        else done(Object.assign(new Error('Authentication credentials invalid'), { responseCode: 535 }));
      },
      onRcptTo: ({ address }, _session, done) => {
        const responseCode = sink.current?.refusals.get(address);
        if (responseCode === undefined) done();
        else done(Object.assign(new Error(`<${address}> is not served here`), { responseCode }));
      },
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          sink.current?.mails.push(read(Buffer.concat(chunks).toString('latin1'), session));
          sink.current?.beforeAnswer().then(() => done(), done);
        });
      },
    });
    server.on('error', () => undefined); // clients that hang up
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.server.address();
    if (address === null || typeof address === 'string') throw new Error('The sink has no port');
    sink.current = new SmtpSink(server, address.port);
    return sink.current;
  }

  /** Hangs up on everybody. */
  hangUp(): void {
    for (const connection of this.server.connections) connection.close();
  }

  async stop(): Promise<void> {
    this.hangUp();
    await new Promise<void>((resolve) => this.server.close(resolve));
  }
}

function read(raw: string, session: SMTPServerSession): ReceivedMail {
  const { mailFrom, rcptTo } = session.envelope;
  const { headers, body } = parse(raw);
  const boundary = /boundary="([^"]+)"/.exec(headers.get('content-type') ?? '')?.[1];
  const parts = boundary === undefined ? [] : body.split(`--${boundary}`).map((part) => parse(part.trimStart()));
  const part = (type: string): string => {
    const found = parts.find((one) => one.headers.get('content-type')?.startsWith(type));
    return found === undefined ? '' : decodeBody(found.body, found.headers.get('content-transfer-encoding'));
  };
  return {
    from: mailFrom === false ? '' : mailFrom.address,
    recipients: rcptTo.map(({ address }) => address),
    headers: new Map([...headers].map(([name, value]) => [name, decodeWords(value)])),
    text: part('text/plain'),
    html: part('text/html'),
    isEncrypted: session.secure,
  };
}

function parse(raw: string): { headers: ReadonlyMap<string, string>; body: string } {
  const end = raw.indexOf('\r\n\r\n');
  const lines = raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { headers: new Map(headers), body: raw.slice(end + 4) };
}

function decodeBody(body: string, encoding: string | undefined): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8').trim();
  if (encoding !== 'quoted-printable') return Buffer.from(body, 'latin1').toString('utf8').trim();
  return decodeQuoted(body.replace(/=\r\n/g, '')).trim();
}

/** RFC 2047: `=?UTF-8?B?...?=`, several of which stand for one text. */
function decodeWords(value: string): string {
  return value
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([BQ])\?([^?]*)\?=/gi, (_word, kind: string, text: string) =>
      kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64').toString('utf8') : decodeQuoted(text.replace(/_/g, ' ')),
    );
}

function decodeQuoted(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/gi, (_byte, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
