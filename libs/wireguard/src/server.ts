export const SERVER_STATUSES = ['active', 'draining', 'disabled'] as const;
/** Only an `active` server gets new peers; a `draining` one keeps those it has. */
export type ServerStatus = (typeof SERVER_STATUSES)[number];

/** A WireGuard server, without its secrets. */
export interface Server {
  readonly id: number;
  readonly name: string;
  readonly status: ServerStatus;
  /** Where devices connect to: `host:port`. */
  readonly endpoint: string;
  readonly publicKey: string;
  /** `10.8.0.0/16`: peers get their addresses from it, the first one is the server's own. */
  readonly subnet: string;
  readonly dns: readonly string[];
  readonly mtu: number;
}
