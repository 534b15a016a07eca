import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { type Logger } from 'pino';
import { type DataSource } from 'typeorm';
import { LOG } from '../telemetry/log.js';
import { FOLLOW_EVERY_MS, FollowingClock } from './following-clock.js';

/** Readings at the start: the quickest of them counts. */
const FIRST_READINGS = 3;
/** A machine that is further off is told of in the log: its certificates and tokens for others are judged by its own time of day. */
const WARN_AHEAD_MS = 30_000;

/** Asks the database for its time; a reading that fails is left out, and the clock goes on by itself. */
export async function readTime(dataSource: DataSource, clock: FollowingClock): Promise<void> {
  const askedAt = performance.now();
  const [row] = await dataSource.query<{ ms: number }[]>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
  );
  if (row !== undefined) clock.take({ databaseMs: row.ms, askedAt, answeredAt: performance.now() });
}

/** The clock, once it has been set by the database: nobody in this process reads it before. @throws Error while the database is away */
export async function startClock(dataSource: DataSource, clock: FollowingClock): Promise<FollowingClock> {
  for (let reading = 0; reading < FIRST_READINGS; reading++) await readTime(dataSource, clock);
  return clock;
}

/** Keeps the clock of this process at the database's time. */
@Injectable()
export class ClockFollower implements OnModuleInit, OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly clock: FollowingClock,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const { machineAheadMs } = this.clock;
    if (Math.abs(machineAheadMs) > WARN_AHEAD_MS) {
      this.log.warn(
        { aheadSeconds: Math.round(machineAheadMs / 1000) },
        "this machine's clock differs from the database's, whose time is used: set it by NTP",
      );
    }
    this.timer = setInterval(() => {
      readTime(this.dataSource, this.clock).catch(() => undefined); // the next one makes up for it
    }, FOLLOW_EVERY_MS);
    this.timer.unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }
}
