import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { DomainError, Randomness } from '#kernel';
import { isDatabaseUnavailable, LeaseLostError, LOG, UnitOfWork } from '#platform';
import {
  Addresses,
  LOGIN_REFUSALS,
  type PeerSpec,
  Providers,
  type Server,
  ServerHealthRepository,
  Servers,
  type WireGuardProvider,
} from '#wireguard';
import { DesiredPeersRepository, type DesiredRow, type Leftover } from './desired-peers.repository.js';
import { PeersMetrics } from './peers.metrics.js';
import { isTooMuch, restSeconds } from './reconciliation.rules.js';
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
    const put = await this.put(
      server,
      provider,
      rows.filter(({ isWanted }) => isWanted),
    );
    const suspended = rows.filter(({ isWanted }) => !isWanted);
    const dropped =
      suspended.length + leaving.length === 0 ? 0 : await this.drop(server, provider, { suspended, leaving });
    if (rows.length + leaving.length > 0) await this.health.recovered(server.id);
    // What could not be done is there again in the next batch.
    return put + dropped > 0 && (rows.length === BATCH || leaving.length === BATCH);
  }

  /** Shuts peers out and has keys leave, after what they have moved was counted for the last time. Answers how many that were. */
  private async drop(
    { id }: Server,
    provider: WireGuardProvider,
    { suspended, leaving }: { readonly suspended: readonly DesiredRow[]; readonly leaving: readonly Leftover[] },
  ): Promise<number> {
    const last = await this.traffic.countBeforeRemoval(id, provider, { peers: suspended, leaving });
    if (suspended.length > 0) await provider.suspend(suspended);
    await this.traffic.dropped(suspended, last);
    await this.desired.markApplied(suspended);
    const gone = await this.remove(provider, leaving);
    // Whose peer came back meanwhile is put there anew, and counted from nothing.
    await this.traffic.dropped(gone, last);
    await this.forget(
      id,
      gone.map((leftover) => leftover.id),
    );
    return suspended.length + gone.length;
  }

  /**
   * Puts rows onto a server and notes it, and answers how many it took; what was deleted meanwhile is taken off again. A peer that
   * cannot be put by itself holds up no other: what is wrong with it is noted in its row. Where the server makes the keys and has lost
   * some, these are made anew, as far as `remakes` goes.
   */
  async put(
    server: Server,
    provider: WireGuardProvider,
    rows: readonly DesiredRow[],
    remakes: Remakes = 'few',
  ): Promise<number> {
    if (rows.length === 0) return 0;
    this.uow.assertClosed();
    const presharedKeys = await this.desired.presharedKeys(rows.map(({ id }) => id));
    const faults = new Map<number, string>();
    for (const { id } of rows.filter((row) => presharedKeys.get(row.id) === null)) faults.set(id, 'unreadable_key');
    // A server drops a peer with its own key without a word.
    for (const { id } of rows.filter(({ publicKey }) => publicKey === server.publicKey)) faults.set(id, 'server_key');
    const sound = rows.filter(({ id }) => !faults.has(id));
    const specs = sound.map((row) => specOf(row, presharedKeys.get(row.id) ?? null));
    const refusals =
      provider.chooses === 'everything'
        ? await this.putBack(server, provider, specs, remakes)
        : await this.putEach(server, provider, specs);
    for (const [{ peerId }, why] of refusals) faults.set(peerId, kindOf(why));
    const taken = rows.filter(({ id }) => !faults.has(id));
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

  /** Puts peers, and answers why some of them could not be: whatever they spoil together is tried in halves. */
  private async putEach(
    server: Server,
    provider: WireGuardProvider,
    batch: readonly PeerSpec[],
  ): Promise<ReadonlyMap<PeerSpec, unknown>> {
    if (batch.length === 0) return new Map();
    try {
      await provider.put(batch);
      return new Map();
    } catch (error) {
      if (!isOfOnePeer(error)) throw error;
      const [first] = batch;
      if (batch.length === 1 && first !== undefined) {
        const told = { err: error, serverId: server.id, peerId: first.peerId };
        this.log.debug(told, 'a peer could not be put on its server');
        return new Map([[first, error]]);
      }
      const half = Math.ceil(batch.length / 2);
      return new Map([
        ...(await this.putEach(server, provider, batch.slice(0, half))),
        ...(await this.putEach(server, provider, batch.slice(half))),
      ]);
    }
  }

  /** Takes keys off a server that are to leave it, and answers those that have: where that is not certain, they are asked for again. */
  async remove(provider: WireGuardProvider, leaving: readonly Leftover[]): Promise<readonly Leftover[]> {
    if (leaving.length === 0) return [];
    const uncertain = new Set<string>();
    await provider.remove(leaving, { onUncertain: ({ publicKey }) => uncertain.add(publicKey) });
    return leaving.filter(({ publicKey }) => !uncertain.has(publicKey));
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

  /**
   * Opens peers of a server that makes its own keys, and answers why some of them could not be. One that somebody deleted there is
   * made anew: its config text changes.
   * @throws DomainError what it refused all of them with, when that is no matter of a single one
   */
  private async putBack(
    server: Server,
    provider: WireGuardProvider,
    specs: readonly PeerSpec[],
    remakes: Remakes,
  ): Promise<ReadonlyMap<PeerSpec, DomainError>> {
    if (specs.length === 0) return new Map();
    const refusals = new Map<PeerSpec, DomainError>();
    const onRefused = (spec: PeerSpec, why: DomainError): void => void refusals.set(spec, why);
    await provider.put(specs, { onRefused });
    const gone = [...refusals].flatMap(([spec, why]) => (why.params['kind'] === 'gone' ? [spec] : []));
    const isHeld =
      remakes === 'none' || (remakes === 'few' && (await this.isHeld(server.id, gone.length, specs.length)));
    if (!isHeld && gone.length > 0) {
      const specOfPeer = new Map(gone.map((spec) => [spec.peerId, spec]));
      for (const spec of gone) refusals.delete(spec);
      const bare = gone.map(({ peerId }) => ({ ...NOTHING_KNOWN, peerId }));
      const onRefusedAgain = (spec: PeerSpec, why: DomainError): void =>
        onRefused(specOfPeer.get(spec.peerId) ?? spec, why);
      for (const material of await provider.put(bare, { onRefused: onRefusedAgain }))
        await this.desired.remake(server.id, material);
    }
    const ofTheServer = [...refusals.values()].find((why) => !isOfOnePeer(why));
    if (ofTheServer !== undefined && refusals.size === specs.length) throw ofTheServer;
    return refusals;
  }

  /** Whether a sweep has found the server not to be itself, or this alone looks like it. */
  private async isHeld(serverId: number, gone: number, of: number): Promise<boolean> {
    if (gone === 0) return false;
    return isTooMuch(gone, of) || ((await this.health.find(serverId))?.heldRemovals ?? null) !== null;
  }
}

/** How many peers that a server has lost may be made anew, with other keys. */
type Remakes = 'all' | 'few' | 'none';

const NOTHING_KNOWN = { publicKey: null, addresses: null, presharedKey: null, remoteId: null };

function specOf({ id, publicKey, networks, remoteId }: DesiredRow, presharedKey: string | null): PeerSpec {
  return { peerId: id, publicKey, addresses: networks, presharedKey, remoteId };
}

/** Refusals of a server that are about the peer that was to be put, and not about the server. */
const OF_ONE_PEER: ReadonlySet<unknown> = new Set(['grammar', 'request', 'gone']);

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
