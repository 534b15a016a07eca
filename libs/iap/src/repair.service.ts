import { Inject, Injectable } from '@nestjs/common';
import { type Logger } from 'pino';
import { addSeconds, Clock, DomainError } from '#kernel';
import { isDatabaseUnavailable, LOG } from '#platform';
import { AppleStorefront } from './apple.storefront.js';
import { Asking } from './asking.service.js';
import { NOTHING_OF_GOOGLE } from './google.rules.js';
import { GoogleStorefront } from './google.storefront.js';
import { Inbox } from './inbox.service.js';
import { ofApple } from './intake.service.js';
import { Purchases } from './purchases.service.js';
import { PurchasesRepository } from './purchases.repository.js';
import { type StoreEnvironment, tokenKey } from './store.js';
import { StoreEventsRepository } from './store-events.repository.js';

const HOUR = 3600;
const DAY = 24 * HOUR;
/** How often a store's own record is read, in seconds. */
const EVERY = 6 * HOUR;
/** What was read before is read again for so long, in seconds: what happened meanwhile may appear late. */
const OVERLAP = DAY;
/** How far back Apple's record goes, by environment, and Google's, in seconds. */
const APPLE_REACH: Readonly<Record<StoreEnvironment, number>> = { production: 179 * DAY, sandbox: 29 * DAY };
const GOOGLE_REACH = 29 * DAY;
const ENVIRONMENTS: readonly StoreEnvironment[] = ['production', 'sandbox'];
const BATCH = 100;

/** Reads the stores' own records of what they told us, and of what they took back: for what never arrived. */
@Injectable()
export class Repair {
  constructor(
    private readonly apple: AppleStorefront,
    private readonly google: GoogleStorefront,
    private readonly events: StoreEventsRepository,
    private readonly inbox: Inbox,
    private readonly purchases: Purchases,
    private readonly repository: PurchasesRepository,
    private readonly asking: Asking,
    private readonly clock: Clock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /**
   * Reads each record whose time has come; returns how many things were new. One that cannot be read keeps none of the others from
   * being read, and is due again at the next run.
   * @throws the first failure, when all have had their turn
   */
  async repairDue(): Promise<number> {
    const records: Promise<number>[] = (this.apple.isConfigured ? ENVIRONMENTS : []).map((environment) =>
      this.read(`apple:${environment}`, APPLE_REACH[environment], (since, until) =>
        this.readApple(environment, since, until),
      ),
    );
    if (this.google.isConfigured) {
      records.push(this.read('google:voided', GOOGLE_REACH, (since) => this.readVoided(since)));
    }
    const outcomes = await Promise.allSettled(records);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return outcomes.reduce((sum, outcome) => sum + (outcome.status === 'fulfilled' ? outcome.value : 0), 0);
  }

  /**
   * Asks the stores about every purchase that may still change: after a long trouble. Returns about how many, and how many of them
   * could not be asked about. `onProgress` is told after each hundred how many it were so far.
   */
  async reconcileAll(
    onProgress: (asked: number) => void = () => undefined,
  ): Promise<{ readonly asked: number; readonly unanswered: number }> {
    let asked = 0;
    let unanswered = 0;
    let last = 0;
    for (;;) {
      const ids = await this.repository.changeable(last, BATCH);
      for (const id of ids) {
        await this.asking.askAbout(id, { isThorough: true }).catch((error: unknown) => {
          if (isDatabaseUnavailable(error)) throw error;
          if (!(error instanceof DomainError)) this.tell(error, { purchaseId: id });
          unanswered++;
        });
      }
      asked += ids.length;
      if (ids.length === BATCH) onProgress(asked);
      last = ids.at(-1) ?? last;
      if (ids.length < BATCH) return { asked, unanswered };
    }
  }

  private async read(
    name: string,
    reachSeconds: number,
    readSince: (since: Date, until: Date) => Promise<number>,
  ): Promise<number> {
    const now = this.clock.now();
    const reached = await this.events.watermark(name);
    if (reached !== null && now < addSeconds(reached, EVERY)) return 0;
    const earliest = addSeconds(now, -reachSeconds);
    const since = reached === null ? earliest : addSeconds(reached, -OVERLAP);
    const found = await readSince(since < earliest ? earliest : since, now).catch((error: unknown) => {
      const code = error instanceof DomainError ? error.code : 'internal_error';
      this.log.warn({ record: name, code, reached }, "a store's record could not be read; the others are");
      throw error;
    });
    await this.events.reach(name, now);
    if (found > 0) this.log.warn({ record: name, found }, "a store's record held what had never arrived");
    return found;
  }

  private async readApple(environment: StoreEnvironment, since: Date, until: Date): Promise<number> {
    let found = 0;
    for await (const signedPayload of this.apple.failedNotifications(environment, since, until)) {
      try {
        const notification = await this.apple.readNotification(signedPayload);
        if (await this.events.insert(ofApple(notification, signedPayload))) found++;
      } catch (error) {
        this.tell(error, { environment });
      }
    }
    if (found > 0) this.inbox.start();
    return found;
  }

  private async readVoided(since: Date): Promise<number> {
    let found = 0;
    for await (const { purchaseToken, orderId, at, isPartial, reason } of this.google.voided(since)) {
      const key = { provider: 'google', environment: 'production', key: tokenKey(purchaseToken) } as const;
      const id = await this.repository.ensure(key, purchaseToken, NOTHING_OF_GOOGLE);
      if (await this.repository.knowsVoid(id, orderId)) continue;
      const voids = [{ orderId, at: at.getTime(), isPartial, reason }];
      try {
        await this.purchases.learn({ key, news: { voids }, purchaseToken, cause: 'google:voided' });
        found++;
      } catch (error) {
        this.tell(error, { purchaseId: id });
      }
      await this.repository.markDirty(id);
    }
    return found;
  }

  /** One thing of many that could not be dealt with; the rest is. @throws what is the database's fault: then none can be */
  private tell(
    error: unknown,
    about: { readonly environment: StoreEnvironment } | { readonly purchaseId: number },
  ): void {
    if (isDatabaseUnavailable(error)) throw error;
    const code = error instanceof DomainError ? error.code : 'internal_error';
    this.log.error({ ...about, code, err: error }, "an entry of a store's record could not be dealt with");
  }
}
