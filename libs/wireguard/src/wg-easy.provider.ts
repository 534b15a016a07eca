import { DomainError, type Randomness } from '#kernel';
import { type KeyPair, publicKeyOf } from './keys.js';
import { WgEasyApi } from './wg-easy-api.js';
import { WgEasyCreation } from './wg-easy-creation.js';
import { type WgEasyClient, type WgEasyCredentials } from './wg-easy-dialect.js';
import { WgEasyHttp, type WgEasyTarget, refused, unavailable } from './wg-easy-http.js';
import { isPassing, isSilence, outcomeOf, pause, refusalOf, TRIES } from './wg-easy-retry.js';
import { Turns } from './wg-easy-turns.js';
import { type ClientSecrets, parseClientConfig } from './wg-quick.js';
import {
  type LivePeer,
  type PeerMaterial,
  type PeerRef,
  type PeerSpec,
  type PutOptions,
  type RemoveOptions,
  type ToldConfig,
  type WireGuardProvider,
} from './wireguard.provider.js';

export type WgEasyOptions = WgEasyTarget &
  WgEasyCredentials & {
    /** What our clients' names begin with, after `vpn-`: random, and another one for each server of each installation. */
    readonly namePrefix: string;
  };

export type Clients = readonly WgEasyClient[];

/** The list after changes, and why some of them were not made, by item. */
interface Changed<Item> {
  readonly clients: Clients;
  readonly failures: ReadonlyMap<Item, DomainError>;
}

/**
 * A server kept by wg-easy, version 14 or 15. wg-easy chooses keys and addresses; a peer is found again by its public key, and a
 * client without a peer known as ours by its name. wg-easy says 200 to what it did not do, and 500 to what it did; and what it has
 * stored is not always what its interface has. So every change is judged by the list, which tells both, and changes are made one at
 * a time.
 */
export class WgEasyProvider implements WireGuardProvider {
  readonly chooses = 'everything';
  private readonly http: WgEasyHttp;
  private readonly turns = new Turns();
  private readonly creation: WgEasyCreation;
  private readonly ourName: RegExp;
  private api: Promise<WgEasyApi> | undefined;
  private lastChange: Promise<unknown> = Promise.resolve();
  /** Whether devices are given IPv6 addresses, as a config said last; the list has them in any case. */
  private givesIpv6 = true;

  /** @throws DomainError server_refused (target) when the address can be no wg-easy's */
  constructor(
    private readonly options: WgEasyOptions,
    private readonly randomness: Randomness,
  ) {
    if (!/^[0-9a-z]+$/.test(options.namePrefix)) throw new Error('A name prefix is of small letters and digits');
    this.ourName = new RegExp(`^vpn-${options.namePrefix}-([1-9]\\d{0,15})-[0-9a-f]{16}$`);
    this.http = new WgEasyHttp(options);
    this.creation = new WgEasyCreation(
      {
        clients: () => this.clients(),
        opened: () => this.opened(),
        isCurrent: (opening) => this.api === opening,
        secretsOf: (client) => this.secretsOf(client),
        discard: (clients) => this.discard(clients),
        assertRights: () => this.assertRights(),
      },
      this.turns,
      options.namePrefix,
      randomness,
    );
  }

  generateKeyPair(): Promise<KeyPair> {
    return Promise.reject(new Error('wg-easy makes its own keys'));
  }

  /** A peer that is refused does not hold up the others: the refusal is thrown when they are done, unless somebody is told. */
  async put(
    specs: readonly PeerSpec[],
    { until = Infinity, onRefused }: PutOptions = {},
  ): Promise<readonly PeerMaterial[]> {
    const refusals = new Map<PeerSpec, DomainError>();
    const known = specs.filter(({ publicKey }) => publicKey !== null);
    const served = known.length === 0 ? new Map<PeerSpec, PeerMaterial>() : await this.open(known, refusals);
    const made = specs.filter(({ publicKey }) => publicKey === null);
    await Promise.all(
      made.map(async (spec) => {
        const result = await outcomeOf(this.creation.create(spec.peerId, until));
        if (result instanceof DomainError) refusals.set(spec, result);
        else served.set(spec, result);
      }),
    );
    const [firstRefusal] = refusals.values();
    if (firstRefusal !== undefined && onRefused === undefined) throw firstRefusal;
    for (const [spec, why] of refusals) onRefused?.(spec, why);
    return specs.flatMap((spec) => served.get(spec) ?? []);
  }

  suspend(refs: readonly PeerRef[]): Promise<void> {
    return this.oneAtATime(async () => {
      const keys = new Set(refs.map(({ publicKey }) => publicKey));
      const present = await this.clients();
      await this.assertKnown(keys, present);
      const { failures } = await this.change(
        present,
        (clients) => withKeys(keys, clients).filter(({ isEnabled, isOnInterface }) => isEnabled || isOnInterface),
        (api, client) => api.disable(client),
      );
      throwFirst(failures);
    });
  }

