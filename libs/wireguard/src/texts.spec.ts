import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateKeyPair, isKey, publicKeyOf } from './keys.js';
import {
  address6Of,
  parseAllowedIps,
  parsePeerAddress,
  parseSubnet,
  peerRange,
  reachableResolvers,
  serverAddress,
} from './networks.js';
import { parseClientConfig, renderClientConfig, renderServerConfig } from './wg-quick.js';

describe('keys', () => {
  it('come in pairs: the public half is what "wg pubkey" prints for the private one', () => {
    // Made with wg(8) 1.0.20210914.
    expect(publicKeyOf('yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=')).toBe(
      'HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=',
    );
    for (let count = 0; count < 20; count++) {
      const pair = generateKeyPair();
      expect(publicKeyOf(pair.privateKey)).toBe(pair.publicKey);
      expect([isKey(pair.privateKey), isKey(pair.publicKey)]).toEqual([true, true]);
    }
  });

  it.each([
    '',
    'short',
    `${'A'.repeat(43)}=`,
    'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg',
    'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dh=',
    'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n',
    'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D$=',
    ' xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg',
  ])('are not %p', (text) => {
    expect(isKey(text)).toBe(false);
  });
});

describe('subnets', () => {
  it('leave the network, the server and the broadcast address out', () => {
    const subnet = parseSubnet('10.8.0.0/16')!;
    expect(serverAddress(subnet)).toBe('10.8.0.1');
    expect(peerRange(subnet)).toEqual({ from: '10.8.0.2', to: '10.8.255.254' });
    expect(peerRange(parseSubnet('192.168.4.0/30')!)).toEqual({ from: '192.168.4.2', to: '192.168.4.2' });
  });

  it('are read with their host bits cleared', () => {
    expect(parseSubnet('10.8.3.77/22')?.cidr).toBe('10.8.0.0/22');
    expect(parseSubnet('255.255.255.255/16')?.cidr).toBe('255.255.0.0/16');
  });

  it.each(['', '10.8.0.0', '10.8.0.0/8', '10.8.0.0/31', '10.8.0.0/16/24', '10.8.0/16', '::/64', '10.8.0.0/1x'])(
    'are not %p',
    (text) => {
      expect(parseSubnet(text)).toBeUndefined();
    },
  );
});

describe("a peer's IPv6 address", () => {
  it.each([
    ['10.8.0.0/16', 'fd00:8::/64', '10.8.0.7', 'fd00:8::7'],
    ['10.8.0.0/16', 'fd00:8::/64', '10.8.1.0', 'fd00:8::100'],
    ['10.8.0.0/16', 'fd00:8::/64', '10.8.255.254', 'fd00:8::fffe'],
    ['10.8.4.0/22', 'fd00:8::/64', '10.8.7.254', 'fd00:8::3fe'],
    ['192.168.4.0/30', 'fd00:8:0:0:ff::/112', '192.168.4.2', 'fd00:8::ff:0:0:2'],
    ['10.8.0.0/16', 'fd00:8::77/64', '10.8.0.7', 'fd00:8::7'],
  ])('in %s and %s, beside %s, is %s', (subnet, subnet6, address, address6) => {
    expect(address6Of({ subnet, subnet6 }, address)).toBe(address6);
  });

  it('is none where the server has no IPv6 network', () => {
    expect(address6Of({ subnet: '10.8.0.0/16', subnet6: null }, '10.8.0.7')).toBeNull();
  });

  it('is another one for every address of the widest network', () => {
    const server = { subnet: '10.8.0.0/16', subnet6: 'fd00:8::/64' };
    const all = Array.from({ length: 2 ** 16 }, (_, n) => address6Of(server, `10.8.${n >> 8}.${n & 255}`));
    expect(new Set(all).size).toBe(2 ** 16);
  });
});

describe("a peer's address", () => {
  it('is one IPv4 address, with or without /32', () => {
    expect([parsePeerAddress('10.8.0.7'), parsePeerAddress('10.8.0.7/32')]).toEqual(['10.8.0.7', '10.8.0.7']);
  });

  it.each(['', '10.8.0', '10.8.0.7/24', '10.8.0.07', '0x0a.8.0.7', '10.8.0.7 ', '10.8.0.7\n', '::1', 'a'])(
    'is not %p',
    (text) => {
      expect(parsePeerAddress(text)).toBeUndefined();
    },
  );
});

