import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { Clock, DomainError, Randomness } from '#kernel';
import { type Lease, LeaseLostError, Leases, LOG, UnitOfWork } from '#platform';
import { Providers, type Server, ServerHealthRepository, Servers, type WireGuardProvider } from '#wireguard';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository, type DesiredRow } from './desired-peers.repository.js';
import { PeersMetrics } from './peers.metrics.js';
import { type Difference, difference, isTooMuch } from './reconciliation.rules.js';
import { Traffic } from './traffic.service.js';

/** What a sweep found and did on one server. */
export interface SweepReport {
  readonly serverId: number;
  /** What is there afterwards, strangers included. */
  readonly live: number;
  readonly put: number;
  readonly suspended: number;
  readonly removed: number;
  /** Peers of no row that were left alone, because the server is not adopted yet. */
  readonly strangers: number;
  /** Removals that wait for an operator, because they were too many. */
  readonly held: number;
}

const INTERVAL_SECONDS = 30;
/** Up to a fifth earlier or later, so that servers do not come due together for ever. */
const JITTER = 0.2;
const AT_ONCE = 4;
const ALL = 1_000_000;
/** How long the creation of a peer may take from the server's making of it to our row, in milliseconds. */
const UNFINISHED_MS = 60_000;

/** Makes servers hold what the rows say, whatever happened to either: the slow, sure half of applying. */
@Injectable()
export class Reconciliation {
  /** For each server the strangers of the last sweep, by key, and when they were first seen. */
  private readonly firstSeen = new Map<number, ReadonlyMap<string, number>>();

  constructor(
    private readonly uow: UnitOfWork,
    private readonly leases: Leases,
    private readonly servers: Servers,
    private readonly providers: Providers,
    private readonly health: ServerHealthRepository,
    private readonly desired: DesiredPeersRepository,
    private readonly applying: Applying,
    private readonly traffic: Traffic,
    private readonly access: Access,
    private readonly metrics: PeersMetrics,
    private readonly clock: Clock,
    private readonly randomness: Randomness,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Sweeps the servers that are due, a few at a time; one that fails holds up no other. */
  async sweepDue(): Promise<readonly SweepReport[]> {
    const due = [...(await this.health.due(ALL))];
    const reports: SweepReport[] = [];
    const work = async (): Promise<void> => {
      for (let id = due.shift(); id !== undefined; id = due.shift()) {
        const report = await this.attempt(id);
        if (report !== null) reports.push(report);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return reports;
  }

  /**
   * Sweeps one server now; null when another instance is at it. With `force` the server is adopted (from now on peers that we do
   * not know are removed) and the brake is let go, this once.
   * @throws DomainError server_unavailable | server_refused
   */
  async sweep(serverId: number, { force = false } = {}): Promise<SweepReport | null> {
    const done = await this.leases.run(`sweep ${serverId}`, async (lease) => {
      if (force) await this.servers.adopt(serverId);
      const server = await this.servers.get(serverId);
      const provider = await this.providers.of(server);
      if (provider === null) throw new DomainError('server_refused', { params: { kind: 'not_applied' } });
      return this.reconcile(server, provider, lease, force);
    });
    return done?.result ?? null;
  }

  private async attempt(serverId: number): Promise<SweepReport | null> {
    try {
      return await this.sweep(serverId);
    } catch (error) {
      if (error instanceof LeaseLostError) {
        this.log.warn({ err: error, serverId }, 'a sweep was given up: another instance may be at it');
        return null;
      }
      await this.applying.note(serverId, error);
      return null;
    }
  }

  private async reconcile(
    server: Server,
    provider: WireGuardProvider,
    lease: Lease,
    force: boolean,
  ): Promise<SweepReport> {
    this.uow.assertClosed();
    const began = performance.now();
    // In this order: a row is committed before its server is told, so whatever is live has its row by the time rows are read.
    const snapshot = await this.traffic.read(server.id, provider);
    const { live } = snapshot;
    const leaving = await this.desired.leftovers(server.id);
    const desired = await this.desired.ofServer(server.id);
    const leftovers = new Map(leaving.map((leftover) => [leftover.publicKey, leftover]));
    // Before anything is dropped there: what it has counted goes with it.
    const last = { serverId: server.id, endedAt: snapshot.time.ended };
    const exhausted = await this.traffic.count(snapshot, { peers: desired, leaving });
    const found = difference({ live, desired, leftovers });

    const strangers = server.adopted ? this.settled(server, provider, found) : [];
    const toRemove = [...found.toRemove, ...strangers];
    const removals = toRemove.length + found.toSuspend.length;
    const isHeld = !force && isTooMuch(removals, live.length);
    lease.assertHeld();
    if (isHeld) {
      this.log.error(
        { serverId: server.id, removals, live: live.length },
        'a sweep would remove too many peers: stopped',
      );
    } else {
      if (found.toSuspend.length > 0) {
        const shut = found.toSuspend.map(({ desired: { publicKey, remoteId } }) => ({ publicKey, remoteId }));
        await provider.suspend(shut);
        await this.traffic.dropped(shut, last);
      }
      if (toRemove.length > 0) await provider.remove(toRemove);
      await this.traffic.dropped(toRemove, last);
      await this.applying.forget(
        server.id,
        leaving.filter(({ isDue }) => isDue).map(({ id }) => id),
      );
    }
    lease.assertHeld();
    const put = await this.applying.put(server, provider, found.toPut);
    const putNow = new Set(found.toPut);
    const confirmed = desired.filter((row) => !putNow.has(row) && (row.isWanted || !isHeld));
    await this.uow.run(() => this.desired.markApplied(confirmed));
    await this.access.enforceAmong(exhausted);

    const report = {
      serverId: server.id,
      live: live.length + put - (isHeld ? 0 : toRemove.length),
      put,
      suspended: isHeld ? 0 : found.toSuspend.length,
      removed: isHeld ? 0 : toRemove.length,
      strangers: found.strangers.length - strangers.length,
      held: isHeld ? removals : 0,
    };
    const swept = {
      nextInSeconds: INTERVAL_SECONDS * (1 - JITTER + (2 * JITTER * this.randomness.bytes(1).readUInt8()) / 255),
      livePeers: report.live,
      strangers: report.strangers,
      heldRemovals: isHeld ? removals : null,
    };
    await this.uow.run(() => this.health.succeeded(server.id, swept));
    this.metrics.swept(server.id, (performance.now() - began) / 1000, found);
    if (report.put + report.suspended + report.removed > 0)
      this.log.info(report, 'a server differed from the database');
    return report;
  }

  /** Strangers that may go. A server that makes its own keys holds a new peer before its row is written: such a one is given time. */
  private settled(
    server: Server,
    provider: WireGuardProvider,
    { strangers }: Difference<DesiredRow>,
  ): Difference<DesiredRow>['strangers'] {
    if (provider.chooses !== 'everything') return strangers;
    const now = this.clock.now().getTime();
    const before = this.firstSeen.get(server.id);
    const since = new Map(strangers.map(({ publicKey }) => [publicKey, before?.get(publicKey) ?? now]));
    this.firstSeen.set(server.id, since);
    return strangers.filter(({ publicKey }) => now - (since.get(publicKey) ?? now) >= UNFINISHED_MS);
  }
}
