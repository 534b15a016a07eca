import { Injectable } from '@nestjs/common';
import { UnitOfWork } from './unit-of-work.js';

/**
 * The database's time. What takes access away goes by it: the instances of a service may disagree about the time, and one whose
 * clock jumped must not end what is paid for.
 */
@Injectable()
export class DatabaseClock {
  constructor(private readonly uow: UnitOfWork) {}

  async now(): Promise<Date> {
    const [row] = await this.uow.manager.query<{ now: Date }[]>('SELECT clock_timestamp() AS now');
    if (row === undefined) throw new Error('The database did not say what time it is');
    return row.now;
  }
}
