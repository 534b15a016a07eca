import { describe, expect, it } from '@jest/globals';
import { faultOf, type HostLink, linkOf } from './host-link.rules.js';

const TUN = 'addr_len\nflags\ntun_flags\nuevent\n';
const PLAIN = 'addr_len\nflags\nuevent\n';

describe('what the system of a host says of an interface', () => {
  it.each<[string, string, string, HostLink]>([
    ['WireGuard of the kernel', PLAIN, 'DEVTYPE=wireguard\nINTERFACE=wg0\n0x91\n', link('kernel', true)],
    ['one that is down', PLAIN, 'DEVTYPE=wireguard\nINTERFACE=wg0\n0x90\n', link('kernel', false)],
    ['wireguard-go', TUN, 'INTERFACE=wg0\nIFINDEX=2\n0x1091\n', link('userspace', true)],
    ['a network card', PLAIN, 'INTERFACE=eth0\n0x1003\n', link('other', true)],
    ['a bridge', PLAIN, 'DEVTYPE=bridge\nINTERFACE=br0\n0x1002\n', link('other', false)],
  ])('is read: %s (G9)', (_what, files, content, expected) => {
    expect(linkOf(files, content, true)).toEqual(expected);
  });

  it.each<[HostLink, boolean, RegExp | undefined]>([
    [link('kernel', true), true, undefined],
    [link('userspace', true), true, undefined],
    [link('kernel', false), true, /^wg0 is down/],
    [link('userspace', false), true, /^wg0 is down/],
    [link('missing', false), true, undefined],
    [link('missing', false), false, /^there is no interface wg0/],
    [link('other', true), false, /^wg0 is there, but is no WireGuard interface/],
    [link('kernel', true, false), false, /not run as root/],
    [link('userspace', true, false), false, /not run as root/],
    [link('userspace', true), false, /no wireguard-go serves/],
    [link('unknown', false, false), false, undefined],
  ])('is told apart: %j, wg answers: %s (G9)', (found, answers, expected) => {
    const fault = faultOf(found, 'wg0', answers);
    if (expected === undefined) expect(fault).toBeUndefined();
    else expect(fault).toMatch(expected);
  });
});

function link(kind: HostLink['kind'], isUp: boolean, isRoot = true): HostLink {
  return { kind, isUp, isRoot };
}
