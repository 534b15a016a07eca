import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type Peer, type PeerStatus } from './peer.js';

@Entity('vpn_peers')
@Unique('vpn_peers_wg_public_key_key', ['publicKey'])
@Unique('vpn_peers_server_id_wg_ip_key', ['serverId', 'address'])
@Index('vpn_peers_user_id_id', ['userId', 'id'])
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

  @Column('text', { name: 'allowed_ips' })
  allowedIps: string;

  @Column('enum', { enum: ['pending', 'active', 'suspended', 'removing'], enumName: 'peerstatus' })
  status: PeerStatus;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
