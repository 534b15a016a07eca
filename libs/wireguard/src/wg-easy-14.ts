import { type WgEasyDialect, assertSuccess } from './wg-easy-dialect.js';
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

  // It goes into paths: a UUID of any version, and nothing else.
  readId: ({ id }) => (typeof id === 'string' && /^[0-9a-fA-F-]{36}$/.test(id) ? id : undefined),

  readAddresses: ({ address }) => [address],

  interfacePath: null,
};
