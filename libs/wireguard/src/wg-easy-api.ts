import { isKey } from './keys.js';
import { wgEasy14 } from './wg-easy-14.js';
import { wgEasy150, wgEasy154 } from './wg-easy-15.js';
import {
  type WgEasyClient,
  type WgEasyCredentials,
  type WgEasyDialect,
  assertSuccess,
  isObject,
  jsonOf,
  readClient,
} from './wg-easy-dialect.js';
import { type WgEasyAnswer, type WgEasyHttp, refused, unavailable } from './wg-easy-http.js';

/** A client is some 700 bytes of a list (15.4.0): more than a /18 is full of are not expected. */
const MAX_LIST_BYTES = 16_000_000;
/** The role of those who may do everything, in all of 15. */
const ADMINISTRATOR = 1;

/**
 * A wg-easy that has been recognised and, where it wants that, logged in to. Good until a list fails: then it may have
 * restarted or been upgraded, and is to be opened anew.
 */
export class WgEasyApi {
  private constructor(
    private readonly http: WgEasyHttp,
    private readonly credentials: WgEasyCredentials,
    private readonly dialect: WgEasyDialect,
    private readonly headers: Readonly<Record<string, string>>,
  ) {}

  /** Finds out which version answers, and logs in. */
  static async open(http: WgEasyHttp, credentials: WgEasyCredentials): Promise<WgEasyApi> {
    const { dialect, requiresPassword } = await recognise(http);
    const { apiKey } = credentials;
    if (apiKey !== null) return new WgEasyApi(http, credentials, dialect, { Authorization: apiKey });
    const headers: Record<string, string> = {};
    if (requiresPassword) headers['Cookie'] = await dialect.logIn(http, credentials);
    return new WgEasyApi(http, credentials, dialect, headers);
  }

  /** All clients. What cannot be read as one is left out; where nothing looks like one, this is no list of clients. */
  async list(): Promise<readonly WgEasyClient[]> {
    const { headers } = this;
    const answer = await this.http.send('GET', this.dialect.clientsPath, { headers, maxBytes: MAX_LIST_BYTES });
    if (answer.status === 500) await this.assertKeyIsRight();
    // 15 says so to an `Authorization` that it cannot read.
    if (answer.status === 400) throw refused('authentication');
    assertSuccess(answer);
    const listed = jsonOf(answer);
    if (!Array.isArray(listed)) throw unavailable('answer');
    // Of another program, or of a version to come.
    if (listed.length > 0 && !listed.some((client) => isObject(client) && 'publicKey' in client))
      throw unavailable('answer');
    return listed.flatMap((client: unknown) => readClient(this.dialect, client) ?? []);
  }

  async create(name: string): Promise<void> {
    assertSuccess(await this.send('POST', '', this.dialect.newClient(name)));
  }

  async enable({ id }: WgEasyClient): Promise<void> {
    assertSuccess(await this.send('POST', `/${id}/enable`));
  }

  async disable({ id }: WgEasyClient): Promise<void> {
    assertSuccess(await this.send('POST', `/${id}/disable`));
  }

  async delete({ id }: WgEasyClient): Promise<void> {
    assertSuccess(await this.send('DELETE', `/${id}`));
  }

  /** Takes the expiry off a client; its other settings stay. (14 has none.) */
  async neverExpire({ id }: WgEasyClient): Promise<void> {
    const answer = await this.send('GET', `/${id}`);
    assertSuccess(answer);
    const client = jsonOf(answer);
    if (!isObject(client)) throw unavailable('answer');
    // Its keys are no part of what can be changed.
    const settings = Object.entries(client).filter(([name]) => !name.toLowerCase().endsWith('key'));
    assertSuccess(await this.send('POST', `/${id}`, { ...Object.fromEntries(settings), expiresAt: null }));
  }

  /** The text that the device of this client would take. */
  async config({ id }: WgEasyClient): Promise<string> {
    const answer = await this.send('GET', `/${id}/configuration`);
    assertSuccess(answer);
    return answer.text;
  }

  /**
   * The public key of the interface, where it can be asked for; otherwise null.
   * @throws DomainError server_refused (rights): others than administrators are shown their own clients only, as if there were no more
   */
  async interfaceKey(): Promise<string | null> {
    const { interfacePath } = this.dialect;
    if (interfacePath === null) return null;
    const answer = await this.http.send('GET', interfacePath, { headers: this.headers });
    if (answer.status === 404) return null;
    if (answer.status === 403 || (answer.status === 500 && !(await this.isAdministrator()))) throw refused('rights');
    assertSuccess(answer);
    const settings = jsonOf(answer);
    const publicKey = isObject(settings) ? settings['publicKey'] : undefined;
    return typeof publicKey === 'string' && isKey(publicKey) ? publicKey : null;
  }

  /** Before 15.4 a right that is missing is a 500 like any fault. A session tells its role; of an API key nobody does. */
  private async isAdministrator(): Promise<boolean> {
    if (this.credentials.apiKey !== null) return true;
    const answer = await this.http.send('GET', '/api/session', { headers: this.headers });
    assertSuccess(answer);
    const session = jsonOf(answer);
    return isObject(session) && session['role'] === ADMINISTRATOR;
  }

  private send(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<WgEasyAnswer> {
    const call = body === undefined ? { headers: this.headers } : { headers: this.headers, body };
    return this.http.send(method, `${this.dialect.clientsPath}${path}`, call);
  }

  /** Version 14 says 500 to a wrong key, as to any fault. Its key is its password: logging in with it tells the two apart. */
  private async assertKeyIsRight(): Promise<void> {
    const { apiKey } = this.credentials;
    if (apiKey === null || !this.dialect.hidesRefusals) return;
    await this.dialect.logIn(this.http, { ...this.credentials, password: apiKey });
  }
}

/**
 * Asks without credentials, as each family says something else to a stranger: 14 tells whether it has a password; 15 says 401, and
 * before 15.2.1 nothing at all (204), but 401 to whoever wants to see clients; from 15.4 on there is a list of ways to log in.
 * (`/api/information` is no help: it fails where the host has no internet.)
 */
async function recognise(
  http: WgEasyHttp,
): Promise<{ readonly dialect: WgEasyDialect; readonly requiresPassword: boolean }> {
  const session = await http.send('GET', '/api/session');
  if (session.status === 204) {
    const clients = await http.send('GET', wgEasy150.clientsPath);
    if (clients.status >= 500) throw unavailable('status');
    if (clients.status !== 401) throw unavailable('answer');
    return { dialect: wgEasy150, requiresPassword: true };
  }
  if (session.status === 401) {
    const methods = await http.send('GET', '/api/auth/methods');
    if (methods.status >= 500) throw unavailable('status');
    const isNewer = methods.status === 200 && isObject(jsonOf(methods));
    return { dialect: isNewer ? wgEasy154 : wgEasy150, requiresPassword: true };
  }
  if (session.status >= 500) throw unavailable('status');
  const said = jsonOf(session);
  if (session.status !== 200 || !isObject(said)) throw unavailable('answer');
  const { requiresPassword } = said;
  if (typeof requiresPassword !== 'boolean') throw unavailable('answer');
  return { dialect: wgEasy14, requiresPassword };
}
