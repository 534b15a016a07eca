import { Column, Entity, JoinColumn, OneToOne, PrimaryColumn, type Relation } from 'typeorm';
import { ServerEntity } from './server.entity.js';

/** What the sweep knows of a server: written by it alone, and apart from what operators write. */
@Entity('vpn_server_health')
export class ServerHealthEntity {
  @PrimaryColumn('integer', { name: 'server_id', primaryKeyConstraintName: 'vpn_server_health_pkey' })
  serverId: number;

  @OneToOne(() => ServerEntity, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'server_id', foreignKeyConstraintName: 'vpn_server_health_server_id_fkey' })
  server?: Relation<ServerEntity>;

  @Column('timestamptz', { name: 'next_sweep_at' })
  nextSweepAt: Date;

  /** The last time it went well. */
  @Column('timestamptz', { name: 'swept_at', nullable: true })
  sweptAt: Date | null;

  /** When the sweep that went well began, and how long it took. */
  @Column('timestamptz', { name: 'sweep_started_at', nullable: true })
  sweepStartedAt: Date | null;

  @Column('integer', { name: 'sweep_ms', nullable: true })
  sweepMs: number | null;

  /** The last time it did not go well. */
  @Column('timestamptz', { name: 'failed_at', nullable: true })
  failedAt: Date | null;

  /** In a row, since it last went well. */
  @Column('integer', { default: 0 })
  failures: number;

  /** The kind of the last failure, while there is one. */
  @Column('varchar', { length: 32, nullable: true })
  failure: string | null;

  @Column('integer', { name: 'live_peers', default: 0 })
  livePeers: number;

  /** Peers there that we know nothing of. */
  @Column('integer', { default: 0 })
  strangers: number;

  /** How many removals the brake holds back; null while it is open. */
  @Column('integer', { name: 'held_removals', nullable: true })
  heldRemovals: number | null;

  /** The server's own key when it was last taken for the same server; null where that was never asked. */
  @Column('varchar', { name: 'public_key', length: 44, nullable: true })
  publicKey: string | null;
}
