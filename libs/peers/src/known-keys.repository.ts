import { Injectable } from '@nestjs/common';
import { addDays, Clock, DomainError } from '#kernel';
import { UnitOfWork } from '#platform';

/** How long a key that was ours is remembered, in days: a host is hardly restored from an older backup. */
const DEPARTED_DAYS = 365;
/** How long a key that was seen on a server and is not ours stays taken after it was last seen, in days. */
const FOREIGN_DAYS = 30;
const BATCH = 5000;

/** Of the keys of no row that were seen on a server. */
export interface RecognisedKeys {
  /** Were ours, and have left: this server, or another and no peer that is let in has them. */
  readonly departed: ReadonlySet<string>;
  /** Have a peer, on another server or on this one since it was read. */
  readonly ours: ReadonlySet<string>;
}

/** Which keys are whose, beyond those that peers have now: those that were ours, other people's, and the servers' own. */
@Injectable()
export class KnownKeysRepository {
  /** When a key was last noted as foreign by this process, by server: a sweep sees the same ones every half minute. */
  private readonly noted = new Map<number, Map<string, Date>>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError public_key_taken, when the key is a server's own, or was seen on a server and is not ours */
  async assertFree(publicKey: string): Promise<void> {
    const [row] = await this.uow.manager.query<{ taken: boolean }[]>(
      `SELECT EXISTS (SELECT 1 FROM vpn_servers WHERE public_key = $1)
         OR EXISTS (SELECT 1 FROM vpn_foreign_keys WHERE public_key = $1) AS taken`,
      [publicKey],
    );
    if (row?.taken === true) throw new DomainError('public_key_taken');
  }

  async recognise(serverId: number, publicKeys: readonly string[]): Promise<RecognisedKeys> {
    if (publicKeys.length === 0) return { departed: new Set(), ours: new Set() };
    const rows = await this.uow.manager.query<{ key: string; departed: boolean; has_peer: boolean }[]>(
      `SELECT seen.key, p.id IS NOT NULL AS has_peer,
         CASE WHEN p.id IS NULL OR p.status = 'suspended'
           THEN EXISTS (SELECT 1 FROM vpn_departed_keys d WHERE d.public_key = seen.key)
           ELSE p.server_id <> $2
             AND EXISTS (SELECT 1 FROM vpn_departed_keys d WHERE d.public_key = seen.key AND d.server_id = $2)
             AND NOT EXISTS (SELECT 1 FROM vpn_peer_leftovers l WHERE l.public_key = seen.key AND l.server_id = $2)
         END AS departed
       FROM unnest($1::text[]) AS seen (key)
       LEFT JOIN vpn_peers p ON p.wg_public_key = seen.key`,
      [publicKeys, serverId],
    );
    const keysOf = (those: typeof rows): ReadonlySet<string> => new Set(those.map(({ key }) => key));
    return {
      departed: keysOf(rows.filter(({ departed }) => departed)),
      ours: keysOf(rows.filter((row) => row.has_peer)),
    };
  }

  /** Notes keys that were seen on a server and are not ours; answers how many were not known yet. */
  async noteForeign(serverId: number, publicKeys: readonly string[]): Promise<number> {
    const now = this.clock.now();
    const yesterday = addDays(now, -1);
    const known = this.noted.get(serverId) ?? new Map<string, Date>();
    const stale = publicKeys.filter((key) => (known.get(key) ?? yesterday) <= yesterday);
    const staleKeys = new Set(stale);
    let added = 0;
    for (let from = 0; from < stale.length; from += BATCH) {
      const rows = await this.uow.manager.query<{ is_new: boolean }[]>(
        `INSERT INTO vpn_foreign_keys AS known (server_id, public_key, seen_at)
         SELECT $1, key, $3 FROM unnest($2::text[]) AS seen (key) ORDER BY key
         ON CONFLICT (server_id, public_key) DO UPDATE SET seen_at = EXCLUDED.seen_at
         RETURNING xmax = 0 AS is_new`,
        [serverId, stale.slice(from, from + BATCH), now],
      );
      added += rows.filter((row) => row.is_new).length;
    }
    this.noted.set(
      serverId,
      new Map(publicKeys.map((key) => [key, staleKeys.has(key) ? now : (known.get(key) ?? now)])),
    );
    return added;
  }

  /** Keys that were removed from a server are nobody's any more. */
  async forgetForeign(serverId: number, publicKeys: readonly string[]): Promise<void> {
    if (publicKeys.length === 0) return;
    await this.uow.manager.query('DELETE FROM vpn_foreign_keys WHERE server_id = $1 AND public_key = ANY($2)', [
      serverId,
      publicKeys,
    ]);
  }

  /** Adds up what statements have noted of the peers of each server. */
  async addUpLoads(): Promise<void> {
    await this.uow.manager.query(
      `WITH notes AS (DELETE FROM vpn_server_loads RETURNING server_id, peers)
       INSERT INTO vpn_server_loads (server_id, peers)
       SELECT server_id, sum(peers) FROM notes JOIN vpn_servers s ON s.id = server_id
       GROUP BY server_id HAVING sum(peers) <> 0`,
    );
  }

  /** Forgets what has been gone for long, so many rows at most; answers how many those were. */
  async forgetOld(limit: number): Promise<number> {
    const now = this.clock.now();
    const rows = await this.uow.manager.query<{ total: number }[]>(
      `WITH departed AS (
         DELETE FROM vpn_departed_keys WHERE (public_key, server_id) IN (
           SELECT public_key, server_id FROM vpn_departed_keys WHERE left_at < $1 ORDER BY left_at LIMIT $3)
         RETURNING 1
       ), foreigners AS (
         DELETE FROM vpn_foreign_keys WHERE (server_id, public_key) IN (
           SELECT server_id, public_key FROM vpn_foreign_keys WHERE seen_at < $2 LIMIT $3)
         RETURNING 1
       )
       SELECT ((SELECT count(*) FROM departed) + (SELECT count(*) FROM foreigners))::int AS total`,
      [addDays(now, -DEPARTED_DAYS), addDays(now, -FOREIGN_DAYS), limit],
    );
    return rows[0]?.total ?? 0;
  }
}
