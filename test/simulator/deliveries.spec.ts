import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../support/until.js';
import { Deliveries, type Delivery } from './deliveries.js';

let deliveries: Deliveries;

afterEach(() => deliveries.close());

describe('deliveries to a service that is down', () => {
  it('are made when it is up again, each once and in order', async () => {
    const service = { isUp: false, heard: [] as string[] };
    const about = (what: string): Delivery => ({
      what,
      send: () => {
        if (!service.isUp) return Promise.reject(new Error('refused'));
        service.heard.push(what);
        return Promise.resolve(200);
      },
    });
    deliveries = new Deliveries(() => undefined, 1);
    expect(await deliveries.add(about('bought'))).toBe(false);
    expect(await deliveries.add(about('renewed'), about('refunded'))).toBe(false);
    expect(deliveries.count).toBe(3);

    service.isUp = true;
    await until(() => Promise.resolve(deliveries.count === 0 ? true : undefined));
    expect(service.heard).toEqual(['bought', 'renewed', 'refunded']);
  });

  it('are made again where the service answers that it cannot take them now', async () => {
    const statuses = [503, 401, 200];
    const send = (): Promise<number> => Promise.resolve(statuses.shift() ?? 0);
    deliveries = new Deliveries(() => undefined, 1);
    expect(await deliveries.add({ what: 'bought', send })).toBe(false);
    await until(() => Promise.resolve(deliveries.count === 0 ? true : undefined));
    expect(statuses).toEqual([]);
  });
});
