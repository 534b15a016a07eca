import { Injectable } from '@nestjs/common';
import { addDays, Clock } from '#kernel';
import { Settings } from '#platform';
import { DesiredPeersRepository } from './desired-peers.repository.js';
import { KnownKeysRepository } from './known-keys.repository.js';

const BATCH = 500;

/** How long those who are gone keep their places. */
@Injectable()
export class Retention {
  constructor(
    private readonly settings: Settings,
    private readonly clock: Clock,
    private readonly desired: DesiredPeersRepository,
    private readonly knownKeys: KnownKeysRepository,
  ) {}

  /** Keeps short what the loads of servers are the sum of. */
  addUpLoads(): Promise<void> {
    return this.knownKeys.addUpLoads();
  }

  /** Forgets keys that have been gone for so long that nobody will meet them again. */
  private async forgetOldKeys(): Promise<void> {
    while ((await this.knownKeys.forgetOld(BATCH)) >= BATCH);
  }

  /** Deletes peers that have been suspended for PEER_RETENTION_DAYS, and frees their addresses; answers how many they were. */
  async forgetSuspended(): Promise<number> {
    await this.forgetOldKeys();
    const before = addDays(this.clock.now(), -this.settings.fleet.peerRetentionDays);
    for (let total = 0; ;) {
      const forgotten = await this.desired.deleteSuspendedBefore(before, BATCH);
      total += forgotten;
      if (forgotten < BATCH) return total;
    }
  }
}
