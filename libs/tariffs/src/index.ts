/**
 * tariffs: the catalogue. What can be had, for how long, for how much, with which limits, and under which names the stores sell
 * it. It promises that a tariff somebody has is never deleted. It must never know who has one.
 */
export {
  type MappedProduct,
  type NewTariff,
  type StoreProduct,
  type StoreProductKind,
  type StoreProvider,
  type Tariff,
} from './tariff.js';
export { TariffsModule } from './tariffs.module.js';
export { Tariffs } from './tariffs.service.js';
