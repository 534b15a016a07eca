import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { StartError } from '../database/start-error.js';
import { LOG } from '../telemetry/log.js';
import { SealedColumns } from './sealed-columns.js';
import { SealedTextsRepository } from './sealed-texts.repository.js';
import { SecretBox } from './secret-box.js';

const CANARY = 'Whoever reads this has the key.';
/** So many of the oldest and of the newest texts of each column are tried where there is no canary yet. */
const TRIED = 10;

const REFUSAL =
  'CONFIG_ENCRYPTION_KEY: none of its keys opens what this database has sealed. Set the key that it was sealed with (several are ' +
  'separated by commas: the first seals, all open). If that key is lost for good: docs/database.md, "The encryption key"';

/** Knows whether CONFIG_ENCRYPTION_KEY holds the key that the database's secrets are sealed with, before anything is sealed with another. */
@Injectable()
export class EncryptionKey {
  constructor(
    private readonly columns: SealedColumns,
    private readonly texts: SealedTextsRepository,
    private readonly box: SecretBox,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /**
   * What a process that serves does first. The first one ever leaves the canary; where an older key of the list opens it, it is
   * sealed anew with the first one.
   * @throws StartError
   */
  async verifyAndKeep(): Promise<void> {
    const canary = await this.verify();
    if (canary === null) {
      const isKept = await this.texts.insertCanary(this.box.seal(CANARY));
      if (!isKept) await this.verifyAndKeep(); // another process was first, perhaps with another key
    } else if (this.box.keyOf(canary) > 0) {
      await this.texts.replaceCanary(canary, this.box.seal(CANARY));
      this.log.warn(
        'CONFIG_ENCRYPTION_KEY begins with a new key: keep the older ones, they open what they have sealed',
      );
    }
  }

  /**
   * What a command does first: it changes nothing. Answers the canary; null when there is none yet, and nothing speaks against
   * the keys.
   * @throws StartError
   */
  async verify(): Promise<string | null> {
    const canary = await this.texts.canary();
    const sealed = canary === null ? await this.findSealed() : [canary];
    if (sealed.length > 0 && sealed.every((text) => this.box.keyOf(text) === -1)) throw new StartError(REFUSAL);
    return canary;
  }

  /** For when the key is lost for good: from now on the keys of the settings are right, whatever they cannot open. */
  accept(): Promise<void> {
    return this.texts.setCanary(this.box.seal(CANARY));
  }

  private async findSealed(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const column of this.columns.list()) found.push(...(await this.texts.find(column, TRIED)));
    return found;
  }
}
