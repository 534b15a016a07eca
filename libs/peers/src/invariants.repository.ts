import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '#platform';

/** A wanted peer whose latest change its server was not told, though it can be told. */
export interface WaitingPeer {
  readonly id: number;
  readonly generation: number;
}

/** More than this many at a time are not looked at: it is bad enough then. */
const MOST_WAITING = 10_000;

const WAITING = `
  SELECT p.id, p.desired_gen AS generation
  FROM vpn_peers p
  JOIN vpn_servers s ON s.id = p.server_id AND s.applies AND s.status <> 'disabled'
  LEFT JOIN vpn_server_health h ON h.server_id = s.id
  WHERE p.applied_gen <> p.desired_gen AND p.status IN ('pending', 'active') AND COALESCE(h.failures, 0) = 0
  LIMIT ${MOST_WAITING}`;

const DOUBLED_ADDRESSES = `
  SELECT count(*)::int AS total FROM (
    SELECT 1 FROM vpn_peers GROUP BY server_id, wg_ip HAVING count(*) > 1
    UNION ALL
    SELECT 1 FROM vpn_peers WHERE wg_ip6 IS NOT NULL GROUP BY server_id, wg_ip6 HAVING count(*) > 1) AS doubled`;

const DOUBLED_KEYS = `
  SELECT count(*)::int AS total FROM (
    SELECT 1 FROM vpn_peers GROUP BY wg_public_key HAVING count(*) > 1) AS doubled`;

/** Looks for what the constraints of the database, and the jobs, should never let be. */
@Injectable()
export class InvariantsRepository {
  constructor(private readonly uow: UnitOfWork) {}

  waiting(): Promise<readonly WaitingPeer[]> {
    return this.uow.manager.query<WaitingPeer[]>(WAITING);
  }

  /** How many addresses more than one peer of a server has. */
  doubledAddresses(): Promise<number> {
    return this.count(DOUBLED_ADDRESSES);
  }

  /** How many keys more than one peer has. */
  doubledKeys(): Promise<number> {
    return this.count(DOUBLED_KEYS);
  }

  private async count(text: string): Promise<number> {
    const [row] = await this.uow.manager.query<{ total: number }[]>(text);
    return row?.total ?? 0;
  }
}
