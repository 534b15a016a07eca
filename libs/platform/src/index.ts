/**
 * platform: what the rooms stand on. Settings, the database and its transactions, sealing of secrets, languages, the log,
 * the audit log, repeated requests, the outbox and mail. It promises that a room needs no other way to any of them, and must never know what a user, a tariff or a
 * peer is.
 */
export {
  type Actor,
  ACTOR_KINDS,
  AUDIT_ACTIONS,
  type AuditAction,
  type AuditEntry,
  type AuditFilter,
  type AuditRecord,
  differences,
  SYSTEM,
} from './audit/audit-entry.js';
export { Audit } from './audit/audit.service.js';
export { ContextSlot } from './context.js';
export { loadSettings } from './config/load-settings.js';
export { type EasyTarget, type HostTarget, type Role, Settings, type SigningKey } from './config/settings.js';
export { type Environment, SettingsError } from './config/settings-reader.js';
export { type AppleSettings, type GoogleSettings, type PurchaseSettings } from './config/store-settings.js';
export { EncryptionKey } from './crypto/encryption-key.service.js';
export { SealedColumns } from './crypto/sealed-columns.js';
export { SecretBox, UnreadableSecretError } from './crypto/secret-box.js';
export { BatchedRead } from './database/batched-read.js';
export { refusalOf, refusing } from './database/constraints.js';
export { DatabaseClock } from './database/database-clock.js';
export { DatabaseHealth } from './database/database-health.js';
export { isDatabaseUnavailable, isOutcomeUnknown } from './database/database-faults.js';
export { acquireEmbeddedPostgres, type EmbeddedPostgres } from './database/embedded-postgres.js';
export { type Lease, LeaseLostError, Leases } from './database/leases.service.js';
export { inBatches } from './database/in-batches.js';
export { migrate } from './database/migrate.js';
export { openDatabase, type OpenDatabase } from './database/open-database.js';
export { Patience } from './database/patience.js';
export { StartError } from './database/start-error.js';
export { PreparedQueries, type PreparedQuery } from './database/prepared-queries.js';
export { UnitOfWork } from './database/unit-of-work.js';
export { HealthChecks, type HealthFinding } from './health/health-checks.js';
export { type JobRun } from './health/job-runs.repository.js';
export { type JobOptions, JobRuns } from './health/job-runs.service.js';
export { chooseLocale, DEFAULT_LOCALE, type Locale, LOCALES, messageFor } from './i18n/messages.js';
export { Idempotency, type RepeatableAnswer, type RepeatableRequest } from './idempotency/idempotency.js';
export { type AddressedLetter, Mail } from './mail/mail.service.js';
export { type Letter, type LetterParams } from './mail/letter.js';
export {
  type OutboxKind,
  type OutboxMessage,
  type OutboxPayloads,
  type OutgoingMail,
} from './outbox/outbox-message.js';
export { Outbox, type OutboxDelivery, type OutboxHandler, type OutboxOutcome } from './outbox/outbox.service.js';
export {
  isResolver,
  isSampleHost,
  isUnreachable,
  parseEndpoint,
  parseHost,
  parsePort,
  type Endpoint,
} from './network/endpoint.js';
export { addressToNumber, numberToAddress, parseSubnet, type Subnet } from './network/subnet.js';
export { isSampleKey, isWireGuardKey } from './network/wireguard-key.js';
export { PlatformModule, type PlatformOptions } from './platform.module.js';
export { AccessLog, type AccessLine } from './telemetry/access-log.js';
export { clientAddress, forwardedScheme, type Network, networkOf } from './telemetry/client-address.js';
export { createLog, describeError, LOG, logWarnings, NestLog } from './telemetry/log.js';
export { InvariantsGauge } from './telemetry/invariants-gauge.js';
export { Metrics } from './telemetry/metrics.js';
export { healthBody, MetricsServer } from './telemetry/metrics-server.js';
export { watchEventLoop } from './watchdog/event-loop-watchdog.js';
export { currentRequest, inRequest, type RequestContext } from './telemetry/request-context.js';
