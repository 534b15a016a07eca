import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { DomainError, Randomness } from '#kernel';
import { isDatabaseUnavailable, LeaseLostError, LOG, UnitOfWork } from '#platform';
import {
  Addresses,
  LOGIN_REFUSALS,
  Providers,
  type Server,
  ServerHealthRepository,
  Servers,
  type WireGuardProvider,
} from '#wireguard';
import { DesiredPeersRepository, type DesiredRow, type Leftover } from './desired-peers.repository.js';
import { PeersMetrics } from './peers.metrics.js';
import { restSeconds } from './reconciliation.rules.js';
import { Traffic } from './traffic.service.js';

/** How long a request waits for a server before it is answered all the same, in milliseconds (3.5 s in all). */
const PATIENCE_MS = 3000;
const BATCH = 500;

/**
 * Tells servers what has changed, as soon as it has. It is only the fast half: whatever fails here stays in the rows, for the next
 * second's attempt or for the sweep.
 */
@Injectable()
export class Applying {
  /** For each server the run under way, and the one that follows it, which sees all that was committed before it began. */
  private readonly runs = new Map<number, { readonly now: Promise<void>; next: Promise<void> | null }>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly servers: Servers,
    private readonly providers: Providers,
    private readonly health: ServerHealthRepository,
    private readonly addresses: Addresses,
    private readonly desired: DesiredPeersRepository,
    private readonly traffic: Traffic,
    private readonly metrics: PeersMetrics,
    private readonly randomness: Randomness,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Returns when the server was told all that is committed now, or would not be, or has taken too long. */
  async within(serverId: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, PATIENCE_MS)));
    await Promise.race([this.apply(serverId), patience]);
    clearTimeout(timer);
  }

  /** Begins to tell a server, and does not wait. */
  start(serverId: number): void {
    void this.apply(serverId);
  }

  /** Tells every server that has something to be told, and answers how many those were. */
  async applyAll(): Promise<number> {
    await this.desired.settleWhereNobodyApplies();
    const servers = await this.desired.serversWithWork();
    await Promise.all(servers.map((id) => this.apply(id)));
    return servers.length;
  }

  /** Many callers at once share the next run: 50 new peers cost two commands, not 50. */
  private apply(serverId: number): Promise<void> {
    const run = this.runs.get(serverId);
    if (run === undefined) return this.begin(serverId);
    run.next ??= run.now.then(() => this.begin(serverId));
    return run.next;
  }

  private begin(serverId: number): Promise<void> {
    const now = this.uow
      .outside(() => this.run(serverId))
      .catch((error: unknown) => this.log.error({ err: error, serverId }, 'a server could not be told'))
      .finally(() => {
        if (this.runs.get(serverId)?.now === now && this.runs.get(serverId)?.next === null) this.runs.delete(serverId);
      });
    this.runs.set(serverId, { now, next: null });
    return now;
  }

  private async run(serverId: number): Promise<void> {
    try {
      const server = await this.servers.get(serverId);
      if (!server.applies || server.status === 'disabled' || (await this.health.isResting(serverId))) return;
      const provider = await this.providers.of(server);
      const began = performance.now();
      while (provider !== null && (await this.tell(server, provider)));
      this.metrics.applied(serverId, (performance.now() - began) / 1000);
    } catch (error) {
      await this.note(serverId, error);
    }
  }

  /**
   * Puts the next attempt off, and says why. What is no refusal of the server's is a fault of ours that it has brought to light: it is
   * counted and rests all the same, or it would be tried every second.
   * @throws what says that the database is away: that is no server's failure
   */
  async note(serverId: number, error: unknown): Promise<void> {
    if (isDatabaseUnavailable(error)) throw error;
    const jitter = 0.8 + (0.4 * this.randomness.bytes(1).readUInt8()) / 255;
    const kind = kindOf(error);
    if (kind === 'server_not_found') return; // deleted meanwhile: there is nothing to be told any more
    this.metrics.failed(serverId, kind);
    await this.health.failed(
      serverId,
      kind,
      (failures) => jitter * restSeconds(failures, LOGIN_REFUSALS.includes(kind)),
    );
    const level = error instanceof DomainError ? 'warn' : 'error';
    this.log[level]({ err: error, serverId, kind }, 'a WireGuard server could not be told');
  }

  /** One batch; true when there may be more. */
  private async tell(server: Server, provider: WireGuardProvider): Promise<boolean> {
    const rows = await this.desired.unapplied(server.id, BATCH);
    const leaving = await this.desired.dueLeftovers(server.id, BATCH);
    await this.put(
      server,
      provider,
      rows.filter(({ isWanted }) => isWanted),
    );
    const suspended = rows.filter(({ isWanted }) => !isWanted);
    if (suspended.length + leaving.length > 0) await this.drop(server, provider, { suspended, leaving });
    await this.forget(
      server.id,
      leaving.map(({ id }) => id),
    );
    if (rows.length + leaving.length > 0) await this.health.recovered(server.id);
    return rows.length === BATCH || leaving.length === BATCH;
  }

  /** Shuts peers out and has keys leave, after what they have moved was counted for the last time. */
  private async drop(
    { id }: Server,
    provider: WireGuardProvider,
    { suspended, leaving }: { readonly suspended: readonly DesiredRow[]; readonly leaving: readonly Leftover[] },
  ): Promise<void> {
    const last = await this.traffic.countBeforeRemoval(id, provider, { peers: suspended, leaving });
    if (suspended.length > 0) await provider.suspend(suspended);
    await this.traffic.dropped(suspended, last);
    await this.desired.markApplied(suspended);
    if (leaving.length > 0) await provider.remove(leaving);
    // Whose peer came back meanwhile is put there anew, and counted from nothing.
    await this.traffic.dropped(leaving, last);
  }

  /**
   * Puts rows onto a server and notes it, and answers how many it took; what was deleted meanwhile is taken off again. A peer that
   * cannot be put by itself holds up no other: what is wrong with it is noted in its row.
   */
  async put(server: Server, provider: WireGuardProvider, rows: readonly DesiredRow[]): Promise<number> {
    if (rows.length === 0) return 0;
    this.uow.assertClosed();
    const presharedKeys = await this.desired.presharedKeys(rows.map(({ id }) => id));
    const faults = new Map<number, string>();
    const put = async (batch: readonly DesiredRow[]): Promise<readonly DesiredRow[]> => {
      try {
        const specs = batch.map((row) => specOf(row, presharedKeys.get(row.id) ?? null));
        if (provider.chooses !== 'everything') await provider.put(specs);
        else for (const spec of specs) await this.putBack(server, provider, spec);
        return batch;
      } catch (error) {
        if (!isOfOnePeer(error)) throw error;
        const [first] = batch;
        if (batch.length === 1 && first !== undefined) {
          faults.set(first.id, kindOf(error));
          this.log.debug(
            { err: error, serverId: server.id, peerId: first.id },
            'a peer could not be put on its server',
          );
          return [];
        }
        const half = Math.ceil(batch.length / 2);
        return [...(await put(batch.slice(0, half))), ...(await put(batch.slice(half)))];
      }
    };
    const isReadable = ({ id }: DesiredRow): boolean => presharedKeys.get(id) !== null;
    for (const { id } of rows.filter((row) => !isReadable(row))) faults.set(id, 'unreadable_key');
    const batches = provider.chooses === 'everything' ? rows.map((row) => [row]) : [rows];
    const taken: DesiredRow[] = [];
    for (const batch of batches) taken.push(...(await put(batch.filter(isReadable))));
    await this.desired.markApplied(taken);
    await this.desired.markFaulty(faults);
    if (faults.size > 0)
      this.log.warn(
        { serverId: server.id, peers: faults.size, kinds: [...new Set(faults.values())] },
        'peers could not be put on their server, each for a reason of its own',
      );
    const vanished = await this.desired.vanished(server.id, taken);
    if (vanished.length > 0) await provider.remove(vanished);
    return taken.length;
  }

  /** Forgets keys that have left; their addresses rest and are free. */
  async forget(serverId: number, leftoverIds: readonly number[]): Promise<void> {
    if (leftoverIds.length === 0) return;
    await this.uow.run(async () => {
      for (const address of await this.desired.forgetLeftovers(leftoverIds)) {
        await this.addresses.release(serverId, address);
      }
    });
  }

  /** Opens a peer of a server that makes its own keys. One that somebody deleted there is made anew: its config text changes. */
  private async putBack(server: Server, provider: WireGuardProvider, spec: Spec): Promise<void> {
    try {
      await provider.put([spec]);
    } catch (error) {
      if (!(error instanceof DomainError) || error.params['kind'] !== 'gone') throw error;
      const bare = { peerId: spec.peerId, publicKey: null, addresses: null, presharedKey: null, remoteId: null };
      const [material] = await provider.put([bare]);
      if (material !== undefined) await this.desired.remake(server.id, material);
    }
  }
}

type Spec = Parameters<WireGuardProvider['put']>[0][number];

function specOf({ id, publicKey, networks, remoteId }: DesiredRow, presharedKey: string | null): Spec {
  return { peerId: id, publicKey, addresses: networks, presharedKey, remoteId };
}

/** Refusals of a server that are about the peer that was to be put, and not about the server. */
const OF_ONE_PEER: ReadonlySet<unknown> = new Set(['grammar', 'request', 'gone', 'not_ours']);

/** Whether a failure may be that of one peer of those that were to be put. What is no refusal at all is a fault of ours, with it. */
function isOfOnePeer(error: unknown): boolean {
  if (!(error instanceof DomainError)) return !isDatabaseUnavailable(error) && !(error instanceof LeaseLostError);
  if (error.code === 'server_unavailable') return false;
  return error.code !== 'server_refused' || OF_ONE_PEER.has(error.params['kind']);
}

/** One word for what went wrong. */
function kindOf(error: unknown): string {
  return error instanceof DomainError ? String(error.params['kind'] ?? error.code) : 'internal';
}
