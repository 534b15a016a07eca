import { type SettingsReader } from './settings-reader.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A secret given as text, or as the file it is in. */
export type SecretSource = { readonly text: string } | { readonly file: string };

/** The App Store: which app, and how its server API is spoken to. */
export interface AppleSettings {
  readonly bundleId: string;
  /** The app's numeric Apple ID: production payloads carry it. */
  readonly appAppleId: number;
  readonly issuerId: string;
  readonly keyId: string;
  /** The .p8 key of App Store Connect, in PEM. */
  readonly privateKey: SecretSource;
  /** Files of root certificates that are trusted beside Apple's own. */
  readonly extraRootPaths: readonly string[];
  readonly apiUrl: string;
  readonly sandboxApiUrl: string;
  /** Whether certificates of notifications are asked about at Apple: not at all; yes, and no answer is a good one; or it must answer. */
  readonly onlineCheck: 'off' | 'soft' | 'hard';
}

/** Google Play: which app, how its developer API is spoken to, and who may push notifications. */
export interface GoogleSettings {
  readonly packageName: string;
  /** The key file of the service account, as JSON. */
  readonly serviceAccount: SecretSource;
  readonly apiUrl: string;
  /** Where the certificates are that Google signs push tokens with. */
  readonly certificatesUrl: string;
  /** `aud` of push tokens, as set in the Pub/Sub subscription. */
  readonly pushAudience: string;
  /** The service account that Pub/Sub pushes as. */
  readonly pushEmail: string;
  /** `projects/p/subscriptions/s`; undefined = any of that account. */
  readonly pushSubscription: string | undefined;
}

/** What is done with purchases, whichever store they come from. */
export interface PurchaseSettings {
  readonly sandboxPolicy: 'allow' | 'testers' | 'reject';
  /** Accounts (mail addresses) whose sandbox purchases count with `testers`. */
  readonly sandboxTesters: readonly string[];
  readonly transferPolicy: 'keep' | 'if_inactive' | 'transfer';
  /** How long an auto-renewing subscription goes on when its store cannot be asked, in hours. */
  readonly outageLeewayHours: number;
}

/** Undefined when no setting of the App Store is there: it is off then. */
export function readApple(read: SettingsReader): AppleSettings | undefined {
  const needed = {
    APPLE_BUNDLE_ID: read.text('APPLE_BUNDLE_ID'),
    APPLE_APP_APPLE_ID: read.text('APPLE_APP_APPLE_ID'),
    APPLE_ISSUER_ID: read.text('APPLE_ISSUER_ID'),
    APPLE_KEY_ID: read.text('APPLE_KEY_ID'),
    'APPLE_PRIVATE_KEY or APPLE_PRIVATE_KEY_PATH':
      read.text('APPLE_PRIVATE_KEY') ?? read.text('APPLE_PRIVATE_KEY_PATH'),
  };
  const text = read.text('APPLE_PRIVATE_KEY')?.replaceAll(String.raw`\n`, '\n');
  const file = read.text('APPLE_PRIVATE_KEY_PATH');
  const others = {
    extraRootPaths: read.list('APPLE_ROOT_CA_PATHS'),
    apiUrl: readUrl(read, 'APPLE_API_BASE_URL', 'https://api.storekit.apple.com'),
    sandboxApiUrl: readUrl(read, 'APPLE_SANDBOX_API_BASE_URL', 'https://api.storekit-sandbox.apple.com'),
    onlineCheck: read.choice('APPLE_OCSP', ['off', 'soft', 'hard'], 'soft'),
  };
  if (!isComplete(read, 'The App Store', needed)) return undefined;
  const appAppleId = Number(needed.APPLE_APP_APPLE_ID);
  if (!Number.isSafeInteger(appAppleId) || appAppleId <= 0) {
    read.fault('APPLE_APP_APPLE_ID must be the numeric Apple ID of the app, such as 1234567890');
  }
  if (!UUID.test(needed.APPLE_ISSUER_ID ?? '')) {
    read.fault('APPLE_ISSUER_ID must be the Issuer ID above the list of keys in App Store Connect: a UUID');
  }
  if (!/^[A-Za-z0-9]+$/.test(needed.APPLE_KEY_ID ?? '')) {
    read.fault(
      'APPLE_KEY_ID must be the Key ID beside the key in App Store Connect: letters and digits, such as 2X9R4HXF34',
    );
  }
  if (text !== undefined && !text.includes('PRIVATE KEY')) {
    read.fault('APPLE_PRIVATE_KEY must be the .p8 key of App Store Connect, in PEM');
  }
  return {
    bundleId: needed.APPLE_BUNDLE_ID ?? '',
    appAppleId,
    issuerId: needed.APPLE_ISSUER_ID ?? '',
    keyId: needed.APPLE_KEY_ID ?? '',
    privateKey: text === undefined ? { file: file ?? '' } : { text },
    ...others,
  };
}

