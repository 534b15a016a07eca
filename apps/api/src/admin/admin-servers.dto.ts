import {
  ACCESS_KINDS,
  CLEARABLE_SERVER_FIELDS,
  SERVER_PROVIDERS,
  SERVER_STATES,
  SERVER_STATUSES,
  type ServerHealth,
  type ServerOverview,
} from '#wireguard';
import {
  GivenBoolean,
  GivenChoice,
  GivenClear,
  GivenInteger,
  GivenObject,
  GivenPublicKey,
  GivenText,
  GivenTexts,
} from '../http/given.decorator.js';
import {
  ShownBoolean,
  ShownChoice,
  ShownFraction,
  ShownId,
  ShownInstant,
  ShownInteger,
  ShownObject,
  ShownText,
  ShownTexts,
} from '../http/shown.decorator.js';

// Types and lengths are said here, for the document. What a description means is read by the room, for this door and for the
// commands alike.

const NAME = { min: 1, max: 64, example: 'Frankfurt 1' };
const REGION = {
  min: 1,
  max: 32,
  example: 'eu-central',
  description: 'What the app lets people choose by: a-z, 0-9, -',
};
const COUNTRY = { min: 2, max: 2, optional: true, example: 'DE', description: 'ISO 3166-1 alpha-2' };
const ENDPOINT = { max: 253, example: 'de1.vpn.example.com:51820', description: 'Where devices connect to' };
const SUBNET = { max: 18, example: '10.8.0.0/16', description: '/16 to /30; the first address is the server’s own' };
const SUBNET6 = {
  max: 43,
  optional: true,
  example: 'fd00:8::/64',
  description: 'fd00::/8, /64 to /112; none: IPv4 only',
};
const CAPACITY = {
  min: 1,
  max: 65_535,
  optional: true,
  example: 500,
  description: 'Peers at most; none: by addresses',
};
const APPLIES = 'Whether the service puts peers there; false: an operator does, with the export';
const DNS = { max: 8, optional: true, example: ['1.1.1.1'], description: 'Resolvers for the devices' };
const MTU = { min: 1280, max: 9000, optional: true };
const KEY_EXAMPLE = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA...\n-----END OPENSSH PRIVATE KEY-----\n';

/** How a server is spoken to. It is kept sealed and never shown again. */
export class ServerAccessIn {
  @GivenChoice('ServerAccessKind', ACCESS_KINDS, { description: 'Which of the other fields count' })
  kind: string;

  @GivenText({ max: 15, optional: true, default: 'wg0', description: 'ssh, local: the WireGuard interface' })
  interface?: string | null;

  @GivenText({ max: 253, optional: true, example: 'de1.vpn.example.com', description: 'ssh' })
  host?: string | null;

  @GivenInteger({ min: 1, max: 65_535, optional: true, default: 22, description: 'ssh' })
  port?: number | null;

  @GivenText({ max: 32, optional: true, example: 'wgctl', description: 'ssh' })
  user?: string | null;

  @GivenText({ max: 16_384, optional: true, example: KEY_EXAMPLE, description: 'ssh: OpenSSH or PEM, no passphrase' })
  private_key?: string | null;

  @GivenText({
    max: 50,
    optional: true,
    example: 'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU',
    description: "ssh: the host's own key, as ssh-keygen -lf prints it; required in production",
  })
  fingerprint?: string | null;

  @GivenText({ max: 2048, optional: true, example: 'https://wg-easy.example.com', description: 'wg-easy' })
  url?: string | null;

  @GivenText({ max: 1024, optional: true, default: 'admin', description: 'wg-easy, from version 15 on' })
  username?: string | null;

  @GivenText({ max: 1024, optional: true, example: 'correct horse battery', description: 'wg-easy' })
  password?: string | null;

  @GivenText({ max: 1024, optional: true, example: null, description: 'wg-easy: sent instead of the password' })
  api_key?: string | null;
}

export class ServerIn {
  @GivenText(NAME)
  name: string;

  @GivenChoice('ServerStatus', SERVER_STATUSES, { optional: true, default: 'active' })
  status?: string | null;

  @GivenText({ ...REGION, optional: true, default: 'default' })
  region?: string | null;

  @GivenText(COUNTRY)
  country?: string | null;

  @GivenChoice('ServerProvider', SERVER_PROVIDERS, { optional: true, default: 'db' })
  provider?: string | null;

  @GivenBoolean({ optional: true, description: `${APPLIES}. True by default where access is given` })
  applies?: boolean | null;

  @GivenObject(() => ServerAccessIn, { optional: true, description: 'Required where the service applies' })
  access?: ServerAccessIn | null;

  @GivenText(ENDPOINT)
  endpoint: string;

  @GivenPublicKey()
  public_key: string;

  @GivenText(SUBNET)
  subnet: string;

  @GivenText(SUBNET6)
  subnet6?: string | null;

  @GivenInteger(CAPACITY)
  capacity?: number | null;

  @GivenBoolean({ optional: true, default: false, description: 'Whether new peers get a preshared key' })
  preshared_keys?: boolean | null;

  @GivenTexts(DNS)
  dns?: string[] | null;

  @GivenInteger({ ...MTU, default: 1420 })
  mtu?: number | null;
}

/** What is left out, null or an empty list stays as it is; `clear` names what is to be taken away. */
export class ServerChangeIn {
  @GivenText({ ...NAME, optional: true })
  name?: string | null;

  @GivenChoice('ServerStatus', SERVER_STATUSES, { optional: true })
  status?: string | null;

  @GivenText({ ...REGION, optional: true })
  region?: string | null;

