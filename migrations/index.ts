import { type MigrationInterface } from 'typeorm';
import { Initial1795305600000 } from './1795305600000-initial.migration.js';
import { Fleet1795348800000 } from './1795348800000-fleet.migration.js';
import { Traffic1795435200000 } from './1795435200000-traffic.migration.js';
import { Outbox1795438800000 } from './1795438800000-outbox.migration.js';
import { Audit1795440600000 } from './1795440600000-audit.migration.js';
import { Stores1795442400000 } from './1795442400000-stores.migration.js';
import { Ledger1795446000000 } from './1795446000000-ledger.migration.js';
import { Leases1795800000000 } from './1795800000000-leases.migration.js';
import { JobRuns1795801000000 } from './1795801000000-job-runs.migration.js';
import { EncryptionCanary1795802000000 } from './1795802000000-encryption-canary.migration.js';
import { Counters1795830000000 } from './1795830000000-counters.migration.js';
import { FleetMemory1795830100000 } from './1795830100000-fleet-memory.migration.js';
import { NextPeriod1795830200000 } from './1795830200000-next-period.migration.js';
import { ServerLoads1795830300000 } from './1795830300000-server-loads.migration.js';
import { DepartedFrom1795830400000 } from './1795830400000-departed-from.migration.js';
import { ServerIdentity1795850000000 } from './1795850000000-server-identity.migration.js';
import { ApplePayments1795860000000 } from './1795860000000-apple-payments.migration.js';
import { Acknowledgement1795870000000 } from './1795870000000-acknowledgement.migration.js';
import { UnclaimedPayments1795880000000 } from './1795880000000-unclaimed-payments.migration.js';
import { PaymentReminders1795881000000 } from './1795881000000-payment-reminders.migration.js';

interface Migration {
  new (): MigrationInterface;
  readonly name: string;
}

/** Every migration, in the order in which they run. Once released, one is never changed: `frozen.json` holds its checksum. */
export const MIGRATIONS: readonly Migration[] = [
  Initial1795305600000,
  Fleet1795348800000,
  Traffic1795435200000,
  Outbox1795438800000,
  Audit1795440600000,
  Stores1795442400000,
  Ledger1795446000000,
  Leases1795800000000,
  JobRuns1795801000000,
  EncryptionCanary1795802000000,
  Counters1795830000000,
  FleetMemory1795830100000,
  NextPeriod1795830200000,
  ServerLoads1795830300000,
  DepartedFrom1795830400000,
  ServerIdentity1795850000000,
  ApplePayments1795860000000,
  Acknowledgement1795870000000,
  UnclaimedPayments1795880000000,
  PaymentReminders1795881000000,
];
