import { Injectable } from '@nestjs/common';
import { isDeepStrictEqual } from 'node:util';
import { addSeconds, Clock, DomainError, invalidField, type Listing, type Page } from '#kernel';
import {
  type Actor,
  Audit,
  type AuditRecord,
  differences,
  Idempotency,
  SecretBox,
  Settings,
  SYSTEM,
  UnitOfWork,
} from '#platform';
import { AddressesRepository } from './addresses.repository.js';
import { areAllIpv6 } from './networks.js';
import { Providers } from './providers.service.js';
import { ServerHealthRepository } from './server-health.repository.js';
import { type Server, type ServerOverview } from './server.js';
import { type SealedAccess, type ServerAccess, placeOf } from './server-access.js';
import { type ServerChange, type ServerDraft } from './server-draft.js';
import { type Placement, type ServerColumns, ServersRepository } from './servers.repository.js';
import { bareHostname, isAllowedHost } from './target-address.js';

export { type Placement } from './servers.repository.js';

/** How long the catalogue may be old on another instance, in seconds; on this one a change shows at once. */
const CACHE_SECONDS = 1;

/** What an operator may change of the server that the settings describe: of this they say nothing. */
const NOT_OF_SETTINGS: ReadonlySet<string> = new Set(['name', 'status', 'region', 'country', 'capacity', 'subnet6']);

/** The WireGuard servers there are. */
@Injectable()
export class Servers {
  private known: { readonly servers: Promise<readonly ServerOverview[]>; readonly until: Date } | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly uow: UnitOfWork,
    private readonly repository: ServersRepository,
    private readonly health: ServerHealthRepository,
    private readonly addresses: AddressesRepository,
    private readonly providers: Providers,
    private readonly idempotency: Idempotency,
    private readonly audit: Audit,
    private readonly box: SecretBox,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError server_not_found */
  get(id: number): Promise<Server> {
    return this.repository.get(id);
  }

  /** All servers, by id. */
  list(): Promise<readonly Server[]> {
    return this.repository.list();
  }

  /** A server with what is on it. @throws DomainError server_not_found */
  async overview(id: number): Promise<ServerOverview> {
    const [overview] = await this.repository.overviews(id);
    if (overview === undefined) throw new DomainError('server_not_found');
    return overview;
  }

  /** A page of all servers, with what is on them. */
  async overviews(page: Page): Promise<Listing<ServerOverview>> {
    return pageOf(await this.repository.overviews(null), page);
  }

  /** A page of the servers that people may choose. The answer may be one second old. */
  async catalogue(page: Page): Promise<Listing<ServerOverview>> {
    const now = this.clock.now();
    if (this.known === undefined || now >= this.known.until) {
      const servers = this.repository.overviews(null);
      this.known = { servers, until: addSeconds(now, CACHE_SECONDS) };
      servers.catch(() => (this.known = undefined)); // a failure is not worth remembering
    }
    const active = (await this.known.servers).filter(({ status }) => status === 'active');
    return pageOf(active, page);
  }

  /**
   * Adds a server, its address pool filled. Until it is adopted, peers there that we do not know are left alone.
   * @throws DomainError server_already_exists | validation_error
   */
  add(by: Actor, draft: ServerDraft): Promise<ServerOverview> {
    return this.idempotency.creating(
      () => this.writing(() => this.insert(by, draft)),
      (id) => this.overview(id),
    );
  }

  /**
   * Changes what is given and leaves the rest; a country, an IPv6 subnet or a capacity may be taken away by null. How a server is reached is replaced as a whole: a secret kept for one address is
   * never sent to another.
   * @throws DomainError server_not_found | server_already_exists | server_in_use | server_from_settings | validation_error
   */
  change(
    by: Actor,
    id: number,
    change: ServerChange,
    action: 'server_change' | 'server_drain' = 'server_change',
  ): Promise<ServerOverview> {
    return this.writing(async () => {
      const before = await this.repository.lock(id);
      const { access, ...given } = change;
      const columns = differing(given, before);
      const fields = [...Object.keys(columns), ...(access === undefined ? [] : ['access'])];
      if (before.fromSettings && !fields.every((field) => NOT_OF_SETTINGS.has(field)))
        throw new DomainError('server_from_settings');
      const after = { ...before, ...columns };
      const known = await this.accessOf(id);
      if (access !== undefined) this.assertAllowed(access);
      assertFits(after, access ?? known);
      if (columns.publicKey !== undefined) await this.requireOwnKey(columns.publicKey);
      if (['dns', 'subnet6', 'provider'].some((field) => field in columns)) assertResolves(after);
      await this.repository.update(id, { ...columns, ...this.sealed(access, known) });
      await this.health.retry(id);
      if (after.subnet !== before.subnet) await this.addresses.fill(after);
      // Asked last: whoever took an address of the old subnet meanwhile has been waited for by now.
      if (isAnother(before, after) && (await this.repository.hasPeers(id))) throw new DomainError('server_in_use');
      if (fields.length > 0) await this.record(by, action, before, { changed: shownChanges(before, columns, access) });
      if (losesIpv6(before, after) && (await this.repository.hasIpv6Peers(id))) throw new DomainError('server_in_use');
      return this.overview(id);
    });
  }

