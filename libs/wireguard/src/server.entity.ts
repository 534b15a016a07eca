import { Check, Column, Entity, Index, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type Server, type ServerProvider, type ServerStatus } from './server.js';

@Entity('vpn_servers')
@Unique('vpn_servers_name_key', ['name'])
@Index('vpn_servers_from_settings', ['fromSettings'], { unique: true, where: 'from_settings' })
@Check('vpn_servers_status', `status IN ('active', 'draining', 'disabled')`)
@Check('vpn_servers_provider', `provider IN ('db', 'host', 'wg-easy')`)
@Check('vpn_servers_applies', `applies OR provider = 'db'`)
@Check('vpn_servers_capacity', `capacity > 0`)
@Check('vpn_servers_mtu', `mtu BETWEEN 1280 AND 9000`)
export class ServerEntity implements Server {
  @PrimaryGeneratedColumn('identity', { generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'vpn_servers_pkey' })
  id: number;

  @Column('varchar', { length: 64 })
  name: string;

  /** The server that the WG_* settings describe: every start brings its row up to date. */
  @Column('boolean', { name: 'from_settings', default: false })
  fromSettings: boolean;

  @Column('varchar', { length: 16, default: 'active' })
  status: ServerStatus;

  @Column('varchar', { length: 32, default: 'default' })
  region: string;

  @Column('varchar', { length: 2, nullable: true })
  country: string | null;

  @Column('varchar', { length: 16, default: 'db' })
  provider: ServerProvider;

  @Column('boolean', { default: false })
  applies: boolean;

  /** Sealed JSON: a `ServerAccess`. Null where nobody is spoken to. */
  @Column('text', { name: 'sealed_access', nullable: true, select: false })
  sealedAccess: string | null;

  /** What the names of our clients begin with, where the server keeps names; null until it is first spoken to. */
  @Column('varchar', { name: 'client_prefix', length: 16, nullable: true, select: false })
  clientPrefix: string | null;

  @Column('varchar', { length: 255 })
  endpoint: string;

  @Column('varchar', { name: 'public_key', length: 44 })
  publicKey: string;

  /** Sealed; only where we made the server's key ourselves. */
  @Column('text', { name: 'sealed_private_key', nullable: true, select: false })
  sealedPrivateKey: string | null;

  @Column('cidr')
  subnet: string;

  @Column('cidr', { nullable: true })
  subnet6: string | null;

  @Column('integer', { nullable: true })
  capacity: number | null;

  @Column('boolean', { name: 'preshared_keys', default: false })
  presharedKeys: boolean;

  @Column('boolean', { default: false })
  adopted: boolean;

  @Column('inet', { array: true })
  dns: string[];

  @Column('integer', { default: 1420 })
  mtu: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