describe('allowed IPs', () => {
  it.each([
    ['0.0.0.0/0, ::/0', '0.0.0.0/0, ::/0'],
    ['0.0.0.0/0,::/0', '0.0.0.0/0, ::/0'],
    ['10.0.0.7/8', '10.0.0.0/8'],
    ['10.0.0.7', '10.0.0.7/32'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['10.0.0.0/8, 10.0.0.0/8', '10.0.0.0/8'],
    ['::1.2.3.4', '::102:304/128'],
    ['64:ff9b::192.0.2.0/120', '64:ff9b::c000:200/120'],
    ['::ffff:10.0.0.1/64', '::/64'],
  ])('%p is %p', (text, networks) => {
    expect(parseAllowedIps(text)).toBe(networks);
  });

  it.each([
    '',
    ',',
    '0.0.0.0/33',
    '::/129',
    '10.0.0.0/8,',
    'all',
    '0.0.0.0/0\nPostUp = id',
    'fe80::1%eth0/64',
    '10.0.0.0/8/8',
    '$(id)',
    '10/8',
    '::ffff:10.0.0.0/104',
    '::ffff:a00:0/104',
    '10.0.0.0/8, ::ffff:1.2.3.4',
    '::ffff:0:0/96',
  ])('are not %p', (text) => {
    expect(parseAllowedIps(text)).toBeUndefined();
  });

  it('may be as many as it takes to leave private networks and a few hosts out, and no more (C4)', () => {
    const list = (count: number): string =>
      Array.from({ length: count }, (_, n) => `10.${n >> 4}.${(n & 15) * 16}.0/24`).join(', ');
    expect(parseAllowedIps(list(256))).toBe(list(256));
    expect(parseAllowedIps(`${list(256)}, 10.0.0.7/24`)).toBe(list(256)); // the same network again is not one more
    expect(parseAllowedIps(list(257))).toBeUndefined();
  });

  it('hold nothing that a config line could take for anything else, whatever is typed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const parsed = parseAllowedIps(text);
        if (parsed !== undefined) expect(parsed).toMatch(/^[0-9a-f.:/, ]+$/);
      }),
    );
  });
});

describe('the resolvers of a device', () => {
  const dns = ['1.1.1.1', '10.8.0.1', '2606:4700:4700::1111'];

  it.each<[string, boolean, string, readonly string[]]>([
    ['both families and all routes', true, '0.0.0.0/0, ::/0', dns],
    ['IPv4 only and all routes', false, '0.0.0.0/0, ::/0', ['1.1.1.1', '10.8.0.1']],
    ['the routes of a private network', true, '10.0.0.0/8', ['10.8.0.1']],
    ['two halves', false, '0.0.0.0/1, 128.0.0.0/1', ['1.1.1.1', '10.8.0.1']],
    ['IPv6 routes only', true, '::/0', ['2606:4700:4700::1111']],
    ['routes that lead to none', true, '192.168.0.0/16', []],
  ])('with %s are those it can ask (C5, G7)', (_what, hasIpv6, allowedIps, reachable) => {
    expect(reachableResolvers(dns, { hasIpv6, allowedIps })).toEqual(reachable);
  });
});

