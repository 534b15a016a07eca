import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type Peer, type PeerStatus, type SuspendedReason } from './peer.js';

/** The driver reads a bigint as text; bytes of traffic stay far below 2^53 (9 petabytes). */
const BYTES = { from: (text: string | null) => (text === null ? null : Number(text)), to: (bytes: number) => bytes };

@Entity('vpn_peers')
@Unique('vpn_peers_wg_public_key_key', ['publicKey'])
@Unique('vpn_peers_server_id_wg_ip_key', ['serverId', 'address'])
@Unique('vpn_peers_server_id_wg_ip6_key', ['serverId', 'address6'])
@Index('vpn_peers_user_id_id', ['userId', 'id'])
@Index('vpn_peers_unapplied', ['serverId', 'id'], { where: 'applied_gen <> desired_gen' })
@Index('vpn_peers_suspended_at', ['suspendedAt'], { where: `status = 'suspended'` })
@Index('vpn_peers_fault', ['serverId', 'id'], { where: 'fault IS NOT NULL' })
@Check('vpn_peers_suspended_reason', `suspended_reason IN ('no_access', 'traffic_exhausted', 'device_limit')`)
export class VpnPeerEntity implements Peer {
  @PrimaryGeneratedColumn('identity', { generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'vpn_peers_pkey' })
  id: number;

  @Column('integer', { name: 'user_id' })
  userId: number;

  @ManyToOne('UserEntity', { nullable: false })
  @JoinColumn({ name: 'user_id', foreignKeyConstraintName: 'vpn_peers_user_id_fkey' })
  user?: object;

  @Column('integer', { name: 'server_id' })
  serverId: number;

  /** To the pool, so that every peer's address is one of its server's. */
  @ManyToOne('ServerAddressEntity', { nullable: false })
  @JoinColumn([
    { name: 'server_id', referencedColumnName: 'serverId', foreignKeyConstraintName: 'vpn_peers_address_fkey' },
    { name: 'wg_ip', referencedColumnName: 'address', foreignKeyConstraintName: 'vpn_peers_address_fkey' },
  ])
  poolAddress?: object;

  @Column('varchar', { name: 'device_name', length: 64, nullable: true })
  deviceName: string | null;

  @Column('varchar', { name: 'wg_public_key', length: 44 })
  publicKey: string;

  /** Sealed; null when the device made its own pair. */
  @Column('text', { name: 'wg_private_key', nullable: true, select: false })
  sealedPrivateKey: string | null;

  @Column('inet', { name: 'wg_ip' })
  address: string;

  @Column('inet', { name: 'wg_ip6', nullable: true })
  address6: string | null;

  /** Sealed; null where the peer has none. */
  @Column('text', { name: 'wg_preshared_key', nullable: true, select: false })
  sealedPresharedKey: string | null;

  /** What the server calls it, where it has names of its own. */
  @Column('varchar', { name: 'wg_client_id', length: 64, nullable: true })
  remoteId: string | null;

  /** Counts the changes of what the server is to hold ... */
  @Column('integer', { name: 'desired_gen', default: 1 })
  desiredGeneration: number;

  /** ... and which of them it holds: unequal means there is work. */
  @Column('integer', { name: 'applied_gen', default: 0 })
  appliedGeneration: number;

  /** Why its server cannot be told of this one peer; null: nothing is known against it. Only the sweep tries such a one again. */
  @Column('varchar', { length: 32, nullable: true })
  fault: string | null;

  /** When its owner last chose it to be among those that the tariff's limit lets in. */
  @Column('timestamptz', { name: 'chosen_at', nullable: true })
  chosenAt: Date | null;

  @Column('timestamptz', { name: 'suspended_at', nullable: true })
  suspendedAt: Date | null;

  /** Counts only while the status is `suspended`. */
  @Column('varchar', { name: 'suspended_reason', length: 24, nullable: true })
  suspendedReason: SuspendedReason | null;

  @Column('timestamptz', { name: 'last_handshake_at', nullable: true })
  lastHandshakeAt: Date | null;

  /** Never falls, whatever the server's own counters do. */
  @Column('bigint', { name: 'rx_bytes', default: 0, transformer: BYTES })
  receivedBytes: number;

  @Column('bigint', { name: 'tx_bytes', default: 0, transformer: BYTES })
  sentBytes: number;

  /** The server's own counters when they were last read. */
  @Column('bigint', { name: 'rx_seen', default: 0, transformer: BYTES })
  receivedSeen: number;

  @Column('bigint', { name: 'tx_seen', default: 0, transformer: BYTES })
  sentSeen: number;

  /** The number at which the reading of them ended: only one that began after it counts. */
  @Column('bigint', { name: 'read_seq', default: 0, transformer: BYTES })
  readSequence: number;

  @Column('text', { name: 'allowed_ips' })
  allowedIps: string;

  @Column('enum', { enum: ['pending', 'active', 'suspended', 'removing'], enumName: 'peerstatus' })
  status: PeerStatus;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
