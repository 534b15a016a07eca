import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { FakeApple } from '../fakes/fake-apple.js';
import { dataFolder, Service } from '../support/service.js';

jest.setTimeout(120_000);

let apple: FakeApple;

beforeAll(async () => {
  apple = await FakeApple.start();
});

afterAll(() => apple.close());

describe('a service with an App Store', () => {
  it('starts, with the root certificate that the build put beside it', async () => {
    const service = await Service.start({ dataDirectory: await dataFolder(), environment: apple.settings() });
    expect(await service.stop()).toBe(0);
  });

  it('does not start with a key that cannot be read, and says which setting is at fault', async () => {
    const environment = { ...apple.settings(), APPLE_PRIVATE_KEY: '', APPLE_PRIVATE_KEY_PATH: '/nowhere/AuthKey.p8' };
    const service = Service.spawn({ dataDirectory: await dataFolder(), environment });
    expect(await service.exited()).toBe(1);
    expect(service.output).toContain('APPLE_PRIVATE_KEY_PATH must be the .p8 key of App Store Connect');
  });
});