  /**
   * A client that was deleted is on the interface still if the file could not be written or read, and no list shows that. So unless
   * every deletion was answered with success, the file is written once more, by enabling what is enabled.
   */
  remove(refs: readonly PeerRef[], { onUncertain }: RemoveOptions = {}): Promise<void> {
    return this.oneAtATime(async () => {
      const keys = new Set(refs.map(({ publicKey }) => publicKey));
      const present = await this.clients();
      await this.assertKnown(keys, present);
      let lastRefusal: DomainError | undefined;
      const { clients, failures } = await this.change(
        present,
        (listed) => withKeys(keys, listed),
        async (api, client) => {
          lastRefusal = await refusalOf(() => api.delete(client));
          if (lastRefusal !== undefined) throw lastRefusal;
        },
      );
      throwFirst(failures);
      const listed = new Set(present.map(({ publicKey }) => publicKey));
      const absent = refs.filter(({ publicKey }) => !listed.has(publicKey));
      if (lastRefusal !== undefined || absent.length > 0) await this.write(clients, lastRefusal);
      // Nothing at all may be there because a volume is missing, and come back with it.
      if (present.length === 0) for (const ref of absent) onUncertain?.(ref);
    });
  }

  async list(): Promise<readonly LivePeer[]> {
    const clients = await this.clients();
    this.creation.discardAbandoned(clients);
    const sample = clients.find((client) => this.isOurs(client));
    // One that cannot be read just now tells nothing new.
    if (sample !== undefined && sample.addresses.length > 1) await refusalOf(() => this.configOf(sample));
    return clients.map((client) => ({
      publicKey: client.publicKey,
      addresses: this.given(client),
      isEnabled: client.isOnInterface,
      isUnsettled: client.isEnabled !== client.isOnInterface || (client.isEnabled && client.expires),
      isOurs: this.isOurs(client),
      peerId: this.peerIdOf(client),
      remoteId: client.id,
      hasPresharedKey: null,
      lastHandshakeAt: client.lastHandshakeAt,
      receivedBytes: client.receivedBytes,
      sentBytes: client.sentBytes,
    }));
  }

  /**
   * 15 tells it to administrators, and to nobody else, 14 in the config of a client.
   * @throws DomainError server_refused (rights) when the list is not the whole one
   */
  async serverKey(): Promise<string | null> {
    const told = await this.asked((api) => api.interfaceKey());
    if (told !== null) return told;
    return (await this.sample())?.serverPublicKey ?? null;
  }

  async toldConfig(): Promise<ToldConfig | null> {
    const sample = await this.sample();
    if (sample === undefined) return null;
    const { endpoint, dns, mtu } = sample;
    return { endpoint, dns, mtu };
  }

  close(): Promise<void> {
    this.api = undefined;
    return Promise.resolve();
  }

  /** Has the clients of these peers be enabled, on the interface, and without an end. */
  private open(specs: readonly PeerSpec[], refusals: Map<PeerSpec, DomainError>): Promise<Map<PeerSpec, PeerMaterial>> {
    return this.oneAtATime(async () => {
      const keys = new Set(specs.flatMap(({ publicKey }) => publicKey ?? []));
      const present = await this.clients();
      await this.assertKnown(keys, present);
      const { clients, failures } = await this.change(
        present,
        (listed) =>
          withKeys(keys, listed).filter(
            ({ isEnabled, isOnInterface, expires }) => !isEnabled || !isOnInterface || expires,
          ),
        async (api, client) => {
          if (client.expires) await api.neverExpire(client);
          await api.enable(client);
        },
      );
      const whys = new Map([...failures].map(([{ publicKey }, why]) => [publicKey, why]));
      const byKey = new Map(clients.map((client) => [client.publicKey, client]));
      const served = new Map<PeerSpec, PeerMaterial>();
      for (const spec of specs) {
        const { peerId, publicKey, presharedKey } = spec;
        const client = byKey.get(publicKey ?? '');
        const why = client === undefined ? refused('gone') : whys.get(client.publicKey);
        if (why !== undefined) refusals.set(spec, why);
        else if (client !== undefined) {
          const addresses = this.given(client);
          const { id: remoteId } = client;
          served.set(spec, {
            peerId,
            publicKey: client.publicKey,
            addresses,
            remoteId,
            privateKey: null,
            presharedKey,
          });
        }
      }
      return served;
    });
  }

