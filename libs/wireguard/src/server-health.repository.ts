import { Injectable } from '@nestjs/common';
import { addSeconds, Clock } from '#kernel';
import { UnitOfWork } from '#platform';
import { ServerHealthEntity } from './server-health.entity.js';

/** What is known of a server, without what only the sweep needs. */
export interface ServerHealth {
  readonly serverId: number;
  /** The last time all was well. */
  readonly sweptAt: Date | null;
  /** In a row, since then. */
  readonly failures: number;
  readonly failure: string | null;
  readonly livePeers: number;
  readonly strangers: number;
  /** How many removals and remakes wait for an operator; null: none does. */
  readonly heldRemovals: number | null;
  /** The key of the server when it was last taken for the same one. */
  readonly publicKey: string | null;
}

/**
 * Failures of a login, which no later attempt mends by itself, and which hosts answer many of with a ban (fail2ban, PerSourcePenalties
 * of sshd). Another host key is none of them: we leave before any login, and the host may show its own again at once.
 */
export const LOGIN_REFUSALS: readonly string[] = ['authentication', 'private_key'];

interface Swept {
  readonly nextInSeconds: number;
  /** How long it took, in milliseconds. */
  readonly sweepMs: number;
  readonly livePeers: number;
  readonly strangers: number;
  readonly heldRemovals: number | null;
  readonly publicKey: string | null;
}

/** When each server was last spoken to, how that went, and when it is to be spoken to again. */
@Injectable()
export class ServerHealthRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly clock: Clock,
  ) {}

  /** Servers we apply to whose next sweep is due, those that waited longest first. */
  async due(limit: number): Promise<readonly number[]> {
    const rows = await this.uow.manager.query<{ id: number }[]>(
      `SELECT s.id FROM vpn_servers s LEFT JOIN vpn_server_health h ON h.server_id = s.id
       WHERE s.applies AND s.status <> 'disabled' AND (h.next_sweep_at IS NULL OR h.next_sweep_at <= $1)
       ORDER BY h.next_sweep_at NULLS FIRST, s.id LIMIT $2`,
      [this.clock.now(), limit],
    );
    return rows.map(({ id }) => id);
  }

  find(serverId: number): Promise<ServerHealth | null> {
    return this.uow.repository(ServerHealthEntity).findOneBy({ serverId });
  }

  list(): Promise<readonly ServerHealth[]> {
    return this.uow.repository(ServerHealthEntity).find({ order: { serverId: 'ASC' } });
  }

  /** Whether it failed just now, and is to be left alone for a while. */
  async isResting(serverId: number): Promise<boolean> {
    const health = await this.uow.repository(ServerHealthEntity).findOneBy({ serverId });
    return health !== null && health.failures > 0 && health.nextSweepAt > this.clock.now();
  }

  /** Whether it turned our login down just now: until somebody mends that, each attempt counts against us there. */
  async isTurnedDown(serverId: number): Promise<boolean> {
    const health = await this.uow.repository(ServerHealthEntity).findOneBy({ serverId });
    const isLogin = health !== null && LOGIN_REFUSALS.includes(health.failure ?? '');
    return isLogin && health.nextSweepAt > this.clock.now();
  }

  /** Has it tried at once, however long it was to be left alone: an operator has changed something. */
  async retry(serverId: number): Promise<void> {
    await this.uow.manager.query(
      'UPDATE vpn_server_health SET next_sweep_at = LEAST(next_sweep_at, $2) WHERE server_id = $1',
      [serverId, this.clock.now()],
    );
  }

  async succeeded(serverId: number, { nextInSeconds, sweepMs, ...known }: Swept): Promise<void> {
    const now = this.clock.now();
    const next = addSeconds(now, nextInSeconds);
    const sweep = { sweepMs: Math.round(sweepMs), sweepStartedAt: addSeconds(now, -sweepMs / 1000) };
    await this.uow
      .repository(ServerHealthEntity)
      .upsert({ serverId, nextSweepAt: next, sweptAt: now, failures: 0, failure: null, ...sweep, ...known }, [
        'serverId',
      ]);
  }

  /** Notes that a server that had failed has done what it was told; the next sweep comes at once. */
  async recovered(serverId: number): Promise<void> {
    await this.uow.manager.query(
      'UPDATE vpn_server_health SET failures = 0, failure = NULL, next_sweep_at = $2 WHERE server_id = $1 AND failures > 0',
      [serverId, this.clock.now()],
    );
  }

  /** Counts a failure and puts the next attempt off, by what `rest` says of the number of failures in a row. */
  async failed(serverId: number, kind: string, rest: (failures: number) => number): Promise<void> {
    const failures = ((await this.find(serverId))?.failures ?? 0) + 1;
    const failedAt = this.clock.now();
    const nextSweepAt = addSeconds(failedAt, rest(failures));
    await this.uow
      .repository(ServerHealthEntity)
      .upsert({ serverId, failures, failure: kind.slice(0, 32), failedAt, nextSweepAt }, ['serverId']);
  }
}
