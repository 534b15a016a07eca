/** What the app's code makes of a field of an answer: it throws at anything else, and then shows nothing at all. */
type Kind = 'id' | 'count' | 'flag' | 'text' | 'money' | 'instant' | Model;
interface Model {
  /** A name that ends in `?` may be null, but must be there. */
  readonly [name: string]: Kind;
}

const PAYMENT: Model = {
  id: 'id',
  user_id: 'id',
  amount: 'money',
  currency: 'text',
  status: 'text',
  provider: 'text',
  provider_payment_id: 'text',
  created_at: 'instant',
};
const SUBSCRIPTION: Model = {
  id: 'id',
  user_id: 'id',
  tariff_id: 'id',
  tariff_name: 'text',
  started_at: 'instant',
  'ended_at?': 'instant',
  status: 'text',
  state: 'text',
  auto_renewing: 'flag',
  duration_days: 'count',
  days_remaining: 'count',
  price: 'money',
  is_lifetime: 'flag',
  store: 'text',
  is_trial: 'flag',
};
const VERIFICATION: Model = {
  valid: 'flag',
  status: 'text',
  user_id: 'id',
  'payment_id?': 'id',
  message: 'text',
  'subscription_id?': 'id',
  'expires_at?': 'instant',
  duplicate_subscription: 'flag',
  'payment?': PAYMENT,
  'subscription?': SUBSCRIPTION,
};

/** Why the app could not read an answer of `POST /payments/iap_verify`; nothing when it can. */
export function faultsForTheApp(answer: unknown): readonly string[] {
  return faultsOf(answer, VERIFICATION, 'answer');
}

function faultsOf(value: unknown, kind: Kind, path: string): readonly string[] {
  if (typeof kind === 'string') return isA(kind, value) ? [] : [`${path} is no ${kind}: ${JSON.stringify(value)}`];
  if (typeof value !== 'object' || value === null) return [`${path} is no object`];
  const fields: Readonly<Record<string, unknown>> = { ...value };
  return Object.entries(kind).flatMap(([written, fieldKind]) => {
    const name = written.replace('?', '');
    if (!(name in fields)) return [`${path}.${name} is missing`];
    const field = fields[name];
    return field === null && written.endsWith('?') ? [] : faultsOf(field, fieldKind, `${path}.${name}`);
  });
}

function isA(kind: Exclude<Kind, Model>, value: unknown): boolean {
  switch (kind) {
    case 'id':
      return Number.isSafeInteger(value) && Number(value) > 0;
    case 'count':
      return Number.isSafeInteger(value) && Number(value) >= 0;
    case 'flag':
      return typeof value === 'boolean';
    case 'text':
      return typeof value === 'string' && value !== '';
    case 'money':
      return typeof value === 'string' && /^\d+\.\d{2,6}$/.test(value);
    case 'instant':
      return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value);
  }
}
