import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import { DatabaseHealth } from './database-health.js';
import { PreparedQueries } from './prepared-queries.js';
import { UnitOfWork } from './unit-of-work.js';

/** How long a statement may run, wait for a lock, or leave a transaction idle, before PostgreSQL ends it. */
const LIMITS = {
  connectionTimeoutMillis: 5000,
  idleTimeoutMillis: 30_000,
  statement_timeout: 5000,
  lock_timeout: 2000,
  idle_in_transaction_session_timeout: 10_000,
};

export interface DatabaseOptions {
  readonly url: string;
  readonly poolSize: number;
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

function dataSourceOptions({ url, poolSize }: DatabaseOptions): TypeOrmModuleOptions {
  return {
    type: 'postgres',
    url,
    poolSize,
    autoLoadEntities: true,
    uuidExtension: 'pgcrypto', // that is gen_random_uuid(), which every supported PostgreSQL has by itself
    installExtensions: false,
    synchronize: false,
    applicationName: 'vpn-backend',
    extra: LIMITS,
    retryAttempts: 0,
  };
}
