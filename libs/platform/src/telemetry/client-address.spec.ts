import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { clientAddress, networkOf, parseNetwork } from './client-address.js';

function among(...texts: string[]): NonNullable<ReturnType<typeof parseNetwork>>[] {
  return texts.map(parseNetwork).filter((network) => network !== undefined);
}

describe('the address of a caller', () => {
  const proxies = among('10.0.0.0/8', '2001:db8:ffff::/48');

  it('is the end of the connection while no proxy is trusted, whatever a header claims', () => {
    expect(clientAddress('203.0.113.9', '198.51.100.1', [])).toBe('203.0.113.9');
    expect(clientAddress('203.0.113.9', '198.51.100.1', proxies)).toBe('203.0.113.9');
  });

  it('is whom a trusted proxy has seen', () => {
    expect(clientAddress('10.0.0.2', '198.51.100.1', proxies)).toBe('198.51.100.1');
    expect(clientAddress('::ffff:10.0.0.2', '198.51.100.1', proxies)).toBe('198.51.100.1');
    expect(clientAddress('2001:db8:ffff::1', '2001:DB8:0:0::7', proxies)).toBe('2001:db8::7');
  });

  it('is the nearest one that is not trusted: what a caller writes to the left of it counts for nothing', () => {
    expect(clientAddress('10.0.0.2', '192.0.2.66, 198.51.100.1', proxies)).toBe('198.51.100.1');
    expect(clientAddress('10.0.0.2', '192.0.2.66, 198.51.100.1 ,10.0.0.3', proxies)).toBe('198.51.100.1');
    expect(clientAddress('10.0.0.2', 'junk, 198.51.100.1', proxies)).toBe('198.51.100.1');
  });

  it('is IPv4 where IPv4 is written as IPv6', () => {
    expect(clientAddress('::ffff:203.0.113.9', undefined, [])).toBe('203.0.113.9');
    expect(clientAddress('10.0.0.2', '::ffff:198.51.100.1', proxies)).toBe('198.51.100.1');
    expect(clientAddress('10.0.0.2', '198.51.100.1', among('::ffff:10.0.0.0/104'))).toBe('198.51.100.1');
  });

  it.each(['', ' ', 'junk', '198.51.100.1, junk', '198.51.100.1:443', '[2001:db8::7]', '0177.0.0.1', '198.51.100.1,'])(
    'is the end of the connection behind a proxy that forwards %j',
    (forwardedFor) => {
      expect(clientAddress('10.0.0.2', forwardedFor, proxies)).toBe('10.0.0.2');
    },
  );

  it('is the end of the connection where everybody on the way is trusted', () => {
    expect(clientAddress('10.0.0.2', '10.0.0.9, 10.0.0.3', proxies)).toBe('10.0.0.2');
  });

  it('is not known once the connection is gone', () => {
    expect(clientAddress(undefined, '198.51.100.1', proxies)).toBeUndefined();
  });

  it('is never what a caller makes up, however he writes it', () => {
    const anything = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constant('10.0.0.9'));
    fc.assert(
      fc.property(fc.array(anything), (made) => {
        const claimed = [...made, '198.51.100.1'].join(', '); // the proxy appends whom it has seen
        return clientAddress('10.0.0.2', claimed, proxies) === '198.51.100.1';
      }),
    );
  });
});

describe('a network', () => {
  it('is read from its CIDR notation, or is one address', () => {
    for (const text of ['10.0.0.0/8', '0.0.0.0/0', '192.0.2.1', '2001:db8::/32', '::1']) {
      expect(parseNetwork(text)).toBeDefined();
    }
  });

  it.each(['', 'proxy', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10/8', '::/129', '10.0.0.0/8/8', '10.0.0.0/8 '])(
    'is not %j',
    (text) => {
      expect(parseNetwork(text)).toBeUndefined();
    },
  );

  it('is what an address is shortened to', () => {
    const bits = { v4: 24, v6: 48 };
    expect(networkOf('203.0.113.9', bits)).toBe('203.0.113.0/24');
    expect(networkOf('::ffff:203.0.113.9', bits)).toBe('203.0.113.0/24');
    expect(networkOf('2001:db8:1:2:3:4:5:6', bits)).toBe('2001:db8:1::/48');
    expect(networkOf('fe80::1%eth0', bits)).toBe('fe80::/48');
    expect(networkOf('203.0.113.9', { v4: 32, v6: 64 })).toBe('203.0.113.9/32');
    expect(networkOf('junk', bits)).toBeUndefined();
  });
});
