import { Injectable } from '@nestjs/common';
import { addSeconds, Clock } from '#kernel';
import { Subscriptions } from '#subscriptions';
import { InvariantsRepository } from './invariants.repository.js';
import { PeersRepository } from './peers.repository.js';

/** How old a count may be, in seconds: some of it reads every peer. */
const KEPT_SECONDS = 300;
/** How long after the end of access a peer may still be wanted, in seconds. */
const ENDING_SECONDS = 120;
const BATCH = 500;

/** How often each invariant is broken, by its name (security page 4.2). */
export type Violations = Readonly<Record<'I2' | 'I3' | 'I4' | 'I5' | 'I6', number>>;

/** What must be true of peers, addresses, servers and subscriptions at any time. Anything above 0 is a fault of ours. */
@Injectable()
export class Invariants {
  private counted: { readonly until: Date; readonly violations: Promise<Violations> } | undefined;
  /** Those that waited at the last count, and for which change. */
  private waited: ReadonlyMap<number, number> = new Map();

  constructor(
    private readonly repository: InvariantsRepository,
    private readonly peers: PeersRepository,
    private readonly subscriptions: Subscriptions,
    private readonly clock: Clock,
  ) {}

  /** The last count, which is five minutes old at most. */
  violations(): Promise<Violations> {
    const now = this.clock.now();
    if (this.counted === undefined || now >= this.counted.until) {
      const violations = this.count(now);
      this.counted = { until: addSeconds(now, KEPT_SECONDS), violations };
      violations.catch(() => (this.counted = undefined)); // a failure is not worth remembering
    }
    return this.counted.violations;
  }

  private async count(now: Date): Promise<Violations> {
    return {
      I2: await this.stuck(),
      I3: await this.repository.doubledAddresses(),
      I4: await this.repository.doubledKeys(),
      I5: await this.outliving(now),
      I6: await this.subscriptions.countDoubled(),
    };
  }

  /** Peers that a server that answers was to be told of at the last count, and still is. */
  private async stuck(): Promise<number> {
    const waiting = await this.repository.waiting();
    const { waited } = this;
    this.waited = new Map(waiting.map(({ id, generation }) => [id, generation]));
    return waiting.filter(({ id, generation }) => waited.get(id) === generation).length;
  }

  /** Users with wanted peers who have no access, and had none two minutes ago. */
  private async outliving(now: Date): Promise<number> {
    let total = 0;
    for (let last = 0; ;) {
      const owners = await this.peers.owners(last, BATCH);
      const wanted = owners.filter((owner) => owner.wanted > 0).map(({ userId }) => userId);
      const entitled = await this.subscriptions.entitledAmong(wanted);
      const over = wanted.filter((userId) => !entitled.has(userId));
      const before = await this.subscriptions.entitledAmong(over, addSeconds(now, -ENDING_SECONDS));
      total += over.filter((userId) => !before.has(userId)).length;
      last = owners.at(-1)?.userId ?? last;
      if (owners.length < BATCH) return total;
    }
  }
}
