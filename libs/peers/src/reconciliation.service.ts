import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { Clock, DomainError, Randomness } from '#kernel';
import { type Lease, LeaseLostError, Leases, LOG, UnitOfWork } from '#platform';
import { Providers, type Server, ServerHealthRepository, Servers, type WireGuardProvider } from '#wireguard';
import { Access } from './access.service.js';
import { Applying } from './applying.service.js';
import { DesiredPeersRepository, type DesiredRow } from './desired-peers.repository.js';
import { KnownKeysRepository } from './known-keys.repository.js';
import { PeersMetrics } from './peers.metrics.js';
import { type Difference, difference, isShort, isTooMuch } from './reconciliation.rules.js';
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
  /** Removals, and peers to be made anew, that wait for an operator, because they are too many or the server seems to be another. */
  readonly held: number;
  readonly isAdopted: boolean;
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
    private readonly knownKeys: KnownKeysRepository,
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
      // Whatever it was, it is this server's failure: seen, and tried again after a while, and no other waits for it.
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
    const identity = await this.identify(server, provider);
    const leaving = await this.desired.leftovers(server.id);
    const desired = await this.desired.ofServer(server.id);
    const leftovers = new Map(leaving.map((leftover) => [leftover.publicKey, leftover]));
    // Before anything is dropped there: what it has counted goes with it.
    const last = { serverId: server.id, endedAt: snapshot.time.ended };
    const exhausted = await this.traffic.count(snapshot, { peers: desired, leaving });
    const serverChooses = provider.chooses === 'everything';
    const found = difference({ live, desired, leftovers, serverChooses });

    const isEmptied = !force && serverChooses && isShort(found.missing.length, desired.length);
    const isStrange = !force && identity.isAnother && found.missing.length + leaving.length > 0;
    const { back, strangers: unknown } = await this.recognise(server, found.strangers);
    const settled = this.settled(server, provider, unknown);
    const strangers = server.adopted && !isStrange ? settled : [];
    const toRemove = [...found.toRemove, ...strangers];
    const removals = toRemove.length + found.toSuspend.length;
    const isTooMany = !force && isTooMuch(removals, live.length);
    lease.assertHeld();
    const refusals: DomainError[] = [];
    const returned = isStrange ? [] : back;
    refusals.push(...(await refusalsOf(() => this.removeReturned(server, provider, returned))));
    if (found.toSuspend.length > 0 && !isTooMany) {
      const shut = found.toSuspend.map(({ desired: { publicKey, remoteId } }) => ({ publicKey, remoteId }));
      refusals.push(...(await refusalsOf(() => provider.suspend(shut))));
      if (refusals.length === 0) await this.traffic.dropped(shut, last);
    }
    const areShut = !isTooMany && refusals.length === 0;
    if (!isTooMany && !isStrange) {
      const isThere = new Set(toRemove.map(({ publicKey }) => publicKey));
      const due = leaving.filter(({ isDue }) => isDue);
      const leave = async (): Promise<void> => {
        if (strangers.length > 0) await provider.remove(strangers);
        // Only one that makes peers itself can have peers that it does not show.
        const asked = due.filter(({ publicKey }) => serverChooses || isThere.has(publicKey));
        const gone = new Set(await this.applying.remove(provider, asked));
        await this.traffic.dropped(toRemove, last);
        await this.applying.forget(
          server.id,
          due.filter((leftover) => gone.has(leftover) || !asked.includes(leftover)).map(({ id }) => id),
        );
      };
      refusals.push(...(await refusalsOf(leave)));
    }
    await this.noteStrangers(server, settled, isTooMany || isStrange || refusals.length > 0);
    lease.assertHeld();
    for (const { desired: row, live: peer } of found.toFollow) await this.desired.followAddresses(server.id, row, peer);
    const remakes = isStrange || isEmptied ? 'none' : force ? 'all' : 'few';
    const put = await this.applying.put(server, provider, found.toPut, remakes);
    const putNow = new Set(found.toPut);
    const confirmed = desired.filter((row) => !putNow.has(row) && (row.isWanted || areShut));
    await this.uow.run(() => this.desired.markApplied(confirmed));
    await this.access.enforceAmong(exhausted);
    // One peer that cannot be dealt with keeps nobody else from being served and counted.
    const [refusal] = refusals;
    if (refusal !== undefined) throw refusal;

    const isHeld = isTooMany || isStrange || isEmptied;
    const held =
      (isTooMany ? removals : isStrange ? toRemove.length : 0) + (isStrange || isEmptied ? found.missing.length : 0);
    if (isHeld) {
      const figures = { serverId: server.id, removals, missing: found.missing.length, live: live.length };
      this.log.error(
        figures,
        isTooMany
          ? 'a sweep would remove too many peers: stopped'
          : 'a server seems to be another one, or to have lost its peers: none is made anew',
      );
    }

    const report = {
      serverId: server.id,
      live: live.length + put - returned.length - (isTooMany || isStrange ? 0 : toRemove.length),
      put,
      suspended: isTooMany ? 0 : found.toSuspend.length,
      removed: returned.length + (isTooMany || isStrange ? 0 : toRemove.length),
      strangers: unknown.length - (isTooMany || isStrange ? 0 : strangers.length),
      held,
      isAdopted: server.adopted,
    };
    const sweepMs = performance.now() - began;
    const swept = {
      sweepMs,
      nextInSeconds: INTERVAL_SECONDS * (1 - JITTER + (2 * JITTER * this.randomness.bytes(1).readUInt8()) / 255),
      livePeers: report.live,
      strangers: report.strangers,
      heldRemovals: isHeld ? held : null,
      // Until an operator says so, it is the other one that is expected.
      publicKey: isStrange ? identity.before : identity.publicKey,
    };
    await this.uow.run(() => this.health.succeeded(server.id, swept));
    this.metrics.swept(server.id, sweepMs / 1000, found);
    if (report.put + report.suspended + report.removed > 0)
      this.log.info(report, 'a server differed from the database');
    return report;
  }

  /**
   * Whether a server that makes everything itself is the one it was: its own key says so, which comes with the volume that holds its
   * peers. To see it is also to see that all of its peers are shown to us.
   */
  private async identify(
    server: Server,
    provider: WireGuardProvider,
  ): Promise<{ readonly publicKey: string | null; readonly before: string | null; readonly isAnother: boolean }> {
    if (provider.chooses !== 'everything') return { publicKey: null, before: null, isAnother: false };
    const now = await provider.serverKey();
    const before = (await this.health.find(server.id))?.publicKey ?? null;
    if (now !== null && now !== server.publicKey)
      this.log.error({ serverId: server.id, publicKey: now }, 'a server has another key than devices are given');
    return { publicKey: now ?? before, before, isAnother: now !== null && before !== null && now !== before };
  }

  /** Tells peers that were ours, and have left, from strangers: a host that was restored with an old list has them again. */
  private async recognise(
    server: Server,
    strangers: Difference<DesiredRow>['strangers'],
  ): Promise<{ readonly back: Difference['strangers']; readonly strangers: Difference['strangers'] }> {
    const { departed, ours } = await this.knownKeys.recognise(
      server.id,
      strangers.map(({ publicKey }) => publicKey),
    );
    return {
      back: strangers.filter(({ publicKey }) => departed.has(publicKey)),
      strangers: strangers.filter(({ publicKey }) => !departed.has(publicKey) && !ours.has(publicKey)),
    };
  }

  /** Whatever the number: these have been removed before, each by its own. */
  private async removeReturned(
    server: Server,
    provider: WireGuardProvider,
    back: Difference['strangers'],
  ): Promise<void> {
    if (back.length === 0) return;
    await provider.remove(back);
    this.log.warn(
      { serverId: server.id, peers: back.length },
      'peers that were removed were back on a server: removed',
    );
  }

  /** No device may have a stranger's key, for as long as it is there. */
  private async noteStrangers(server: Server, strangers: Difference['strangers'], isHeld: boolean): Promise<void> {
    const keys = strangers.map(({ publicKey }) => publicKey);
    if (server.adopted && !isHeld) return this.knownKeys.forgetForeign(server.id, keys);
    const added = await this.knownKeys.noteForeign(server.id, keys);
    if (added > 0)
      this.log.warn({ serverId: server.id, strangers: keys.length, added }, 'a server has peers that are not ours');
  }

  /** Strangers that may go. A server that makes its own keys holds a new peer before its row is written: such a one is given time. */
  private settled(
    server: Server,
    provider: WireGuardProvider,
    strangers: Difference<DesiredRow>['strangers'],
  ): Difference<DesiredRow>['strangers'] {
    if (provider.chooses !== 'everything') return strangers;
    const now = this.clock.now().getTime();
    const before = this.firstSeen.get(server.id);
    const since = new Map(strangers.map(({ publicKey }) => [publicKey, before?.get(publicKey) ?? now]));
    this.firstSeen.set(server.id, since);
    return strangers.filter(({ publicKey }) => now - (since.get(publicKey) ?? now) >= UNFINISHED_MS);
  }
}

/** What a server refused, if anything. @throws DomainError when it did not answer at all: nothing else will be answered either */
async function refusalsOf(work: () => Promise<void>): Promise<readonly DomainError[]> {
  try {
    await work();
    return [];
  } catch (error) {
    const isSilence = error instanceof DomainError && ['network', 'timeout'].includes(String(error.params['kind']));
    if (!(error instanceof DomainError) || isSilence) throw error;
    return [error];
  }
}
