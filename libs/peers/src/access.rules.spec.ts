import { describe, expect, it } from '@jest/globals';
import { type Entitlement } from '#subscriptions';
import { verdictOf } from './access.rules.js';

const GIGABYTE = 1_000_000_000;

function entitlement(trafficLimitGb: number | null): Entitlement {
  const startedAt = new Date('2026-11-22T10:00:00Z');
  return { subscriptionId: 1, until: null, deviceLimit: null, trafficLimitGb, period: { startedAt, endsAt: null } };
}

describe("a user's peers", () => {
  it('are granted while he is entitled and something of his traffic is left', () => {
    expect(verdictOf(entitlement(2), 0)).toBe('granted');
    expect(verdictOf(entitlement(2), 2 * GIGABYTE - 1)).toBe('granted');
    expect(verdictOf(entitlement(2), 2 * GIGABYTE)).toBe('traffic_exhausted');
  });

  it('are granted whatever he uses, where there is no limit', () => {
    expect(verdictOf(entitlement(null), Number.MAX_SAFE_INTEGER)).toBe('granted');
  });

  it('are not granted without access, and then that is the reason', () => {
    expect(verdictOf(null, 0)).toBe('no_access');
    expect(verdictOf(null, 5000 * GIGABYTE)).toBe('no_access');
  });
});
