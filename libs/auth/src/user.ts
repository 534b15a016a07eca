/** `pending` has yet to prove his address, `blocked` was shut out by an administrator; only `active` may do anything. */
export type UserStatus = 'pending' | 'active' | 'blocked';

/** An account, without what only this room may see (the password's hash). */
export interface User {
  readonly id: number;
  /** Normalised (see `normaliseEmail`), unique. */
  readonly email: string;
  readonly status: UserStatus;
  readonly isAdmin: boolean;
  readonly isVerified: boolean;
  readonly googleId: string | null;
  /** What the app hands to the stores with a purchase, so that the purchase can be told to be this user's. */
  readonly appAccountToken: string;
  /** The language he is written to in. */
  readonly locale: string;
  /** He agreed that a store is told how much he used of what he wants his money back for. */
  readonly refundDataConsent: boolean;
  readonly createdAt: Date;
}

/** Who is calling: a user and the session (device) he is signed in with. */
export interface Principal {
  readonly user: User;
  readonly sessionId: string;
}
