import { Injectable } from '@nestjs/common';
import { Clock } from '#kernel';
import { HealthChecks, type HealthFinding } from '#platform';
import { type ServerHealth, ServerHealthRepository, Servers } from '#wireguard';

/** A server whose last good sweep is older than this is late, in seconds: sweeps come every 30 s. */
const LATE_SECONDS = 120;

/** For operators: what the rows say of each server, without asking any. */
@Injectable()
export class ServersCheck {
  constructor(
    checks: HealthChecks,
    private readonly servers: Servers,
    private readonly health: ServerHealthRepository,
    private readonly clock: Clock,
  ) {
    checks.add('servers', () => this.examine());
  }

  private async examine(): Promise<readonly HealthFinding[]> {
    const known = new Map((await this.health.list()).map((health) => [health.serverId, health]));
    const servers = (await this.servers.list()).filter(({ status }) => status !== 'disabled');
    return servers.map(({ id, name, applies }) => {
      const about = `server ${name}`;
      if (!applies) return { about, isWell: true, says: 'an operator applies the export' };
      return { about, ...this.judge(known.get(id)) };
    });
  }

  private judge(health: ServerHealth | undefined): Omit<HealthFinding, 'about'> {
    const { sweptAt = null, failures = 0, failure = null, heldRemovals = null, strangers = 0 } = health ?? {};
    if (sweptAt === null) return { isWell: false, says: `never swept: ${failure ?? 'not tried yet'}` };
    const age = Math.round((this.clock.now().getTime() - sweptAt.getTime()) / 1000);
    const says = [
      `swept ${age} s ago`,
      ...(failures > 0 ? [`${failures} failures in a row: ${failure ?? 'unknown'}`] : []),
      ...(heldRemovals === null ? [] : [`${heldRemovals} removals are held back`]),
      ...(strangers > 0 ? [`${strangers} strangers`] : []),
    ];
    return { isWell: age <= LATE_SECONDS && heldRemovals === null, says: says.join('; ') };
  }
}