  /** From now on it gets no new peers, and keeps those it has. @throws DomainError server_not_found */
  drain(by: Actor, id: number): Promise<ServerOverview> {
    return this.change(by, id, { status: 'draining' }, 'server_drain');
  }

  /**
   * Forgets a server that nothing is left on.
   * @throws DomainError server_not_found | server_in_use | server_from_settings
   */
  remove(by: Actor, id: number): Promise<void> {
    return this.writing(async () => {
      const server = await this.repository.lock(id);
      const { fromSettings, applies } = server;
      if (fromSettings) throw new DomainError('server_from_settings');
      // Where nobody takes leftovers off, there is nobody to wait for: the next export does not name them.
      if (applies && (await this.repository.hasLeftovers(id))) throw new DomainError('server_in_use');
      await this.repository.delete(id);
      await this.record(by, 'server_delete', server, {});
      this.uow.afterCommit(() => this.providers.release(id));
    });
  }

  /**
   * A server for a new peer: the one asked for, or the least full of a region, or of all.
   * @throws DomainError no_server_available | validation_error (there is no such server or region)
   */
  async place(wanted: Placement): Promise<Server> {
    const server = await this.repository.findRoomiest(wanted);
    if (server !== null) return server;
    const { serverId, region } = wanted;
    if (serverId !== undefined && (await this.repository.find(serverId)) === null) {
      throw invalidField(['body', 'server_id'], 'there is no such server', 'value_error.server_id');
    }
    if (region !== undefined && !(await this.repository.hasRegion(region))) {
      throw invalidField(['body', 'region'], 'there is no such region', 'value_error.region');
    }
    throw new DomainError('no_server_available', { retryAfterSeconds: 60 });
  }

  /** From now on peers there that we know nothing of are removed: an operator says so. @throws DomainError server_not_found */
  /**
   * Makes sure, as the last thing before a peer is written, that its server has room for it: those who were placed at the same
   * moment may have filled it.
   * @throws DomainError no_server_available, of the kind `full`: another may have room
   */
  async requireRoom({ id, capacity }: Server): Promise<void> {
    if (capacity === null || (await this.repository.hasRoom(id))) return;
    throw new DomainError('no_server_available', { retryAfterSeconds: 60, params: { kind: 'full' } });
  }

  /** From now on peers there that we know nothing of are removed. */
  adopt(id: number): Promise<void> {
    return this.uow.run(async () => {
      const server = await this.repository.lock(id);
      if (server.adopted) return;
      await this.repository.adopt(id);
      await this.record(SYSTEM, 'server_adopt', server, {});
    });
  }

  /** The private key of a server whose key we made; null where only the host has it. */
  async privateKey(id: number): Promise<string | null> {
    const sealed = await this.repository.sealedPrivateKey(id);
    return sealed === null ? null : this.box.open(sealed);
  }

  /** @throws DomainError validation_error when a device has this key: a server drops a peer with its own key without a word */
  private async requireOwnKey(publicKey: string): Promise<void> {
    if (await this.repository.hasPeerWithKey(publicKey))
      throw invalidField(['body', 'public_key'], 'a device has this key', 'value_error.public_key');
  }

  private record(
    by: Actor,
    action: AuditRecord['action'],
    { id, name }: Server,
    data: AuditRecord['data'],
  ): Promise<void> {
    return this.audit.record({ ...by, action, target: `server:${id}`, data: { name, ...data } });
  }

  private async insert(by: Actor, { access, ...draft }: ServerDraft): Promise<ServerOverview> {
    if (access !== null) this.assertAllowed(access);
    assertFits(draft, access);
    await this.requireOwnKey(draft.publicKey);
    assertResolves(draft);
    const sealedAccess = access === null ? null : this.seal(access);
    const id = await this.repository.insert({ ...draft, adopted: false, sealedAccess });
    const server = await this.repository.get(id);
    await this.addresses.fill(server);
    await this.record(by, 'server_add', server, { provider: server.provider, region: server.region });
    return this.overview(id);
  }

