import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Client } from 'pg';
import { DataSource } from 'typeorm';

/** Names this service's locks among PostgreSQL's advisory locks (the migration's is of another number). */
const LOCK_SPACE = 0x76706f;

/**
 * Has a piece of work run on one instance at a time. The locks are advisory locks of one connection beside the pool, so work may
 * take its time and await sockets without keeping a transaction or a pooled connection; if this process dies, so does the
 * connection, and with it the locks.
 */
@Injectable()
export class Exclusive implements OnModuleDestroy {
  private readonly held = new Set<string>();
  private connection: Promise<Client> | undefined;

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Runs `work` unless it is being run somewhere; null when it is. */
  async run<T>(name: string, work: () => Promise<T>): Promise<{ readonly result: T } | null> {
    if (this.held.has(name)) return null;
    this.held.add(name);
    try {
      if (!(await this.ask('SELECT pg_try_advisory_lock($1, hashtext($2)) AS yes', name))) return null;
      try {
        return { result: await work() };
      } finally {
        await this.ask('SELECT pg_advisory_unlock($1, hashtext($2)) AS yes', name).catch(() => {
          this.connection = undefined; // lost, and the lock with it
        });
      }
    } finally {
      this.held.delete(name);
    }
  }

  async onModuleDestroy(): Promise<void> {
    const client = await this.connection?.catch(() => undefined);
    await client?.end();
  }

  private async ask(text: string, name: string): Promise<boolean> {
    const client = await this.connected();
    const { rows } = await client.query<{ yes: boolean }>(text, [LOCK_SPACE, name]);
    return rows[0]?.yes === true;
  }

  private connected(): Promise<Client> {
    this.connection ??= this.connect().catch((error: unknown) => {
      this.connection = undefined;
      throw error;
    });
    return this.connection;
  }

  private async connect(): Promise<Client> {
    const { options } = this.dataSource;
    if (options.type !== 'postgres' || options.url === undefined) throw new Error('The database has no address');
    const client = new Client({
      connectionString: options.url,
      application_name: 'vpn-backend locks',
      connectionTimeoutMillis: 5000,
      query_timeout: 5000,
      keepAlive: true,
    });
    const lost = (): void => void (this.connection = undefined);
    client.on('error', lost).on('end', lost);
    await client.connect();
    return client;
  }
}
