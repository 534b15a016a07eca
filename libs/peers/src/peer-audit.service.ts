import { Injectable } from '@nestjs/common';
import { actorOf, type Principal } from '#auth';
import { Audit, type AuditAction, type AuditRecord } from '#platform';
import { type Peer } from './peer.js';

/** Writes down what an administrator does with other people's devices. What somebody does with his own is his business. */
@Injectable()
export class PeerAudit {
  constructor(private readonly audit: Audit) {}

  async record(
    by: Principal,
    action: AuditAction & `peer_${string}`,
    { id, userId, serverId }: Pick<Peer, 'id' | 'userId' | 'serverId'>,
    data: AuditRecord['data'] = {},
  ): Promise<void> {
    if (by.user.id === userId) return;
    const about = { user_id: userId, server_id: serverId, ...data };
    await this.audit.record({ ...actorOf(by), action, target: `peer:${id}`, data: about });
  }
}
