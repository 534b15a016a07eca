import { DomainError, type Randomness } from '#kernel';
import { type KeyPair, publicKeyOf } from './keys.js';
import { WgEasyApi } from './wg-easy-api.js';
import { type WgEasyClient, type WgEasyCredentials } from './wg-easy-dialect.js';
import { WgEasyHttp, type WgEasyTarget, refused, unavailable } from './wg-easy-http.js';
import { parseClientConfig } from './wg-quick.js';
import {
  type LivePeer,
  type PeerMaterial,
  type PeerRef,
  type PeerSpec,
  type WireGuardProvider,
} from './wireguard.provider.js';

export type WgEasyOptions = WgEasyTarget & WgEasyCredentials;

type Clients = readonly WgEasyClient[];

/** The list after a change, and why not all of it was made. */
interface Changed {
  readonly clients: Clients;
  readonly failure: DomainError | undefined;
}

/** 64 random bits: names are unique by chance alone, as wg-easy takes the same one twice. */
const NAME_BYTES = 8;
const OUR_NAME = /^vpn-([1-9]\d{0,15})-[A-Za-z0-9._-]+$/;
/** Clients of a /24, which is version 14's only pool and version 15's first: all but network, server and broadcast address. */
const POOL_SIZE = 253;

/**
 * A server kept by wg-easy, version 14 or 15. wg-easy chooses keys and addresses; a peer is found again by its public key, and
 * by the name we gave it as long as its key is not known. wg-easy says 200 to what it did not do, and 500 to what it did: so
 * every change is judged by the list alone, and changes are made one at a time.
 */
export class WgEasyProvider implements WireGuardProvider {
  readonly chooses = 'everything';
  private readonly http: WgEasyHttp;
  private api: Promise<WgEasyApi> | undefined;
  private lastChange: Promise<unknown> = Promise.resolve();

  /** @throws DomainError server_refused (target) when the address can be no wg-easy's */
  constructor(
    private readonly options: WgEasyOptions,
    private readonly randomness: Randomness,
  ) {
    this.http = new WgEasyHttp(options);
  }

  generateKeyPair(): Promise<KeyPair> {
    return Promise.reject(new Error('wg-easy makes its own keys'));
  }

  /** A peer that is refused does not hold up the others: the refusal is thrown when they are done. */
  put(specs: readonly PeerSpec[]): Promise<readonly PeerMaterial[]> {
    return this.oneAtATime(async () => {
      const enabled = await this.change(
        await this.clients(),
        (present) =>
          specs
            .flatMap((spec) => clientOf(spec, present) ?? [])
            .filter((client) => isOurs(client) && !client.isEnabled),
        (api, client) => api.enable(client),
      );
      const created = await this.create(
        enabled.clients,
        specs.filter(({ publicKey }) => publicKey === null),
      );
      const failure = enabled.failure ?? created.failure;
      if (failure !== undefined) throw failure;

      const served = specs.map((spec) => ({ spec, client: servedBy(spec, created.clients) }));
      const materials: PeerMaterial[] = [];
      for (const { spec, client } of served) materials.push(await this.materialOf(spec, client));
      return materials;
    });
  }

  suspend(refs: readonly PeerRef[]): Promise<void> {
    return this.changeExisting(
      refs,
      ({ isEnabled }) => isEnabled,
      (api, client) => api.disable(client),
    );
  }

  remove(refs: readonly PeerRef[]): Promise<void> {
    return this.changeExisting(
      refs,
      () => true,
      (api, client) => api.delete(client),
    );
  }

  async list(): Promise<readonly LivePeer[]> {
    return (await this.clients()).map((client) => ({
      publicKey: client.publicKey,
      addresses: client.addresses,
      isEnabled: client.isEnabled,
      isOurs: isOurs(client),
      peerId: peerIdOf(client),
      remoteId: client.id,
      lastHandshakeAt: client.lastHandshakeAt,
      receivedBytes: client.receivedBytes,
      sentBytes: client.sentBytes,
    }));
  }

  /** From the config of any client of ours: no version tells it by itself. */
  async serverKey(): Promise<string | null> {
    const client = (await this.clients()).find(isOurs);
    if (client === undefined) return null;
    return parseClientConfig(await this.asked((api) => api.config(client)))?.serverPublicKey ?? null;
  }

  close(): Promise<void> {
    this.api = undefined;
    return Promise.resolve();
  }

  /** Makes a client for each of these peers that has none of ours yet: one that an earlier, unanswered call made is taken. */
  private async create(clients: Clients, specs: readonly PeerSpec[]): Promise<Changed> {
    const names = new Map(specs.map((spec) => [spec.peerId, this.newName(spec.peerId)]));
    const created = await this.change(
      clients,
      (present) => {
        const served = new Set(present.map(peerIdOf));
        return [...names].flatMap(([peerId, name]) => (served.has(peerId) ? [] : name));
      },
      (api, name) => api.create(name),
    );
    // A full pool is answered 500 like any fault; what is left of it has to be counted.
    const isFault = created.failure?.params['kind'] === 'status';
    return isFault && isFull(created.clients) ? { ...created, failure: refused('pool', created.failure) } : created;
  }

  /** Changes those of these clients that are there and need it. Strangers are left alone, and refused when the rest is done. */
  private changeExisting(
    refs: readonly PeerRef[],
    needsIt: (client: WgEasyClient) => boolean,
    perform: (api: WgEasyApi, client: WgEasyClient) => Promise<void>,
  ): Promise<void> {
    return this.oneAtATime(async () => {
      const keys = new Set(refs.map(({ publicKey }) => publicKey));
      const named = (clients: Clients): Clients => clients.filter(({ publicKey }) => keys.has(publicKey));
      const { clients, failure } = await this.change(
        await this.clients(),
        (present) => named(present).filter((client) => isOurs(client) && needsIt(client)),
        perform,
      );
      if (failure !== undefined) throw failure;
      if (!named(clients).every(isOurs)) throw refused('not_ours');
    });
  }

