// The measure of the benchmark: a bare Fastify with pg, doing the same work as the service for the same answers. It verifies the
// same token and asks one named prepared statement for the same columns.
import { createSecretKey } from 'node:crypto';
import fastify from 'fastify';
import jsonwebtoken from 'jsonwebtoken';
import pg from 'pg';

const { DATABASE_URL, SECRET_KEY } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
const key = createSecretKey(SECRET_KEY, 'utf8');
const rules = { algorithms: ['HS256'], issuer: 'vpn-backend', audience: 'vpn-app' };

const ME = {
  name: 'me',
  text: `SELECT u.id, u.email, u.status, u.is_admin, u.is_verified, u.google_id, u.app_account_token, u.locale, u.created_at
         FROM users u JOIN sessions s ON s.user_id = u.id
         WHERE u.id = $1 AND s.id = $2 AND s.revoked_at IS NULL AND s.expires_at > now()`,
};
const TARIFFS = {
  name: 'tariffs',
  text: `SELECT id, name, description, duration_days, price, currency, device_limit, traffic_limit_gb, rank, is_active,
         '[]'::json AS store_products FROM tariffs WHERE is_active ORDER BY id LIMIT $1 OFFSET $2`,
};
const PEERS = {
  name: 'peers',
  text: `SELECT id, user_id, server_id, device_name, wg_public_key, NULL AS wg_private_key, text(wg_ip) AS wg_ip, NULL AS wg_ip6,
         allowed_ips, status IN ('pending', 'active') AS active, status, NULL AS last_handshake_at, 0 AS rx_bytes, 0 AS tx_bytes,
         created_at FROM vpn_peers WHERE user_id = $1 ORDER BY id LIMIT $2 OFFSET $3`,
};
const PAY = {
  name: 'pay',
  text: `INSERT INTO payments (user_id, amount, currency, status, created_at) VALUES ($1, $2, $3, 'pending', now())
         RETURNING id, user_id, amount, currency, status, provider, provider_payment_id, tariff_id, created_at`,
};

const callerOf = (request) => {
  const claims = jsonwebtoken.verify(request.headers.authorization.slice(7), key, rules);
  return { id: Number(claims.sub), session: claims.sid };
};

const app = fastify({ routerOptions: { ignoreTrailingSlash: true } });
app.get('/auth/me', async (request) => {
  const { id, session } = callerOf(request);
  return (await pool.query({ ...ME, values: [id, session] })).rows[0];
});
app.get('/tariffs', async () => (await pool.query({ ...TARIFFS, values: [10, 0] })).rows);
app.get('/vpn_peers', async (request) => (await pool.query({ ...PEERS, values: [callerOf(request).id, 100, 0] })).rows);
app.post('/payments', async (request) => {
  const { id } = callerOf(request);
  return (await pool.query({ ...PAY, values: [id, request.body.amount, request.body.currency ?? 'USD'] })).rows[0];
});
await app.listen({ host: '127.0.0.1', port: 0 });
process.send({ url: `http://127.0.0.1:${app.server.address().port}` });
