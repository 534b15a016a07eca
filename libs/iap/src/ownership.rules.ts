import { addDays } from '#kernel';
import { type BoundBy } from './purchase.js';

/** A purchase is moved between accounts at most this often. */
const DAYS_BETWEEN_TRANSFERS = 30;

/** Somebody presents a purchase. */
export interface Claim {
  readonly userId: number;
  /** He showed what only the device of the purchase has. A bare number, or an unsigned receipt, shows nothing. */
  readonly isProof: boolean;
}

export interface Ownership {
  readonly userId: number | null;
  /** Whom the purchase itself names (its account token), if that account exists. */
  readonly namedUserId: number | null;
  /** Who has the purchase that this one continues. */
  readonly linkedUserId: number | null;
  readonly transferredAt: Date | null;
  /** Whether the present owner has access by it now. */
  readonly grantsAccess: boolean;
}

export type TransferPolicy = 'keep' | 'if_inactive' | 'transfer';

export type Verdict =
  | { readonly kind: 'keep'; readonly userId: number | null }
  | { readonly kind: 'bind'; readonly userId: number; readonly by: BoundBy }
  | { readonly kind: 'refuse'; readonly code: 'proof_required' | 'purchase_belongs_to_another_account' };

/**
 * Whose a purchase is, and whether who presents it gets it. An owner is never re-decided by a token; one without an owner goes to
 * whom it names, then to who has the purchase it continues, then to who proves that he has it.
 */
export function ownerOf(known: Ownership, claim: Claim | null, policy: TransferPolicy, at: Date): Verdict {
  if (known.userId !== null) return claim === null ? keep(known.userId) : present(known, claim, policy, at);
  if (known.namedUserId !== null) return named(known.namedUserId, claim);
  if (known.linkedUserId !== null) return linked(known.linkedUserId, claim);
  if (claim === null) return keep(null);
  return claim.isProof ? { kind: 'bind', userId: claim.userId, by: 'claim' } : refuse('proof_required');
}

function present(known: Ownership, claim: Claim, policy: TransferPolicy, at: Date): Verdict {
  if (known.userId === claim.userId) return keep(claim.userId);
  if (!claim.isProof) return refuse('proof_required');
  const isNamed = known.namedUserId !== null && known.namedUserId !== claim.userId;
  const isRecent = known.transferredAt !== null && at < addDays(known.transferredAt, DAYS_BETWEEN_TRANSFERS);
  const mayMove = policy === 'transfer' || (policy === 'if_inactive' && !known.grantsAccess);
  return mayMove && !isNamed && !isRecent
    ? { kind: 'bind', userId: claim.userId, by: 'transfer' }
    : refuse('purchase_belongs_to_another_account');
}

/** It goes to whom it names, also when another presents it: he is told that it is not his. */
function named(userId: number, claim: Claim | null): Verdict {
  if (claim === null || claim.userId === userId) return { kind: 'bind', userId, by: 'token' };
  return refuse(claim.isProof ? 'purchase_belongs_to_another_account' : 'proof_required');
}

function linked(userId: number, claim: Claim | null): Verdict {
  if (claim === null || claim.userId === userId) return { kind: 'bind', userId, by: 'link' };
  return refuse(claim.isProof ? 'purchase_belongs_to_another_account' : 'proof_required');
}

function keep(userId: number | null): Verdict {
  return { kind: 'keep', userId };
}

function refuse(code: 'proof_required' | 'purchase_belongs_to_another_account'): Verdict {
  return { kind: 'refuse', code };
}
