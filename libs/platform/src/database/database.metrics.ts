import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Gauge } from 'prom-client';
import { DataSource } from 'typeorm';
import { Metrics } from '../telemetry/metrics.js';
import { GuardedPool, poolOf } from './guarded-pool.js';

/** What operators watch of this process's connections; it is read from the pool and needs no database. */
@Injectable()
export class DatabaseMetrics {
  constructor({ registry }: Metrics, @InjectDataSource() dataSource: DataSource) {
    const connections = new Gauge({
      name: 'vpn_database_connections',
      help: 'Connections of this process: busy and idle ones, and requests that wait for one',
      labelNames: ['state'],
      registers: [registry],
      collect: () => {
        if (!dataSource.isInitialized) return;
        const { totalCount, idleCount, waitingCount } = poolOf(dataSource);
        connections.set({ state: 'busy' }, totalCount - idleCount);
        connections.set({ state: 'idle' }, idleCount);
        connections.set({ state: 'awaited' }, waitingCount);
      },
    });
    const commits = new Gauge({
      name: 'vpn_database_commits_waiting',
      help: 'Commits without an answer whose callers were told that the outcome is unknown: more than 0 is an alert',
      registers: [registry],
      collect: () => {
        const pool = dataSource.isInitialized ? poolOf(dataSource) : undefined;
        commits.set(pool instanceof GuardedPool ? pool.waitingCommits : 0);
      },
    });
  }
}
