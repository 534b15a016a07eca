import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { testSettings } from '../../../../test/support/settings.js';
import { RateLimits } from './rate-limit.service.js';

describe('a window', () => {
  // The library counts by the machine's time, so it is this that stands still.
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('begins with the first request of a caller, lasts a minute, and then he may go on', async () => {
    const limits = new RateLimits(testSettings({ RATE_LIMIT_WEBHOOK: '2' }));
    expect(await limits.count('webhook', 'a')).toEqual({
      limit: 2,
      remaining: 1,
      resetSeconds: 60,
      isExceeded: false,
    });
    await jest.advanceTimersByTimeAsync(20_000);
    await limits.count('webhook', 'a');
    expect(await limits.count('webhook', 'a')).toEqual({ limit: 2, remaining: 0, resetSeconds: 40, isExceeded: true });
    await jest.advanceTimersByTimeAsync(39_999);
    expect(await limits.count('webhook', 'a')).toMatchObject({ resetSeconds: 1, isExceeded: true });
    await jest.advanceTimersByTimeAsync(1);
    expect(await limits.count('webhook', 'a')).toMatchObject({ remaining: 1, isExceeded: false });
  });

  it('of one limit is not that of another', async () => {
    const limits = new RateLimits(testSettings({ RATE_LIMIT_WEBHOOK: '1', RATE_LIMIT_IAP_VERIFY: '1' }));
    await limits.count('webhook', '7');
    expect(await limits.count('iap_verify', '7')).toMatchObject({ isExceeded: false });
    expect(await limits.count('webhook', '7')).toMatchObject({ isExceeded: true });
  });

  it('lets ten verifications and six hundred notifications a minute pass, unless the settings say otherwise', async () => {
    const limits = new RateLimits(testSettings());
    expect(await limits.count('iap_verify', '7')).toMatchObject({ limit: 10 });
    expect(await limits.count('webhook', '7')).toMatchObject({ limit: 600 });
  });
});
