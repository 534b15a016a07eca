import { describe, expect, it } from '@jest/globals';
import { type LivePeer } from '#wireguard';
import { type DesiredPeer, difference, isShort, isTooMuch, restSeconds } from './reconciliation.rules.js';

const wanted = (id: number): DesiredPeer => ({
  id,
  publicKey: `key-${id}`,
  networks: [`10.8.0.${id}/32`],
  isWanted: true,
  hasPresharedKey: false,
});
const live = (id: number, change: Partial<LivePeer> = {}): LivePeer => ({
  publicKey: `key-${id}`,
  addresses: [`10.8.0.${id}/32`],
  isEnabled: true,
  isOurs: true,
  peerId: null,
  remoteId: null,
  hasPresharedKey: null,
  lastHandshakeAt: null,
  receivedBytes: 0,
  sentBytes: 0,
  ...change,
});
const between = (there: LivePeer[], desired: DesiredPeer[], leftovers: string[] = []) =>
  difference({ live: there, desired, leftovers: new Map(leftovers.map((key) => [key, { isDue: true }])) });

describe('the difference between a server and the rows', () => {
  it('is none where they agree', () => {
    const found = between([live(1), live(2)], [wanted(1), wanted(2)]);
    expect(found).toMatchObject({ toPut: [], toSuspend: [], toRemove: [], strangers: [] });
    expect(found.matched).toHaveLength(2);
  });

  it('is a wanted peer that is not there, or is shut', () => {
    expect(between([], [wanted(1)]).toPut).toEqual([wanted(1)]);
    expect(between([live(1, { isEnabled: false })], [wanted(1)]).toPut).toEqual([wanted(1)]);
  });

  it('is a peer with other addresses, though its key is right', () => {
    expect(between([live(1, { addresses: [] })], [wanted(1)]).toPut).toEqual([wanted(1)]);
    expect(between([live(1, { addresses: ['0.0.0.0/0'] })], [wanted(1)]).toPut).toEqual([wanted(1)]);
    const both = { ...wanted(1), networks: ['10.8.0.1/32', 'fd00::1/128'] };
    expect(between([live(1)], [both]).toPut).toEqual([both]);
    expect(between([live(1, { addresses: ['fd00::1/128', '10.8.0.1/32'] })], [both]).toPut).toEqual([]);
  });

  it('is a peer whose preshared key was taken off, or put on, where the server tells (C10)', () => {
    const keyed = { ...wanted(1), hasPresharedKey: true };
    expect(between([live(1, { hasPresharedKey: false })], [keyed]).toPut).toEqual([keyed]);
    expect(between([live(1, { hasPresharedKey: true })], [wanted(1)]).toPut).toEqual([wanted(1)]);
    expect(between([live(1, { hasPresharedKey: true })], [keyed]).toPut).toEqual([]);
    expect(between([live(1, { hasPresharedKey: null })], [keyed]).toPut).toEqual([]);
  });

  it('is a suspended peer that is open, and not one that is gone or shut', () => {
    const suspended = { ...wanted(1), isWanted: false };
    expect(between([live(1)], [suspended]).toSuspend).toEqual([{ desired: suspended, live: live(1) }]);
    expect(between([live(1, { isEnabled: false })], [suspended]).toSuspend).toEqual([]);
    expect(between([], [suspended])).toMatchObject({ toPut: [], toSuspend: [] });
  });

  it('tells a key that is to leave from a stranger', () => {
    const found = between([live(1), live(2)], [], ['key-1']);
    expect(found.toRemove.map(({ publicKey }) => publicKey)).toEqual(['key-1']);
    expect(found.strangers.map(({ publicKey }) => publicKey)).toEqual(['key-2']);
  });

  it('leaves a key alone that is to leave later, and takes it for no stranger (F8)', () => {
    const leftovers = new Map([['key-1', { isDue: false }]]);
    expect(difference({ live: [live(1)], desired: [], leftovers })).toMatchObject({ toRemove: [], strangers: [] });
  });

  it('does not count a key that a row has as one that is to leave', () => {
    expect(between([live(1)], [wanted(1)], ['key-1']).toRemove).toEqual([]);
  });

  it("leaves out what is somebody else's, unless it has a key that is to leave (D8)", () => {
    const there = [live(1, { isOurs: false }), live(2, { isOurs: false })];
    expect(between(there, [], ['key-1'])).toMatchObject({ toRemove: [there[0]], strangers: [] });
  });

  it('is a peer that will not stay as it is (D7)', () => {
    const open = live(1, { isUnsettled: true });
    const shut = live(1, { isEnabled: false, isUnsettled: true });
    const suspended = { ...wanted(1), isWanted: false };
    for (const there of [open, shut]) {
      expect(between([there], [wanted(1)]).toPut).toEqual([wanted(1)]);
      expect(between([there], [suspended]).toSuspend).toHaveLength(1);
    }
  });

  it('is a row with other addresses than a server chose, which follows it (D9)', () => {
    const moved = live(1, { addresses: ['10.8.0.9/32', 'fd00::9/128'] });
    const nowhere = live(2, { addresses: [] });
    const desired = [wanted(1), wanted(2)];
    const sighting = { live: [moved, nowhere], desired, leftovers: new Map() };
    const found = difference({ ...sighting, serverChooses: true });
    expect(found).toMatchObject({ toPut: [], toFollow: [{ desired: wanted(1), live: moved }] });
    expect(difference(sighting)).toMatchObject({ toPut: desired, toFollow: [] });
  });
});

describe('the brake', () => {
  it.each([
    [20, 20, false],
    [21, 21, true],
    [21, 104, true],
    [21, 105, false],
    [2000, 10_000, false],
    [2001, 10_000, true],
  ])('for %i removals of %i peers: %s', (removals, there, held) => {
    expect(isTooMuch(removals, there)).toBe(held);
  });
});

describe('a list that is not believed', () => {
  it.each([
    [1, 1, false],
    [2, 2, false],
    [3, 3, true],
    [3, 4, false],
    [20, 21, false],
    [21, 104, true],
    [21, 105, false],
  ])('with %i peers missing of %i: %s (D5)', (missing, known, short) => {
    expect(isShort(missing, known)).toBe(short);
  });
});

it('leaves a failing server alone for longer each time, and never for long', () => {
  expect([1, 2, 3, 4, 5, 50].map((failures) => restSeconds(failures))).toEqual([1, 2, 4, 8, 15, 15]);
  expect([1, 2, 3, 4, 50].map((failures) => restSeconds(failures, true))).toEqual([120, 240, 480, 900, 900]);
});