describe('config texts', () => {
  const config = {
    privateKey: 'yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=',
    addresses: ['10.8.0.7/32'],
    dns: ['1.1.1.1', '2606:4700:4700::1111'],
    mtu: 1420,
    serverPublicKey: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
    presharedKey: null,
    endpoint: 'vpn.example.com:51820',
    allowedIps: '0.0.0.0/0, ::/0',
  };

  it('are what wg-quick reads', () => {
    expect(renderClientConfig(config)).toBe(`[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Address = 10.8.0.7/32
DNS = 1.1.1.1, 2606:4700:4700::1111
MTU = 1420

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25
`);
  });

  it('name the preshared key, on both sides, where there is one', () => {
    const presharedKey = 'kx2TW8Ogn5HVzNsTq2kVbY7mHi8vFfXkXbNwFJp1Q3U=';
    expect(renderClientConfig({ ...config, presharedKey })).toContain(`\nPresharedKey = ${presharedKey}\n`);
    const peers = [{ publicKey: config.serverPublicKey, presharedKey, allowedIps: ['10.8.0.7/32'] }];
    const file = renderServerConfig({ privateKey: null, listenPort: 51820, peers });
    expect(file).toContain(`\nPresharedKey = ${presharedKey}\n`);
  });

  it('leave the private key to the device that has it', () => {
    const text = renderClientConfig({ ...config, privateKey: null });
    expect(text).toMatch(/^# PrivateKey = .*device/m);
    expect(text).not.toMatch(/^PrivateKey/m);
  });

  it('for a server are complete where its key is ours, and peers only where it is not; none has a preshared key left (G2)', () => {
    const peers = [{ publicKey: config.serverPublicKey, presharedKey: null, allowedIps: ['10.8.0.7/32'] }];
    const file = renderServerConfig({ privateKey: config.privateKey, listenPort: 51820, peers });
    expect(file).toBe(`[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 51820

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = ${'A'.repeat(43)}=
AllowedIPs = 10.8.0.7/32
`);
    expect(renderServerConfig({ privateKey: null, listenPort: 51820, peers })).not.toContain('[Interface]');
  });
});

describe('a client config that another program rendered', () => {
  const { privateKey } = generateKeyPair();
  const presharedKey = generateKeyPair().privateKey;
  const text = `\n[Interface]\nPrivateKey = ${privateKey}\nAddress = 10.8.0.7/24, fd00::7/128\n\n[Peer]\nPresharedKey=${presharedKey}\n`;
  const silent = { isObfuscated: false, endpoint: null, dns: [], mtu: null };
  const read = { privateKey, presharedKey, serverPublicKey: null, addresses: ['10.8.0.7', 'fd00::7'], ...silent };

  it('is read for its keys and addresses, whatever else is in it', () => {
    expect(parseClientConfig(text)).toEqual(read);
    expect(parseClientConfig(text.replaceAll('\n', '\r\n'))).toEqual(read);
    expect(
      parseClientConfig(`# made by hand${text}AllowedIPs = 0.0.0.0/0\nAllowedIPs = ::/0\nEndpoint = a:1\n`),
    ).toEqual({ ...read, endpoint: 'a:1' });
    expect(parseClientConfig(text.replace(/PresharedKey.*/, ''))).toEqual({ ...read, presharedKey: null });
  });

  it('is read as we render it', () => {
    const rendered = renderClientConfig({
      privateKey,
      addresses: ['10.8.0.7/32'],
      dns: ['1.1.1.1'],
      mtu: 1420,
      serverPublicKey: presharedKey,
      presharedKey,
      endpoint: 'vpn.example.com:51820',
      allowedIps: '0.0.0.0/0',
    });
    expect(parseClientConfig(rendered)).toEqual({
      privateKey,
      presharedKey,
      serverPublicKey: presharedKey,
      addresses: ['10.8.0.7'],
      isObfuscated: false,
      endpoint: 'vpn.example.com:51820',
      dns: ['1.1.1.1'],
      mtu: 1420,
    });
  });

  it.each(['Jc = 7', 'Jmin=10', 'S1 = 128', 'S4 = 1', 'H1 = 1136437142', 'I1 = <b 0x1>', 'i5 = <r 9>'])(
    'is told to be for AmneziaWG by %s (D13)',
    (line) => {
      const config = parseClientConfig(text.replace('Address', `${line}\nAddress`));
      expect(config).toEqual({ ...read, isObfuscated: true });
    },
  );

  it.each([
    ['nothing', ''],
    ['a page', '<!DOCTYPE html>'],
    ['a setting outside of any section', `MTU = 1420\n${text}`],
    ['a line that is no setting', `${text}PostUp\n`],
    ['another key', `${text}[Interface]\nPrivateKey = ${presharedKey}\n`],
    ['no key', text.replace(privateKey, '')],
    ['a key that is none', text.replace(privateKey, `${privateKey}A`)],
    ['a preshared key that is none', text.replace(presharedKey, 'undefined')],
    ['no address', text.replace(/Address.*/, '')],
    ['an address that is none', text.replace('fd00::7', 'fd00::x')],
    ['no end', text + '\n'.repeat(40_000)],
  ])('is none with %s', (_what, other) => {
    expect(parseClientConfig(other)).toBeUndefined();
  });
});
