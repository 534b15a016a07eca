import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';

/** A key that is still on a server and must leave it: its peer was deleted, moved, or got another key. */
@Entity('vpn_peer_leftovers')
@Index('vpn_peer_leftovers_server_id', ['serverId', 'id'])
@Index('vpn_peer_leftovers_public_key', ['publicKey'])
export class PeerLeftoverEntity {
  @PrimaryGeneratedColumn('identity', {
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'vpn_peer_leftovers_pkey',
  })
  id: number;

  @Column('integer', { name: 'server_id' })
  serverId: number;

  @ManyToOne('ServerEntity', { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'server_id', foreignKeyConstraintName: 'vpn_peer_leftovers_server_id_fkey' })
  server?: object;

  @Column('varchar', { name: 'public_key', length: 44 })
  publicKey: string;

  @Column('varchar', { name: 'wg_client_id', length: 64, nullable: true })
  remoteId: string | null;

  /** To be given back once the key is gone; null when a peer goes on using it. */
  @Column('inet', { nullable: true })
  address: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  /** Whose traffic it is that passes until the key has left; null: nobody's that is known. */
  @Column('integer', { name: 'user_id', nullable: true })
  userId: number | null;

  /** Whose totals it adds to; perhaps of a peer that is gone. */
  @Column('integer', { name: 'peer_id', nullable: true })
  peerId: number | null;

  /** The peer's counters on this server, as `vpn_peers` has them. */
  @Column('bigint', { name: 'rx_seen', default: 0 })
  receivedSeen: string;

  @Column('bigint', { name: 'tx_seen', default: 0 })
  sentSeen: string;

  @Column('bigint', { name: 'read_seq', default: 0 })
  readSequence: string;
}
