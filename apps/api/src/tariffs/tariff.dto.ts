import { type NewTariff, type StoreProduct, type StoreProductKind, type StoreProvider, type Tariff } from '#tariffs';
import {
  GivenBoolean,
  GivenChoice,
  GivenClear,
  GivenCurrency,
  GivenInteger,
  GivenList,
  GivenMoney,
  GivenQueryInteger,
  GivenText,
  isGiven,
  readClear,
} from '../http/given.decorator.js';
import { ListQuery } from '../http/listing.js';
import {
  ShownBoolean,
  ShownChoice,
  ShownId,
  ShownInteger,
  ShownList,
  ShownMoney,
  ShownText,
} from '../http/shown.decorator.js';

const PROVIDERS = ['apple', 'google'];
const KINDS = ['subscription', 'lifetime', 'nonrenewing'];
/** A hundred years: what is longer is a lifetime, and ends beyond the dates that programs can hold. */
const LONGEST_DAYS = 36_500;
const MAX_STORE_PRODUCTS = 50;
/** What a tariff may be without. */
const CLEARABLE = ['description', 'device_limit', 'traffic_limit_gb', 'store_products'] as const;

export class StoreProductIn {
  @GivenChoice('StoreProvider', PROVIDERS)
  provider: StoreProvider;

  @GivenText({ min: 1, max: 255, example: 'com.example.vpn.monthly' })
  product_id: string;

  @GivenText({ min: 1, max: 255, optional: true, description: "Google's base plan; null: any", example: 'monthly' })
  base_plan_id?: string | null;

  @GivenChoice('StoreProductKind', KINDS, { optional: true, default: 'subscription' })
  kind?: StoreProductKind | null;
}

export class TariffIn {
  @GivenText({ min: 1, max: 100, example: 'Monthly' })
  name: string;

  @GivenMoney()
  price: string;

  @GivenText({ max: 2000, optional: true, example: 'All servers, five devices' })
  description?: string | null;

  @GivenInteger({ min: 0, max: LONGEST_DAYS, optional: true, default: 30, description: '0 = for life' })
  duration_days?: number | null;

  @GivenCurrency({ optional: true, default: 'USD' })
  currency?: string | null;

  @GivenInteger({ min: 1, max: 10_000, optional: true, description: 'Null = any number', example: 5 })
  device_limit?: number | null;

  @GivenInteger({ min: 1, max: 1_000_000, optional: true, description: 'Per period; null = no limit', example: 100 })
  traffic_limit_gb?: number | null;

  @GivenInteger({
    min: -1_000_000,
    max: 1_000_000,
    optional: true,
    default: 0,
    description: 'Of several running subscriptions, the highest rank sets the limits',
  })
  rank?: number | null;

  @GivenBoolean({
    optional: true,
    default: true,
    description: 'False: hidden from the list, and not to be newly taken',
  })
  is_active?: boolean | null;

  @GivenList(() => StoreProductIn, {
    max: MAX_STORE_PRODUCTS,
    optional: true,
    description: 'What the stores sell as this',
  })
  store_products?: StoreProductIn[] | null;

  static toTariff(body: TariffIn): NewTariff {
    return {
      name: body.name,
      price: body.price,
      description: body.description ?? null,
      durationDays: body.duration_days ?? 30,
      currency: body.currency ?? 'USD',
      deviceLimit: body.device_limit ?? null,
      trafficLimitGb: body.traffic_limit_gb ?? null,
      rank: body.rank ?? 0,
      isActive: body.is_active ?? true,
      storeProducts: (body.store_products ?? []).map(toStoreProduct),
    };
  }
}

/** What is left out, null or an empty list stays as it is; `clear` names what is to be empty. */
export class TariffChangeIn {
  @GivenText({ min: 1, max: 100, optional: true, example: 'Monthly' })
  name?: string | null;

  @GivenMoney({ optional: true })
  price?: string | null;

  @GivenText({ max: 2000, optional: true, example: 'All servers, five devices' })
  description?: string | null;

  @GivenInteger({ min: 0, max: LONGEST_DAYS, optional: true, example: 30, description: '0 = for life' })
  duration_days?: number | null;

  @GivenCurrency({ optional: true })
  currency?: string | null;

  @GivenInteger({ min: 1, max: 10_000, optional: true, example: 5 })
  device_limit?: number | null;

  @GivenInteger({ min: 1, max: 1_000_000, optional: true, description: 'Per period', example: 100 })
  traffic_limit_gb?: number | null;

  @GivenInteger({ min: -1_000_000, max: 1_000_000, optional: true, example: 0 })
  rank?: number | null;

