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
import { type WgEasyAnswer, type WgEasyHttp, unavailable } from './wg-easy-http.js';

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

  async list(): Promise<readonly WgEasyClient[]> {
    const answer = await this.send('GET', '');
    if (answer.status === 500) await this.assertKeyIsRight();
    assertSuccess(answer);
    const listed = jsonOf(answer);
    if (!Array.isArray(listed)) throw unavailable('answer');
    return listed.map((client: unknown) => readClient(this.dialect, client));
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

  /** The text that the device of this client would take. */
  async config({ id }: WgEasyClient): Promise<string> {
    const answer = await this.send('GET', `/${id}/configuration`);
    assertSuccess(answer);
    return answer.text;
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
 * Asks without credentials, as each family says something else to a stranger: 14 tells whether it has a password, 15 says 401,
 * and from 15.4 on there is a list of ways to log in. (`/api/information` is no help: it fails where the host has no internet.)
 */
async function recognise(
  http: WgEasyHttp,
): Promise<{ readonly dialect: WgEasyDialect; readonly requiresPassword: boolean }> {
  const session = await http.send('GET', '/api/session');
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