/** Undefined when no setting of Google Play is there: it is off then. */
export function readGoogle(read: SettingsReader): GoogleSettings | undefined {
  const text = read.text('GOOGLE_SERVICE_ACCOUNT_JSON');
  const file = read.text('GOOGLE_SERVICE_ACCOUNT_FILE');
  const needed = {
    GOOGLE_PLAY_PACKAGE: read.text('GOOGLE_PLAY_PACKAGE'),
    'GOOGLE_SERVICE_ACCOUNT_JSON or GOOGLE_SERVICE_ACCOUNT_FILE': text ?? file,
    GOOGLE_PUBSUB_AUDIENCE: read.text('GOOGLE_PUBSUB_AUDIENCE'),
    GOOGLE_PUBSUB_EMAIL: read.text('GOOGLE_PUBSUB_EMAIL'),
  };
  const others = {
    apiUrl: readUrl(read, 'GOOGLE_API_ROOT_URL', 'https://androidpublisher.googleapis.com'),
    certificatesUrl: readUrl(read, 'GOOGLE_OIDC_CERTS_URL', 'https://www.googleapis.com/oauth2/v1/certs'),
    pushSubscription: read.text('GOOGLE_PUBSUB_SUBSCRIPTION'),
  };
  if (!isComplete(read, 'Google Play', needed)) return undefined;
  if (text !== undefined && !isJson(text)) {
    read.fault('GOOGLE_SERVICE_ACCOUNT_JSON must be the key file of a service account: JSON');
  }
  return {
    packageName: needed.GOOGLE_PLAY_PACKAGE ?? '',
    serviceAccount: text === undefined ? { file: file ?? '' } : { text },
    pushAudience: needed.GOOGLE_PUBSUB_AUDIENCE ?? '',
    pushEmail: needed.GOOGLE_PUBSUB_EMAIL ?? '',
    ...others,
  };
}

export function readPurchases(read: SettingsReader): PurchaseSettings {
  return {
    sandboxPolicy: read.choice('IAP_SANDBOX_POLICY', ['allow', 'testers', 'reject'], 'allow'),
    sandboxTesters: read.list('IAP_SANDBOX_TESTERS').map((address) => address.toLowerCase()),
    transferPolicy: read.choice('IAP_TRANSFER_POLICY', ['keep', 'if_inactive', 'transfer'], 'keep'),
    outageLeewayHours: read.integer('IAP_OUTAGE_LEEWAY', { min: 0, max: 720 }, 72),
  };
}

/** Whether a store is set up; half of it is a fault, because purchases would be lost without anybody knowing. */
function isComplete(
  read: SettingsReader,
  store: string,
  needed: Readonly<Record<string, string | undefined>>,
): boolean {
  const names = Object.keys(needed);
  const missing = names.filter((name) => needed[name] === undefined);
  if (missing.length > 0 && missing.length < names.length) {
    read.fault(`${store} is set up by halves: ${missing.join(', ')} is missing (set all of its settings, or none)`);
  }
  return missing.length === 0;
}

function readUrl(read: SettingsReader, name: string, usual: string): string {
  const url = read.text(name) ?? usual;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    read.fault(`${name} must look like ${usual}`);
  }
  return url.replace(/\/+$/, '');
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}
