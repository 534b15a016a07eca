/**
 * What an app does, by a client that hey-api generated: every answer is checked against the document (by zod) before it is believed.
 * Arguments: the address of the service, and that of a service of a later version, whose words this client has never heard.
 */
import * as api from './hey/index.js';
import { createClient, createConfig } from './hey/client/index.js';
import type { paths } from './openapi-typescript.js';

type Subscription = NonNullable<
  paths['/auth/me/subscription']['get']['responses']['200']['content']['application/json']
>;

const [, , address = '', later = ''] = process.argv;
const client = createClient(createConfig({ baseUrl: address, throwOnError: true }));
const throwOnError = true as const;

function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`The generated client: ${what}`);
}

const credentials = { email: 'generated@example.com', password: 'correct horse battery' };
const { data: user } = await api.register({ client, throwOnError, body: credentials });
assert(user.email === credentials.email, 'registers');
const { data: tokens } = await api.login({ client, throwOnError, body: credentials });
client.setConfig({ auth: () => tokens.access_token });
assert((await api.getMe({ client, throwOnError })).data.id === user.id, 'is signed in');
assert((await api.getMySubscription({ client, throwOnError })).data === null, 'has no subscription yet');

const refused = await api.createMyPeer({ client, throwOnError: false, body: {} });
assert(refused.error !== undefined && refused.response?.status === 403, 'is refused a device');

await api.promoteUser({
  client,
  throwOnError,
  query: { user_id: user.id, secret: process.env['PROMOTE_SECRET'] ?? '' },
});
const { data: tariff } = await api.createTariff({
  client,
  throwOnError,
  body: { name: 'Generated', price: '4.99', device_limit: 3, traffic_limit_gb: 100 },
});
const { data: changed } = await api.updateTariff({
  client,
  throwOnError,
  path: { id: tariff.id },
  body: { price: '5.99', clear: ['device_limit'] },
});
assert(changed.device_limit === null && changed.traffic_limit_gb === 100, 'clears by name');
await api.assignTariff({ client, throwOnError, query: { user_id: user.id }, body: { tariff_id: tariff.id } });
const { data: subscription } = await api.getMySubscription({ client, throwOnError });
assert(subscription?.status === 'active' && subscription.traffic_used_bytes === 0, 'has a subscription');
const { data: peer } = await api.createMyPeer({ client, throwOnError, body: { device_name: 'phone' } });
assert(peer.wg_private_key !== null, 'has a device');
assert((await api.listPeers({ client, throwOnError })).data.length === 1, 'lists its device');
assert((await api.getMyConfig({ client, throwOnError })).data.wg_quick.includes('[Peer]'), 'has a config');
await api.listTariffs({ client, throwOnError });
await api.listServers({ client, throwOnError });
await api.listAudit({ client, throwOnError });
await api.deletePeer({ client, throwOnError, path: { id: peer.id } });

const wrong = await api.register({ client, throwOnError: false, body: { email: 'nobody', password: 'x' } });
assert(wrong.response?.status === 422 || wrong.error !== undefined, 'is told what is wrong');

// A later version of the service has states that nobody generated a client for.
const future = createClient(createConfig({ baseUrl: later, throwOnError: true }));
const { data: unknown } = await api.getMySubscription({ client: future, throwOnError });
const state: Subscription['state'] | undefined = unknown?.state;
assert(state === 'hibernating' && unknown?.status === 'active', 'survives a word that it does not know');
console.log('a generated client worked with the service, and survived a word that it does not know');