  @GivenText(COUNTRY)
  country?: string | null;

  @GivenChoice('ServerProvider', SERVER_PROVIDERS, { optional: true })
  provider?: string | null;

  @GivenBoolean({ optional: true, description: APPLIES })
  applies?: boolean | null;

  @GivenObject(() => ServerAccessIn, { optional: true, description: 'Replaces all of it' })
  access?: ServerAccessIn | null;

  @GivenText({ ...ENDPOINT, optional: true })
  endpoint?: string | null;

  @GivenPublicKey({ optional: true })
  public_key?: string | null;

  @GivenText({ ...SUBNET, optional: true })
  subnet?: string | null;

  @GivenText({ ...SUBNET6, description: 'fd00::/8, /64 to /112' })
  subnet6?: string | null;

  @GivenInteger({ ...CAPACITY, description: 'Peers at most' })
  capacity?: number | null;

  @GivenBoolean({ optional: true })
  preshared_keys?: boolean | null;

  @GivenTexts(DNS)
  dns?: string[] | null;

  @GivenInteger({ ...MTU, example: 1420 })
  mtu?: number | null;

  @GivenClear('ServerField', CLEARABLE_SERVER_FIELDS)
  clear?: (typeof CLEARABLE_SERVER_FIELDS)[number][] | null;
}

/** Peers that have their place on a server. */
export class ServerPeersOut {
  @ShownInteger({ example: 1, description: 'Wanted, and not there yet' })
  pending: number;

  @ShownInteger({ example: 120 })
  active: number;

  @ShownInteger({ example: 4, description: 'Their access ended; key and address are kept' })
  suspended: number;

  @ShownInteger({ example: 0 })
  removing: number;
}

export class ServerOut {
  @ShownId({ example: 1 })
  id: number;

  @ShownText({ example: 'Frankfurt 1' })
  name: string;

  @ShownChoice('ServerState', SERVER_STATES, { description: 'unreachable: it failed too often in a row' })
  status: string;

  @ShownText({ example: 'eu-central' })
  region: string;

  @ShownText({ nullable: true, example: 'DE' })
  country: string | null;

  @ShownChoice('ServerProvider', SERVER_PROVIDERS)
  provider: string;

  @ShownBoolean({ description: APPLIES })
  applies: boolean;

  @ShownBoolean({ description: 'False: peers there that we do not know are reported and left alone' })
  adopted: boolean;

  @ShownBoolean({ description: 'Whether the WG_* settings describe it' })
  from_settings: boolean;

  @ShownText({ example: 'de1.vpn.example.com:51820' })
  endpoint: string;

  @ShownText({ example: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=' })
  public_key: string;

  @ShownText({ example: '10.8.0.0/16' })
  subnet: string;

  @ShownText({ nullable: true, example: 'fd00:8::/64' })
  subnet6: string | null;

  @ShownInteger({ nullable: true, example: 500 })
  capacity: number | null;

  @ShownBoolean()
  preshared_keys: boolean;

  @ShownTexts({ example: ['1.1.1.1'] })
  dns: string[];

  @ShownInteger({ example: 1420 })
  mtu: number;

  @ShownObject(() => ServerPeersOut)
  peers: ServerPeersOut;

  @ShownInteger({ example: 500, description: 'Its capacity, or the addresses it has if those are fewer' })
  max_peers: number;

  @ShownFraction()
  load: number;

  @ShownBoolean()
  online: boolean;

  static from(server: ServerOverview): ServerOut {
    const { pending, active, suspended, removing } = server.peers;
    return {
      id: server.id,
      name: server.name,
      status: server.state,
      region: server.region,
      country: server.country,
      provider: server.provider,
      applies: server.applies,
      adopted: server.adopted,
      from_settings: server.fromSettings,
      endpoint: server.endpoint,
      public_key: server.publicKey,
      subnet: server.subnet,
      subnet6: server.subnet6,
      capacity: server.capacity,
      preshared_keys: server.presharedKeys,
      dns: [...server.dns],
      mtu: server.mtu,
      peers: { pending, active, suspended, removing },
      max_peers: server.maxPeers,
      load: server.load,
      online: server.isOnline,
    };
  }
}

export class ServerHealthOut {
  @ShownId({ example: 1 })
  server_id: number;

  @ShownChoice('ServerState', SERVER_STATES)
  status: string;

  @ShownBoolean({ description: 'False: peers there that we do not know are reported and left alone' })
  adopted: boolean;

  @ShownInstant({ nullable: true, description: 'The last sweep that went well; null: none has yet' })
  swept_at: string | null;

  @ShownInteger({ example: 0, description: 'In a row, since then' })
  failures: number;

  @ShownText({ nullable: true, example: 'timeout', description: 'The kind of the last failure, while there is one' })
  failure: string | null;

  @ShownInteger({ example: 120, description: 'Peers that the server holds' })
  live_peers: number;

  @ShownInteger({ example: 0, description: 'Those of them that we know nothing of' })
  strangers: number;

  @ShownInteger({ nullable: true, example: null, description: 'Removals that wait for an operator; null: none do' })
  held_removals: number | null;

  static from({ id, state, adopted }: ServerOverview, health: ServerHealth | null): ServerHealthOut {
    return {
      server_id: id,
      status: state,
      adopted,
      swept_at: health?.sweptAt?.toISOString() ?? null,
      failures: health?.failures ?? 0,
      failure: health?.failure ?? null,
      live_peers: health?.livePeers ?? 0,
      strangers: health?.strangers ?? 0,
      held_removals: health?.heldRemovals ?? null,
    };
  }
}