  /**
   * Performs a change on each client that `pending` finds in the list, lists again, and goes on with what is left: a 500 may hide a
   * change that was made, and one that was not for a reason that passes. A client that cannot be changed holds up no other.
   */
  private async change(
    clients: Clients,
    pending: (clients: Clients) => Clients,
    perform: (api: WgEasyApi, client: WgEasyClient) => Promise<void>,
  ): Promise<Changed<WgEasyClient>> {
    let present = clients;
    let items = pending(present);
    for (let attempt = 1; items.length > 0; attempt++) {
      const opening = this.opened();
      const refusals = new Map<string, DomainError>();
      let silence: DomainError | undefined;
      for (const item of items) {
        if (silence !== undefined) break;
        const refusal = await this.turns.take('patient', () => refusalOf(async () => perform(await opening, item)));
        if (refusal !== undefined) refusals.set(item.publicKey, refusal);
        if (isSilence(refusal)) silence = refusal;
      }
      present = await this.clients();
      const left = pending(present);
      const failures = new Map(
        left.map((item) => [item, refusals.get(item.publicKey) ?? silence ?? unavailable('unconfirmed')]),
      );
      const isWorthwhile =
        this.api !== opening ||
        left.some(({ publicKey }) => isPassing(refusals.get(publicKey))) ||
        silence !== undefined;
      if (
        left.length > 0 &&
        (attempt === TRIES || !isWorthwhile || (silence !== undefined && left.length === items.length))
      )
        return { clients: present, failures };
      if (left.length > 0) await this.pause(attempt);
      items = left;
    }
    return { clients: present, failures: new Map() };
  }

  /** Has the file of all clients written and read once more, where there is a client of ours to do it with. */
  private async write(clients: Clients, cause: DomainError | undefined): Promise<void> {
    const written = clients.find((client) => this.isOurs(client) && client.isEnabled && !client.expires);
    if (written === undefined) {
      if (cause !== undefined) throw cause;
      return;
    }
    for (let attempt = 1; ; attempt++) {
      const refusal = await this.turns.take('patient', () => refusalOf(() => this.asked((api) => api.enable(written))));
      if (refusal === undefined) return;
      if (!isPassing(refusal) || attempt === TRIES) throw refusal;
      await this.pause(attempt);
    }
  }

  /** Deletes clients that were made for nobody, when nothing else is to be done; what fails is found again by the next list. */
  private discard(clients: Clients): void {
    void this.oneAtATime(() =>
      this.change(
        clients,
        (listed) => withKeys(new Set(clients.map(({ publicKey }) => publicKey)), listed),
        (api, client) => api.delete(client),
      ),
    ).catch(() => undefined);
  }

  /** Before a client counts as gone: whoever may not see all clients is shown an empty list. */
  private async assertKnown(keys: ReadonlySet<string>, clients: Clients): Promise<void> {
    if (withKeys(keys, clients).length < keys.size) await this.assertRights();
  }

  private async assertRights(): Promise<void> {
    await this.asked((api) => api.interfaceKey());
  }

  /** The keys that wg-easy made for a client; they must be that client's, or the config would connect as somebody else. */
  private async secretsOf(
    client: WgEasyClient,
  ): Promise<Pick<PeerMaterial, 'privateKey' | 'presharedKey' | 'addresses'>> {
    const config = await this.configOf(client);
    if (config === undefined || publicKeyOf(config.privateKey) !== client.publicKey) throw unavailable('answer');
    if (config.isObfuscated) throw refused('amneziawg');
    const own = client.addresses.map((address) => address.split('/', 1).join(''));
    if (!config.addresses.every((address) => own.includes(address))) throw unavailable('answer');
    const addresses = client.addresses.filter((network) => config.addresses.includes(network.split('/', 1).join('')));
    return { privateKey: config.privateKey, presharedKey: config.presharedKey, addresses };
  }

  /** What any client of ours is told; undefined where there is none. */
  private async sample(): Promise<ClientSecrets | undefined> {
    const client = (await this.clients()).find((one) => this.isOurs(one));
    return client === undefined ? undefined : this.configOf(client);
  }

  private async configOf(client: WgEasyClient): Promise<ClientSecrets | undefined> {
    const config = parseClientConfig(await this.asked((api) => api.config(client)));
    if (config !== undefined && client.addresses.length > 1)
      this.givesIpv6 = config.addresses.some((address) => address.includes(':'));
    return config;
  }

  /** The addresses that a device is given: with `DISABLE_IPV6` the list has one more. */
  private given({ addresses }: WgEasyClient): readonly string[] {
    return this.givesIpv6 ? addresses : addresses.filter((address) => !address.includes(':'));
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
        if (!(error instanceof DomainError) || isSilence(error)) throw error;
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

  /** One piece of work that changes known clients after another. New clients are not among it: they take turns with its changes. */
  private oneAtATime<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.lastChange.then(work);
    this.lastChange = result.catch(() => undefined);
    return result;
  }

  private pause(attempt: number): Promise<void> {
    return pause(attempt, this.randomness);
  }

  private peerIdOf({ name }: WgEasyClient): number | null {
    const id = this.ourName.exec(name)?.[1];
    return id === undefined ? null : Number(id);
  }

  private isOurs(client: WgEasyClient): boolean {
    return this.ourName.test(client.name);
  }
}

function withKeys(keys: ReadonlySet<string>, clients: Clients): Clients {
  return clients.filter(({ publicKey }) => keys.has(publicKey));
}

function throwFirst(failures: ReadonlyMap<unknown, DomainError>): void {
  const [first] = failures.values();
  if (first !== undefined) throw first;
}
