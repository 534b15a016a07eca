import { type StoreEnvironment } from './store.js';

// Apple's codes. Its library has them too, and is loaded only where an App Store is set up.
const INVALID_APP = 4_000_002;
const CONSENT_MISSING = 4_000_035;
const FAMILY_PURCHASE = 4_000_185;
const NOT_ORIGINAL = 4_000_187;
const APP_NOT_FOUND = 4_040_003;
const NO_NOTIFICATION_URL = 4_040_007;

/** From this difference on, in seconds, the clock may be why Apple refuses a key: tokens are dated a minute back. */
const CLOCK_TOLERANCE_SECONDS = 60;

/** Which question was refused, and how. It is what the log says beside the words. */
export interface RefusedQuestion {
  readonly op: string;
  readonly environment: StoreEnvironment;
  readonly status: number;
  /** Apple's `errorCode` and what its library calls that; null when it gave none. */
  readonly reason: number | null;
  readonly reasonName: string | null;
  /** How far this machine's clock is ahead of Apple's, by the `Date` of the answer; null when it had none. */
  readonly clockAheadSeconds: number | null;
}

/** A no of Apple's that stays one, in words that name the setting, or the field of App Store Connect, to look at. */
export class AppleRefusal extends Error {
  constructor(readonly question: RefusedQuestion) {
    super(wordsOf(question));
    this.name = 'AppleRefusal';
  }

  /** Whether this environment does not serve the app, or not by this key: another one may. */
  get isOfApp(): boolean {
    const { status, reason } = this.question;
    return status === 401 || status === 403 || reason === APP_NOT_FOUND || reason === INVALID_APP;
  }

  /** In a word, for a row. */
  get code(): string {
    const { status, reason } = this.question;
    return `apple_${reason ?? status}`;
  }
}

function wordsOf({ environment, status, reason, reasonName, clockAheadSeconds }: RefusedQuestion): string {
  const field = environment === 'production' ? 'Production Server URL' : 'Sandbox Server URL';
  switch (reason) {
    case INVALID_APP:
      return 'Apple takes APPLE_BUNDLE_ID for no app identifier: it must be the bundle id of the app, letter for letter';
    case APP_NOT_FOUND:
      return 'Apple knows no such app here: look at APPLE_BUNDLE_ID. An app that was never released is in the sandbox only';
    case NO_NOTIFICATION_URL:
      return `Apple has no address to send notifications to: App Store Connect, the app, App Information, App Store Server Notifications, ${field}`;
    case FAMILY_PURCHASE:
      return "Apple takes no account token for a family member's purchase";
    case NOT_ORIGINAL:
      return 'Apple takes an account token for the first transaction of a purchase only';
    case CONSENT_MISSING:
      return "Apple takes no report of consumption without the customer's consent";
    case null:
      break;
    default:
      return `Apple refuses what it is asked: ${reasonName ?? 'for a reason that is not known here'}`;
  }
  if (status === 401) return `${KEY_REFUSED}${clockWords(clockAheadSeconds)}`;
  if (status === 403) {
    return 'Apple forbids this to the key: APPLE_KEY_ID must be of a key from Users and Access, Integrations, In-App Purchase';
  }
  return 'Apple refuses what it is asked, and does not say why';
}

const KEY_REFUSED =
  'Apple refuses the key: look at APPLE_KEY_ID, APPLE_ISSUER_ID, APPLE_BUNDLE_ID, APPLE_PRIVATE_KEY and at the clock of this machine';

function clockWords(ahead: number | null): string {
  if (ahead === null) return '';
  const seconds = Math.abs(ahead);
  const where = ahead > 0 ? 'ahead of' : 'behind';
  return seconds < CLOCK_TOLERANCE_SECONDS
    ? " (which agrees with Apple's)"
    : ` (which is ${seconds} s ${where} Apple's: that may be all)`;
}