  /** @throws DomainError validation_error when this address may not be connected to, or whoever answers there not be trusted */
  private assertAllowed(access: ServerAccess): void {
    const { allowPrivateTargets } = this.settings.fleet;
    if (access.kind === 'ssh') {
      if (!isAllowedHost(access.host, allowPrivateTargets)) throw notAllowed('host');
      if (access.fingerprint === null && this.settings.environment === 'production')
        throw invalidField(['body', 'access', 'fingerprint'], 'field required', 'value_error.missing');
    }
    if (access.kind === 'wg-easy' && !isAllowedHost(bareHostname(new URL(access.url)), allowPrivateTargets))
      throw notAllowed('url');
  }

  /** The columns that go with a new way to reach it. Another place is another server, whose peers are not ours to remove yet. */
  private sealed(access: ServerAccess | undefined, known: ServerAccess | null): Partial<ServerColumns> {
    if (access === undefined) return {};
    const isElsewhere = known === null || placeOf(known) !== placeOf(access);
    return { sealedAccess: this.seal(access), ...(isElsewhere ? { adopted: false } : {}) };
  }

  private seal(access: ServerAccess): string {
    return this.box.seal(JSON.stringify({ access, fromSettings: false } satisfies SealedAccess));
  }

  /** Null also where no key opens it: then it is to be said again. */
  private async accessOf(id: number): Promise<ServerAccess | null> {
    const sealed = await this.repository.sealedAccess(id);
    return sealed === null || this.box.keyOf(sealed) === -1
      ? null
      : (JSON.parse(this.box.open(sealed)) as SealedAccess).access;
  }

  private writing<T>(work: () => Promise<T>): Promise<T> {
    return this.uow.run(async () => {
      this.uow.afterCommit(() => (this.known = undefined));
      return work();
    });
  }
}

function pageOf<T>(all: readonly T[], { skip, limit }: Page): Listing<T> {
  return { items: all.slice(skip, skip + limit), total: all.length };
}

/** What was changed, for the audit log: of how a server is reached, and of its key, only that it was. */
function shownChanges(before: Server, columns: Partial<Server>, access: ServerAccess | undefined): object {
  const { publicKey, ...shown } = columns;
  return {
    ...differences(before, { ...before, ...shown }, Object.keys(shown) as (keyof typeof shown)[]),
    ...(publicKey === undefined ? {} : { public_key: 'replaced' }),
    ...(access === undefined ? {} : { access: 'replaced' }),
  };
}

/** The fields that are given and not so already. */
function differing(given: Omit<ServerChange, 'access'>, before: Server): Partial<Server> {
  const fields = Object.keys(given) as (keyof typeof given)[];
  const changed = fields.filter(
    (field) => given[field] !== undefined && !isDeepStrictEqual(given[field], before[field]),
  );
  return Object.fromEntries(changed.map((field) => [field, given[field]]));
}

/** Whether peers could not stay: their addresses would be others, or their keys made by somebody else. */
function isAnother(before: Server, after: Server): boolean {
  const isEasy = ({ provider }: Server): boolean => provider === 'wg-easy';
  const isOtherSubnet6 = before.subnet6 !== after.subnet6 && !losesIpv6(before, after);
  return before.subnet !== after.subnet || isOtherSubnet6 || isEasy(before) !== isEasy(after);
}

function losesIpv6(before: Server, after: Server): boolean {
  return before.subnet6 !== null && after.subnet6 === null;
}

/** @throws DomainError validation_error when who keeps it, whether we apply, and how it is reached do not go together */
function assertFits({ provider, applies }: Pick<Server, 'provider' | 'applies'>, access: ServerAccess | null): void {
  if (!applies && provider === 'db') return;
  if (!applies) throw invalidField(['body', 'applies'], `value is always true with the provider ${provider}`);
  if (access === null) throw invalidField(['body', 'access'], 'field required', 'value_error.missing');
  if ((access.kind === 'wg-easy') !== (provider === 'wg-easy'))
    throw invalidField(['body', 'access', 'kind'], `a server of the provider ${provider} is not reached this way`);
}

/** @throws DomainError validation_error when devices, which have no IPv6 there, could ask none of the resolvers */
function assertResolves({ provider, subnet6, dns }: Pick<Server, 'provider' | 'subnet6' | 'dns'>): void {
  if (provider === 'wg-easy' || subnet6 !== null || !areAllIpv6(dns)) return;
  throw invalidField(['body', 'dns'], 'devices without IPv6 (no subnet6) can ask none of these', 'value_error.dns');
}

function notAllowed(field: 'host' | 'url'): DomainError {
  return invalidField(['body', 'access', field], 'this address may not be connected to', 'value_error.target');
}
