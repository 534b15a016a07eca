import { type DynamicModule, Module } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { type Logger } from 'pino';
import { type DataSource } from 'typeorm';
import { Clock, Randomness, SystemRandomness } from '#kernel';
import { AuditEntryEntity } from './audit/audit-entry.entity.js';
import { AuditRepository } from './audit/audit.repository.js';
import { Audit } from './audit/audit.service.js';
import { Settings } from './config/settings.js';
import { ShiftedClock } from './config/shifted-clock.js';
import { EncryptionCanaryEntity } from './crypto/encryption-canary.entity.js';
import { EncryptionKey } from './crypto/encryption-key.service.js';
import { SealedColumns } from './crypto/sealed-columns.js';
import { SealedTextsCheck } from './crypto/sealed-texts-check.service.js';
import { SealedTextsMetrics } from './crypto/sealed-texts.metrics.js';
import { SealedTextsRepository } from './crypto/sealed-texts.repository.js';
import { SecretBox } from './crypto/secret-box.js';
import { ClockFollower, startClock } from './database/clock-follower.js';
import { ClockMetrics } from './database/clock.metrics.js';
import { DatabaseClock } from './database/database-clock.js';
import { DatabaseMetrics } from './database/database.metrics.js';
import { DatabaseModule } from './database/database.module.js';
import { FollowingClock } from './database/following-clock.js';
import { LeaseEntity } from './database/lease.entity.js';
import { LeasesRepository } from './database/leases.repository.js';
import { LEASE_TIMES, Leases } from './database/leases.service.js';
import { UnitOfWork } from './database/unit-of-work.js';
import { HealthChecks } from './health/health-checks.js';
import { JobRunEntity } from './health/job-run.entity.js';
import { JobRunsMetrics } from './health/job-runs.metrics.js';
import { JobRunsRepository } from './health/job-runs.repository.js';
import { JobRuns } from './health/job-runs.service.js';
import { IdempotencyKeyEntity } from './idempotency/idempotency-key.entity.js';
import { Idempotency } from './idempotency/idempotency.js';
import { Mail } from './mail/mail.service.js';
import { SmtpConnection } from './mail/smtp-connection.js';
import { OutboxEntity } from './outbox/outbox.entity.js';
import { OutboxMetrics } from './outbox/outbox.metrics.js';
import { OutboxRepository } from './outbox/outbox.repository.js';
import { Outbox } from './outbox/outbox.service.js';
import { LOG } from './telemetry/log.js';
import { InvariantsGauge } from './telemetry/invariants-gauge.js';
import { Metrics } from './telemetry/metrics.js';
import { MetricsServer } from './telemetry/metrics-server.js';

export interface PlatformOptions {
  readonly settings: Settings;
  readonly databaseUrl: string;
  /** Whether `databaseUrl` leads to a pooler. */
  readonly databaseIsPooled?: boolean;
  readonly log: Logger;
  /** The database's unless a test holds it still, or development moves the time (`DEV_CLOCK_FILE`). */
  readonly clock?: Clock;
  readonly randomness?: Randomness;
}

/** What every room may ask for by type: settings, database, clock, randomness, the secret box, outbox and mail, the log. */
@Module({})
export class PlatformModule {
  static with(options: PlatformOptions): DynamicModule {
    const { settings, databaseUrl, log, randomness = new SystemRandomness() } = options;
    const moved =
      options.clock ?? (settings.clockFile === undefined ? undefined : new ShiftedClock(settings.clockFile));
    const following = new FollowingClock();
    const clock = moved ?? following;
    const box = new SecretBox(settings.encryptionKeys, randomness, clock);
    return {
      module: PlatformModule,
      global: true,
      imports: [
        DatabaseModule.connect({
          url: databaseUrl,
          poolSize: settings.database.poolSize,
          isPooled: options.databaseIsPooled ?? false,
        }),
        TypeOrmModule.forFeature([
          AuditEntryEntity,
          EncryptionCanaryEntity,
          IdempotencyKeyEntity,
          JobRunEntity,
          LeaseEntity,
          OutboxEntity,
        ]),
      ],
      providers: [
        { provide: Settings, useValue: settings },
        { provide: Randomness, useValue: randomness },
        { provide: SecretBox, useValue: box },
        { provide: LOG, useValue: log },
        // Who moves the one time moves the database's with it.
        ...(moved === undefined
          ? [
              {
                provide: FollowingClock,
                inject: [getDataSourceToken()],
                useFactory: (dataSource: DataSource) => startClock(dataSource, following),
              },
              { provide: Clock, useExisting: FollowingClock },
              ClockFollower,
              ClockMetrics,
              DatabaseClock,
            ]
          : [
              { provide: Clock, useValue: moved },
              { provide: DatabaseClock, useValue: { now: () => Promise.resolve(clock.now()) } },
            ]),
        LeasesRepository,
        {
          provide: Leases,
          inject: [UnitOfWork, LeasesRepository],
          useFactory: (uow: UnitOfWork, leases: LeasesRepository) => new Leases(uow, leases, randomness, LEASE_TIMES),
        },
        EncryptionKey,
        SealedColumns,
        SealedTextsCheck,
        SealedTextsMetrics,
        SealedTextsRepository,
        HealthChecks,
        JobRuns,
        JobRunsMetrics,
        JobRunsRepository,
        Audit,
        AuditRepository,
        Idempotency,
        Outbox,
        OutboxRepository,
        OutboxMetrics,
        DatabaseMetrics,
        SmtpConnection,
        Mail,
        Metrics,
        InvariantsGauge,
        MetricsServer,
      ],
      exports: [
        Settings,
        Clock,
        Randomness,
        SecretBox,
        EncryptionKey,
        SealedColumns,
        LOG,
        DatabaseClock,
        Leases,
        HealthChecks,
        JobRuns,
        Audit,
        Idempotency,
        Outbox,
        Mail,
        Metrics,
        InvariantsGauge,
        MetricsServer,
      ],
    };
  }
}
