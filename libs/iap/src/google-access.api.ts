import { JwtService } from '@nestjs/jwt';
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Logger } from 'pino';
import { addSeconds, type Clock, codeOf } from '#kernel';
import { type GoogleSettings } from '#platform';
import { CALL_LIMIT_MS, exchanged, unavailable } from './google-exchange.js';
import { at, integer, text } from './google-json.rules.js';
import { type StoreMetrics } from './store.metrics.js';

/** What a key file of a service account says. */
interface ServiceAccount {
  readonly email: string;
  readonly keyId: string | null;
  readonly tokenUrl: string;
  readonly signer: JwtService;
}

interface AccessToken {
  readonly token: string;
  readonly expiresAt: Date;
}

const SCOPE = 'https://www.googleapis.com/auth/androidpublisher';
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_URL = 'https://oauth2.googleapis.com/token';
/** The longest an assertion may be good for (RFC 7523 as Google has it), in seconds. */
const ASSERTION_SECONDS = 3600;
/** A token this close to its end is not used any more, in seconds: the call has to arrive, and clocks differ. */
const MARGIN_SECONDS = 60;

/**
 * The service account's access token, asked for when it is needed and kept while it is good. It is our own because Google's library
 * asks at its own address whatever `token_uri` of the key file says, without a time limit, by the machine's clock, and asks anew
 * for every 403.
 */
export class GoogleAccess {
  private account: Promise<ServiceAccount> | undefined;
  private current: AccessToken | undefined;
  private asking: Promise<string> | undefined;

  constructor(
    private readonly settings: GoogleSettings,
    private readonly clock: Clock,
    private readonly metrics: StoreMetrics,
    private readonly log: Logger,
  ) {}

  /** @throws DomainError store_unavailable */
  token(): Promise<string> {
    if (this.current !== undefined && this.current.expiresAt > this.clock.now()) {
      return Promise.resolve(this.current.token);
    }
    this.asking ??= this.ask().finally(() => (this.asking = undefined));
    return this.asking;
  }

  /** The token was refused: the next one is another, unless another call has seen to that already. */
  forget(token: string): void {
    if (this.current?.token === token) this.current = undefined;
  }

  private async ask(): Promise<string> {
    const account = await this.opened();
    return exchanged('token', this.metrics, async (tell) => {
      const response = await fetch(account.tokenUrl, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: GRANT, assertion: this.assertionOf(account) }),
        redirect: 'error',
        signal: AbortSignal.timeout(CALL_LIMIT_MS),
      });
      tell(response.status);
      const answer = parsed(await response.text());
      if (response.status === 429 || response.status >= 500) throw unavailable('status');
      if (!response.ok) {
        this.log.error(
          { provider: 'google', status: response.status, reason: text(at(answer, 'error')) },
          'Google refuses the key of the service account (GOOGLE_SERVICE_ACCOUNT_JSON or _FILE)',
        );
        throw unavailable('refused');
      }
      return this.keep(answer);
    });
  }

  private keep(answer: unknown): string {
    const token = text(at(answer, 'access_token'));
    const seconds = integer(at(answer, 'expires_in'));
    if (token === null || seconds === null) throw unavailable('answer');
    this.current = { token, expiresAt: addSeconds(this.clock.now(), seconds - MARGIN_SECONDS) };
    return token;
  }

  private assertionOf({ email, keyId, tokenUrl, signer }: ServiceAccount): string {
    const issuedAt = Math.floor(this.clock.now().getTime() / 1000);
    return signer.sign(
      { iss: email, scope: SCOPE, aud: tokenUrl, iat: issuedAt, exp: issuedAt + ASSERTION_SECONDS },
      { algorithm: 'RS256', ...(keyId === null ? {} : { keyid: keyId }) },
    );
  }

  /** A file that could not be read or was no key is read again at the next call: an operator may have mended it. */
  private opened(): Promise<ServiceAccount> {
    this.account ??= this.readAccount().catch((error: unknown) => {
      this.account = undefined;
      // Not the error of a parser: it quotes what it could not parse.
      this.log.error({ provider: 'google', code: codeOf(error) }, 'The key file of the service account cannot be read');
      throw unavailable('refused');
    });
    return this.account;
  }

  private async readAccount(): Promise<ServiceAccount> {
    const { serviceAccount: source } = this.settings;
    const file: unknown = JSON.parse('text' in source ? source.text : await readFile(source.file, 'utf8'));
    const email = text(at(file, 'client_email'));
    const privateKey = at(file, 'private_key');
    if (email === null || typeof privateKey !== 'string') throw new Error('It names no account, or holds no key');
    return {
      email,
      keyId: text(at(file, 'private_key_id')),
      tokenUrl: text(at(file, 'token_uri')) ?? TOKEN_URL,
      signer: new JwtService({ privateKey: createPrivateKey(privateKey) }),
    };
  }
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}
