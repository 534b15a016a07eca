import { type DomainError } from '#kernel';
import { type KeyPair } from './keys.js';

/** What a server is to hold for one peer. */
export interface PeerSpec {
  /** The peer's row. */
  readonly peerId: number;
  /** Null asks the server to make a peer from nothing (only where `chooses` says `everything`): another one with each call. */
  readonly publicKey: string | null;
  /** Exactly the peer's own addresses, with prefix: `10.8.0.7/32`, `fd00::7/128`. Null with `publicKey`. */
  readonly addresses: readonly string[] | null;
  readonly presharedKey: string | null;
  /** What the server calls it, where it has names of its own. */
  readonly remoteId: string | null;
}

/** What a server has made or taken for a peer. */
export interface PeerMaterial {
  readonly peerId: number;
  readonly publicKey: string;
  /** Null unless the server made the pair just now. */
  readonly privateKey: string | null;
  readonly presharedKey: string | null;
  readonly addresses: readonly string[];
  readonly remoteId: string | null;
}

/** A peer that is to leave. */
export interface PeerRef {
  readonly publicKey: string;
  readonly remoteId: string | null;
}

/** A peer as a server reports it. */
export interface LivePeer {
  readonly publicKey: string;
  readonly addresses: readonly string[];
  /** Whether packets pass: a disabled one keeps its key on the server and nothing else. */
  readonly isEnabled: boolean;
  /** True where that will not stay, as the server has noted something else down. */
  readonly isUnsettled?: boolean;
  /** False for a peer that somebody else keeps there, where the server can tell: such a one is never touched. */
  readonly isOurs: boolean;
  /** The row it was made for, where the server keeps such a note. */
  readonly peerId: number | null;
  readonly remoteId: string | null;
  /** Whether it has a preshared key there, never which; null where the server does not tell. */
  readonly hasPresharedKey: boolean | null;
  readonly lastHandshakeAt: Date | null;
  /** Bytes since the server last began to count. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** What a server that renders configs of its own puts into them. */
export interface ToldConfig {
  /** `host:port` */
  readonly endpoint: string | null;
  readonly dns: readonly string[];
  readonly mtu: number | null;
}

export interface PutOptions {
  /**
   * When whoever waits for it leaves, by `performance.now()`. What cannot be done by then is refused at once, as `server_unavailable`
   * (`busy`), and not begun.
   */
  readonly until?: number;
  /** Told of each peer that could not be served while others were; without it, one of these refusals is thrown in the end. */
  readonly onRefused?: (spec: PeerSpec, why: DomainError) => void;
}

export interface RemoveOptions {
  /** Told of each peer of which it is not certain that it is gone, although nothing is to be seen of it; asked for again later. */
  readonly onUncertain?: (ref: PeerRef) => void;
}

/**
 * One WireGuard server, seen from here. Every call may be repeated: "already there" and "already gone" are success. A call that
 * fails may have done its work all the same: list before concluding anything.
 * @throws DomainError server_unavailable (worth another try) | server_refused (not before somebody has changed something)
 */
export interface WireGuardProvider {
  /** Whose choice a new peer's key and address are: ours; the key pair the host's; or everything the server's. */
  readonly chooses: 'nothing' | 'keys' | 'everything';
  /** A fresh pair for a new peer, where `chooses` says `keys`. */
  generateKeyPair(): Promise<KeyPair>;
  /** Has these peers be there and pass packets; what was asked of the server is answered in the same order. */
  put(specs: readonly PeerSpec[], options?: PutOptions): Promise<readonly PeerMaterial[]>;
  /** Has no packet of these pass any more, keeping what the server needs to take them back with the same key. */
  suspend(refs: readonly PeerRef[]): Promise<void>;
  /** Has these be gone. */
  remove(refs: readonly PeerRef[], options?: RemoveOptions): Promise<void>;
  /** What is really there. */
  list(): Promise<readonly LivePeer[]>;
  /** The server's own public key, as devices must have it; null where it cannot be known. */
  serverKey(): Promise<string | null>;
  /** What the server itself tells devices, where it tells them anything: for a look at whether it is what we tell them. */
  toldConfig?(): Promise<ToldConfig | null>;
  /** Lets go of connections; a later call opens new ones. */
  close(): Promise<void>;
}