  @GivenBoolean({ optional: true })
  is_active?: boolean | null;

  @GivenList(() => StoreProductIn, { max: MAX_STORE_PRODUCTS, optional: true, description: 'Replaces all of them' })
  store_products?: StoreProductIn[] | null;

  @GivenClear('TariffField', CLEARABLE)
  clear?: (typeof CLEARABLE)[number][] | null;

  /** @throws DomainError validation_error for a field that is both given and cleared */
  static toChange(body: TariffChangeIn): Partial<NewTariff> {
    const { name, price, description, duration_days, currency, device_limit, traffic_limit_gb, rank, is_active } = body;
    const clear = readClear(body);
    return {
      ...(isGiven(name) ? { name } : {}),
      ...(isGiven(price) ? { price } : {}),
      ...(isGiven(description) ? { description } : {}),
      ...(isGiven(duration_days) ? { durationDays: duration_days } : {}),
      ...(isGiven(currency) ? { currency } : {}),
      ...(isGiven(device_limit) ? { deviceLimit: device_limit } : {}),
      ...(isGiven(traffic_limit_gb) ? { trafficLimitGb: traffic_limit_gb } : {}),
      ...(isGiven(rank) ? { rank } : {}),
      ...(isGiven(is_active) ? { isActive: is_active } : {}),
      ...(isGiven(body.store_products) ? { storeProducts: body.store_products.map(toStoreProduct) } : {}),
      ...(clear.has('description') ? { description: null } : {}),
      ...(clear.has('device_limit') ? { deviceLimit: null } : {}),
      ...(clear.has('traffic_limit_gb') ? { trafficLimitGb: null } : {}),
      ...(clear.has('store_products') ? { storeProducts: [] } : {}),
    };
  }
}

/** `PUT /tariffs/{id}/store_products`: all of them. */
export class StoreProductsIn {
  @GivenList(() => StoreProductIn, { max: MAX_STORE_PRODUCTS })
  store_products: StoreProductIn[];

  static toChange({ store_products }: StoreProductsIn): Partial<NewTariff> {
    return { storeProducts: store_products.map(toStoreProduct) };
  }
}

function toStoreProduct({ provider, product_id, base_plan_id, kind }: StoreProductIn): StoreProduct {
  return { provider, productId: product_id, basePlanId: base_plan_id ?? null, kind: kind ?? 'subscription' };
}

export class TariffListQuery extends ListQuery {
  @GivenQueryInteger({ min: 1, max: 100, optional: true, default: 10, description: 'Rows at most' })
  declare limit?: number;
}

export class StoreProductOut {
  @ShownChoice('StoreProvider', PROVIDERS)
  provider: string;

  @ShownText({ example: 'com.example.vpn.monthly' })
  product_id: string;

  @ShownText({ nullable: true, example: 'monthly' })
  base_plan_id: string | null;

  @ShownChoice('StoreProductKind', KINDS)
  kind: string;
}

export class TariffOut {
  @ShownId({ example: 3 })
  id: number;

  @ShownText({ example: 'Monthly' })
  name: string;

  @ShownText({ nullable: true, example: 'All servers, five devices' })
  description: string | null;

  @ShownInteger({ example: 30, description: '0 = for life' })
  duration_days: number;

  @ShownMoney()
  price: string;

  @ShownText({ example: 'USD' })
  currency: string;

  @ShownInteger({ nullable: true, example: 5, description: 'Null = any number' })
  device_limit: number | null;

  @ShownInteger({ nullable: true, example: 100, description: 'Per period; null = no limit' })
  traffic_limit_gb: number | null;

  @ShownInteger({ example: 0 })
  rank: number;

  @ShownBoolean()
  is_active: boolean;

  @ShownList(() => StoreProductOut)
  store_products: StoreProductOut[];

  static from(tariff: Tariff): TariffOut {
    return {
      id: tariff.id,
      name: tariff.name,
      description: tariff.description,
      duration_days: tariff.durationDays,
      price: tariff.price,
      currency: tariff.currency,
      device_limit: tariff.deviceLimit,
      traffic_limit_gb: tariff.trafficLimitGb,
      rank: tariff.rank,
      is_active: tariff.isActive,
      store_products: tariff.storeProducts.map(({ provider, productId, basePlanId, kind }) => ({
        provider,
        product_id: productId,
        base_plan_id: basePlanId,
        kind,
      })),
    };
  }
}

export class TariffDeletedOut {
  @ShownText({ example: 'tariff deleted' })
  msg: string;

  @ShownId({ example: 3 })
  tariff_id: number;
}
