import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import pg from 'pg';
import { DatabaseHealth } from './database-health.js';
import { isDatabaseUnavailable, isRefusedConnection } from './database-faults.js';
import { GuardedPool, STATEMENT_LIMIT_MS } from './guarded-pool.js';
import { PreparedQueries } from './prepared-queries.js';
import { UnitOfWork } from './unit-of-work.js';

/**
 * How long a connection may take to be had, a statement to run or to wait for a lock, and a transaction to be idle, before PostgreSQL
 * or the pool ends it. What a server that says nothing is allowed is the guarded connection's to say.
 */
const LIMITS = {
  statement_timeout: STATEMENT_LIMIT_MS,
  lock_timeout: 2000,
  idle_in_transaction_session_timeout: 10_000,
};
const POOL = {
  connectionTimeoutMillis: 5000,
  idleTimeoutMillis: 30_000,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
};

export interface DatabaseOptions {
  readonly url: string;
  readonly poolSize: number;
  /** Behind a pooler the role brings the limits: what a connection asks for at its start is refused or dropped there. */
  readonly isPooled: boolean;
}

/** The connection every room shares. Entities come from the rooms themselves (`TypeOrmModule.forFeature`). */
@Module({})
export class DatabaseModule {
  static connect(options: DatabaseOptions): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      imports: [TypeOrmModule.forRoot(dataSourceOptions(options))],
      providers: [UnitOfWork, PreparedQueries, DatabaseHealth],
      exports: [UnitOfWork, PreparedQueries, DatabaseHealth],
    };
  }
}

function dataSourceOptions({ url, poolSize, isPooled }: DatabaseOptions): TypeOrmModuleOptions {
  return {
    type: 'postgres',
    url,
    poolSize,
    autoLoadEntities: true,
    uuidExtension: 'pgcrypto', // that is gen_random_uuid(), which every supported PostgreSQL has by itself
    installExtensions: false,
    synchronize: false,
    applicationName: 'vpn-backend',
    extra: { ...POOL, ...(isPooled ? { isPooled } : LIMITS) },
    driver: { ...pg, Pool: GuardedPool },
    // It answered when it was migrated; on a busy machine the next connection may still take its time.
    retryAttempts: 5,
    retryDelay: 1000,
    toRetry: (error: unknown) => isDatabaseUnavailable(error) && !isRefusedConnection(error),
  };
}
