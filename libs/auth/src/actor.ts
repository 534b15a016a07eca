import { type Actor } from '#platform';
import { type Principal } from './user.js';

/** The caller as the audit log names him. */
export function actorOf({ user }: Principal): Actor {
  return { actorId: user.id, actorKind: user.isAdmin ? 'admin' : 'user' };
}
