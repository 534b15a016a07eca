import { type WgEasyDialect, assertSuccess, readHost } from './wg-easy-dialect.js';
import { unavailable } from './wg-easy-http.js';

/** wg-easy 14: one password, no users, IPv4 only. Its sessions are lost whenever it restarts. */
export const wgEasy14: WgEasyDialect = {
  clientsPath: '/api/wireguard/client',
  hidesRefusals: true,

  async logIn(http, { password }) {
    const answer = await http.send('POST', '/api/session', { body: { password } });
    assertSuccess(answer);
    if (answer.cookie === null) throw unavailable('answer');
    return answer.cookie;
  },

  newClient: (name) => ({ name }),

  readId({ id }) {
    // It goes into paths: a UUID of any version, and nothing else.
    if (typeof id !== 'string' || !/^[0-9a-fA-F-]{36}$/.test(id)) throw unavailable('answer');
    return id;
  },

  readAddresses: ({ address }) => [readHost(address)],
};
