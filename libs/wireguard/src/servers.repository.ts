import { Injectable } from '@nestjs/common';
import { Clock } from '#kernel';
import { UnitOfWork } from '#platform';
import { ServerEntity } from './server.entity.js';
import { type Server } from './server.js';

/** What the settings say of the first server. */
export interface DescribedServer {
  readonly endpoint: string;
  readonly subnet: string;
  readonly dns: readonly string[];
  readonly mtu: number;
  /** Undefined: the keys stay as they are. */
  readonly keys: { readonly publicKey: string; readonly sealedPrivateKey: string | null } | undefined;
}

const FIRST_NAME = 'default';

@Injectable()
export class ServersRepository {
  constructor(
    private readonly uow: UnitOfWork,
    private readonly clock: Clock,
  ) {}

  find(id: number): Promise<Server | null> {
    return this.uow.repository(ServerEntity).findOneBy({ id });
  }

  get(id: number): Promise<Server> {
    return this.uow.repository(ServerEntity).findOneByOrFail({ id });
  }

  list(): Promise<readonly Server[]> {
    return this.uow.repository(ServerEntity).find({ order: { id: 'ASC' } });
  }

  /** The first server that takes peers, or this one if it does. */
  findActive(id: number | undefined): Promise<Server | null> {
    const where = { status: 'active' as const, ...(id === undefined ? {} : { id }) };
    return this.uow.repository(ServerEntity).findOne({ where, order: { id: 'ASC' } });
  }

  /** Sealed; null where only the host has it. */
  async sealedPrivateKey(id: number): Promise<string | null> {
    const { sealedPrivateKey } = await this.uow
      .repository(ServerEntity)
      .findOneOrFail({ where: { id }, select: { id: true, sealedPrivateKey: true } });
    return sealedPrivateKey;
  }

  /** The server that the settings describe; other instances wait until this transaction ends. */
  async lockFirst(): Promise<Server | null> {
    this.uow.assertOpen();
    await this.uow.manager.query(`SELECT pg_advisory_xact_lock(hashtext('first server'))`);
    return this.uow.repository(ServerEntity).findOneBy({ fromSettings: true });
  }

  /** Writes the server that the settings describe. */
  async saveFirst(existing: Server | null, described: DescribedServer): Promise<Server> {
    const { keys, endpoint, subnet, dns, mtu } = described;
    const rows = this.uow.repository(ServerEntity);
    const row = rows.create({
      ...(existing === null
        ? { name: FIRST_NAME, fromSettings: true, createdAt: this.clock.now() }
        : { id: existing.id }),
      ...(keys ?? {}),
      endpoint,
      subnet,
      dns: [...dns],
      mtu,
    });
    const { id } = await rows.save(row);
    return this.get(id);
  }
}
