import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram } from 'prom-client';
import { addDays, Clock } from '#kernel';
import { InvariantsGauge, JobRuns, Metrics } from '#platform';
import { DesiredPeersRepository, type ServerFigures } from './desired-peers.repository.js';
import { Invariants } from './invariants.service.js';
import { type Difference } from './reconciliation.rules.js';

/** Seconds: from a command on a pooled connection (5 ms) to the limit of one (10 s). */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const GROWTH_DAYS = 7;

type Label = 'server';
type ValueOf = (figures: ServerFigures) => number | null;

/** What operators watch of peers and servers. Totals are read when they are asked for; what happens is counted as it does. */
@Injectable()
export class PeersMetrics {
  private readonly applying: Histogram<Label>;
  private readonly sweeping: Histogram<Label>;
  private readonly drift: Counter<Label | 'kind'>;
  private readonly errors: Counter<Label | 'kind'>;
  private reading: Promise<readonly ServerFigures[]> | undefined;

  constructor(
    metrics: Metrics,
    private readonly desired: DesiredPeersRepository,
    private readonly clock: Clock,
    invariants: Invariants,
    gauge: InvariantsGauge,
    jobs: JobRuns,
  ) {
    const registers = [metrics.registry];
    const labelNames = ['server'] as const;
    this.applying = new Histogram({
      name: 'vpn_apply_seconds',
      help: 'How long it took to tell a server of changes',
      labelNames,
      buckets: BUCKETS,
      registers,
    });
    this.sweeping = new Histogram({
      name: 'vpn_sweep_seconds',
      help: 'How long a sweep of a server took',
      labelNames,
      buckets: BUCKETS,
      registers,
    });
    this.drift = new Counter({
      name: 'vpn_drift_total',
      help: 'Differences that sweeps found: peers to put, to suspend, to remove, and strangers',
      labelNames: ['server', 'kind'],
      registers,
    });
    this.errors = new Counter({
      name: 'vpn_server_errors_total',
      help: 'Calls to a server that failed, by kind',
      labelNames: ['server', 'kind'],
      registers,
    });
    this.gauges(metrics);
    for (const [name, help, figure] of ENFORCEMENT_GAUGES) {
      const gauge = new Gauge({
        name,
        help,
        registers,
        collect: async () => {
          const run = (await jobs.list()).find((job) => job.name === 'enforce-access');
          gauge.set(run?.figures?.[figure] ?? 0);
        },
      });
    }
    gauge.add(() => invariants.violations());
  }

  applied(serverId: number, seconds: number): void {
    this.applying.observe({ server: serverId }, seconds);
  }

  swept(serverId: number, seconds: number, found: Difference): void {
    this.sweeping.observe({ server: serverId }, seconds);
    for (const kind of ['toPut', 'toSuspend', 'toRemove', 'strangers'] as const) {
      if (found[kind].length > 0) this.drift.inc({ server: serverId, kind: KINDS[kind] }, found[kind].length);
    }
  }

  failed(serverId: number, kind: string): void {
    this.errors.inc({ server: serverId, kind });
  }

  private gauges({ registry }: Metrics): void {
    const { read } = this;
    const byStatus = new Gauge({
      name: 'vpn_peers',
      help: 'Peers, by status',
      labelNames: ['server', 'status'],
      registers: [registry],
      collect: async () => {
        byStatus.reset();
        for (const figures of await read()) {
          for (const status of STATUSES) byStatus.set({ server: figures.serverId, status }, figures[status]);
        }
      },
    });
    for (const [name, help, valueOf] of GAUGES) {
      const gauge = new Gauge({
        name,
        help,
        labelNames: ['server'],
        registers: [registry],
        collect: async () => {
          gauge.reset();
          for (const figures of await read()) {
            const value = valueOf(figures);
            if (value !== null) gauge.set({ server: figures.serverId }, value);
          }
        },
      });
    }
  }

  /** The figures of all servers: one query for all gauges, which are asked together. */
  private readonly read = (): Promise<readonly ServerFigures[]> => {
    const since = addDays(this.clock.now(), -GROWTH_DAYS);
    this.reading ??= this.desired.figures(since, this.clock.now()).finally(() => (this.reading = undefined));
    return this.reading;
  };
}

/** As of the last run, whichever instance it was on. */
const ENFORCEMENT_GAUGES = [
  [
    'vpn_access_endings_held',
    'Subscriptions that are over and were not ended because they are too many: more than 0 is an alert',
    'held',
  ],
  [
    'vpn_access_backlog',
    'What is over and still stands: subscriptions not ended, devices not shut out; as of the last run',
    'backlog',
  ],
] as const;

const STATUSES = ['pending', 'active', 'suspended'] as const;
const KINDS = { toPut: 'put', toSuspend: 'suspend', toRemove: 'remove', strangers: 'stranger' } as const;

const used = ({ pending, active, suspended, leftovers }: ServerFigures): number =>
  pending + active + suspended + leftovers;

const GAUGES: readonly (readonly [name: string, help: string, valueOf: ValueOf])[] = [
  ['vpn_peers_unapplied', 'Peers whose latest change a server was not told yet', ({ unapplied }) => unapplied],
  [
    'vpn_peers_faulty',
    'Peers that their server cannot be told of, each for a reason of its own: more than 0 is an alert',
    ({ faulty }) => faulty,
  ],
  ['vpn_peer_leftovers', 'Keys that are to leave a server and have not been seen to', ({ leftovers }) => leftovers],
  ['vpn_pool_addresses', 'Addresses a server has for peers', ({ addresses }) => addresses],
  ['vpn_pool_used', 'Addresses that peers have', used],
  [
    'vpn_pool_days_left',
    'Days until the pool is used up, at the pace of the last week',
    (figures) => (Math.max(0, figures.addresses - used(figures)) / figures.recent) * GROWTH_DAYS,
  ],
  ['vpn_server_failures', 'Failures in a row, 0 when the last call went well', ({ failures }) => failures],
  ['vpn_server_strangers', 'Peers there that no row knows, left alone', ({ strangers }) => strangers],
  [
    'vpn_server_held_removals',
    'Removals that the brake holds back until an operator says so: more than 0 is an alert',
    ({ heldRemovals }) => heldRemovals ?? 0,
  ],
  ['vpn_server_swept_seconds_ago', 'Since the last sweep that went well', ({ sweptSecondsAgo }) => sweptSecondsAgo],
];