  /**
   * Performs a change on each item that `pending` finds in the list, lists again, and goes on as long as that leads anywhere:
   * a 500 may hide a change that was made. When it does not, what went wrong is the failure; unless that list had to log in
   * anew, in which case the change was never heard and is tried once more.
   */
  private async change<Item>(
    clients: Clients,
    pending: (clients: Clients) => readonly Item[],
    perform: (api: WgEasyApi, item: Item) => Promise<void>,
  ): Promise<Changed> {
    let present = clients;
    let items = pending(present);
    let mayRepeat = true;
    while (items.length > 0) {
      const opening = this.opened();
      let failure: DomainError | undefined;
      for (const item of items) {
        const refusal = await refusalOf(async () => perform(await opening, item));
        failure ??= refusal;
        if (isSilence(refusal)) break;
      }
      present = await this.clients();
      const left = pending(present);
      const isRepeat = left.length >= items.length;
      if (isRepeat && (!mayRepeat || this.api === opening)) {
        return { clients: present, failure: failure ?? unavailable('unconfirmed') };
      }
      if (isRepeat) mayRepeat = false;
      items = left;
    }
    return { clients: present, failure: undefined };
  }

  private async materialOf({ peerId, publicKey, presharedKey }: PeerSpec, client: WgEasyClient): Promise<PeerMaterial> {
    const made = publicKey === null ? await this.secretsOf(client) : { privateKey: null, presharedKey };
    return { peerId, publicKey: client.publicKey, addresses: client.addresses, remoteId: client.id, ...made };
  }

  /** The keys that wg-easy made for a client; they must be that client's, or the config would connect as somebody else. */
  private async secretsOf(client: WgEasyClient): Promise<{ privateKey: string; presharedKey: string | null }> {
    const config = parseClientConfig(await this.asked((api) => api.config(client)));
    if (config === undefined || publicKeyOf(config.privateKey) !== client.publicKey) throw unavailable('answer');
    const own = client.addresses.map((address) => address.split('/', 1).join(''));
    if (!config.addresses.every((address) => own.includes(address))) throw unavailable('answer');
    return { privateKey: config.privateKey, presharedKey: config.presharedKey };
  }

  private clients(): Promise<Clients> {
    return this.asked((api) => api.list());
  }

  /**
   * Asks for something. The session may be over, or another version there since the last call, and version 14 says neither: so
   * what fails through an API opened earlier is asked once more through a new one. After silence it is not: that would double it.
   */
  private async asked<Answer>(ask: (api: WgEasyApi) => Promise<Answer>): Promise<Answer> {
    const opening = this.api;
    if (opening !== undefined) {
      try {
        return await ask(await opening);
      } catch (error) {
        this.forget(opening);
        if (!(error instanceof DomainError) || ['network', 'timeout'].includes(String(error.params['kind'])))
          throw error;
      }
    }
    const fresh = this.opened();
    try {
      return await ask(await fresh);
    } catch (error) {
      this.forget(fresh);
      throw error;
    }
  }

  private opened(): Promise<WgEasyApi> {
    return (this.api ??= WgEasyApi.open(this.http, this.options));
  }

  /** Unless another call has opened it anew meanwhile. */
  private forget(opening: Promise<WgEasyApi>): void {
    if (this.api === opening) this.api = undefined;
  }

  /** wg-easy writes one file for all clients, and of two changes at once one may get lost. */
  private oneAtATime<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.lastChange.then(work);
    this.lastChange = result.catch(() => undefined);
    return result;
  }

  /** Never anything that a user typed: version 14 writes names into a file that is run as root. */
  private newName(peerId: number): string {
    if (!Number.isSafeInteger(peerId) || peerId < 1) throw new Error('A peer id is a positive integer');
    return `vpn-${peerId}-${this.randomness.bytes(NAME_BYTES).toString('hex')}`;
  }
}

/** The client that serves a peer: by its key, or as long as that is not known by the name we gave it. */
function clientOf({ peerId, publicKey }: PeerSpec, clients: Clients): WgEasyClient | undefined {
  return clients.find((client) => (publicKey === null ? peerIdOf(client) === peerId : client.publicKey === publicKey));
}

/** @throws DomainError when there is none, or one that is not ours */
function servedBy(spec: PeerSpec, clients: Clients): WgEasyClient {
  const client = clientOf(spec, clients);
  if (client === undefined) throw refused('gone');
  if (!isOurs(client)) throw refused('not_ours');
  return client;
}

function peerIdOf({ name }: WgEasyClient): number | null {
  const id = OUR_NAME.exec(name)?.[1];
  return id === undefined ? null : Number(id);
}

function isOurs(client: WgEasyClient): boolean {
  return peerIdOf(client) !== null;
}

/** Whether a pool of the usual size is used up: that many addresses, and all of one /24. */
function isFull(clients: Clients): boolean {
  const networks = new Set(clients.map(({ addresses: [first = ''] }) => first.slice(0, first.lastIndexOf('.'))));
  return clients.length >= POOL_SIZE && networks.size === 1;
}

/** Whether nothing was answered, so that asking again would only take as long again. */
function isSilence(error: DomainError | undefined): boolean {
  const kind = error?.params['kind'];
  return kind === 'network' || kind === 'timeout';
}

/** What the server, or its silence, said no with; anything else is a fault of ours and thrown on. */
async function refusalOf(work: () => Promise<void>): Promise<DomainError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}
