import { type WgEasyDialect, assertSuccess, isObject, jsonOf } from './wg-easy-dialect.js';
import { refused, unavailable } from './wg-easy-http.js';

/** wg-easy 15: users, IPv4 and IPv6, optional second factor. 15.4 moved the log-in; all else has stayed. */
function dialect15(logInPath: string): WgEasyDialect {
  return {
    clientsPath: '/api/client',
    hidesRefusals: false,

    async logIn(http, { username, password }) {
      const answer = await http.send('POST', logInPath, { body: { username, password, remember: false } });
      // It checks the form first: what it takes for malformed (a password shorter than 12) cannot be the right one.
      if (answer.status === 400) throw refused('authentication');
      assertSuccess(answer);
      const said = jsonOf(answer);
      // The second factor is a person's: an account for this service must not have one.
      if (isObject(said) && said['status'] === 'TOTP_REQUIRED') throw refused('two_factor');
      if (answer.cookie === null) throw unavailable('answer');
      return answer.cookie;
    },

    // The key must be there, even to say "never": its own expiry would end a tunnel that is paid for.
    newClient: (name) => ({ name, expiresAt: null }),

    readId: ({ id }) => (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? String(id) : undefined),

    readAddresses: ({ ipv4Address, ipv6Address }) => [ipv4Address, ipv6Address],

    interfacePath: '/api/admin/interface',
  };
}

/** 15.0 to 15.3 */
export const wgEasy150 = dialect15('/api/session');
/** 15.4 and later */
export const wgEasy154 = dialect15('/api/auth/password');
