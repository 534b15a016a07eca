export const SERVER_STATUSES = ['active', 'draining', 'disabled'] as const;
/** Only an `active` server gets new peers; a `draining` one keeps those it has. */
export type ServerStatus = (typeof SERVER_STATUSES)[number];

/**
 * Who makes a server's keys and addresses, and how it is spoken to: `db`: we make both, and apply them with `wg` where we apply at
 * all; `host`: the host makes the keys of new peers, all else as with `db`; `wg-easy`: wg-easy makes everything.
 */
export const SERVER_PROVIDERS = ['db', 'host', 'wg-easy'] as const;
export type ServerProvider = (typeof SERVER_PROVIDERS)[number];

/** A WireGuard server, without its secrets. */
export interface Server {
  readonly id: number;
  readonly name: string;
  /** Described by the WG_* settings: every start brings its row up to date with them. */
  readonly fromSettings: boolean;
  readonly status: ServerStatus;
  /** What the app lets people choose by: `eu-central`. */
  readonly region: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null;
  readonly provider: ServerProvider;
  /** Whether we put peers there; otherwise an operator does, with the export. */
  readonly applies: boolean;
  /** Where devices connect to: `host:port`. */
  readonly endpoint: string;
  readonly publicKey: string;
  /** `10.8.0.0/16`: peers get their addresses from it, the first one is the server's own. */
  readonly subnet: string;
  /** `fd00:8::/64`: peers have the address there that is as far from its beginning as their IPv4 one; null: IPv4 only. */
  readonly subnet6: string | null;
  /** How many peers it may have; null: as many as there are addresses. */
  readonly capacity: number | null;
  /** Whether new peers get a preshared key (a second lock, against a future that breaks X25519). */
  readonly presharedKeys: boolean;
  /** Until it is adopted, peers that we do not know are reported and left alone. */
  readonly adopted: boolean;
  readonly dns: readonly string[];
  readonly mtu: number;
}

/** The operator's word, or what the sweep found out: `unreachable` has failed too often in a row, and gets no new peers either. */
export const SERVER_STATES = [...SERVER_STATUSES, 'unreachable'] as const;
export type ServerState = (typeof SERVER_STATES)[number];

/** A server as it stands, with what is on it. */
export interface ServerOverview extends Server {
  readonly state: ServerState;
  readonly peers: {
    readonly pending: number;
    readonly active: number;
    readonly suspended: number;
    readonly removing: number;
  };
  /** How many peers fit: its capacity, or the addresses it has if those are fewer. */
  readonly maxPeers: number;
  /** From 0, empty, to 1, full, in hundredths. */
  readonly load: number;
  /** Whether devices can connect, as far as we know: of a server that we do not speak to we know nothing bad. */
  readonly isOnline: boolean;
}
