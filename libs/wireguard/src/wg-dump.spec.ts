import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { generateKeyPair } from './keys.js';
import { parseDump, parseInterfaceKey } from './wg-dump.js';

const { privateKey, publicKey } = generateKeyPair();
const OWN = `${privateKey}\t${publicKey}\t51820\toff\n`;
const KEY = generateKeyPair().publicKey;
const PEER = [KEY, '(none)', '192.0.2.7:4711', '10.8.0.2/32,fd00::7/128', '1795374243', '148', '92', 'off'];

function peerWith(index: number, field: string): string {
  return `${OWN}${PEER.with(index, field).join('\t')}\n`;
}

describe('a dump', () => {
  it('of an interface without peers has none', async () => {
    expect(await parseDump(OWN)).toEqual([]);
    expect(await parseDump('(none)\t(none)\t0\toff\n')).toEqual([]);
    expect(await parseDump(`(hidden)\t${publicKey}\t51820\t0xca6c\n`)).toEqual([]);
  });

  it('tells of each peer its key, networks, last handshake and traffic', async () => {
    expect(await parseDump(`${OWN}${PEER.join('\t')}\n`)).toEqual([
      {
        publicKey: KEY,
        allowedIps: ['10.8.0.2/32', 'fd00::7/128'],
        hasPresharedKey: false,
        lastHandshakeAt: new Date('2026-11-22T19:04:03Z'),
        receivedBytes: 148,
        sentBytes: 92,
      },
    ]);
  });

  it.each([
    ['no networks', 3, '(none)', { allowedIps: [] }],
    ['the networks of a whole site', 3, '192.168.0.0/16,::/0', { allowedIps: ['192.168.0.0/16', '::/0'] }],
    ['an address in another form', 3, 'FD00:0::7/128', { allowedIps: ['fd00::7/128'] }],
    ['no handshake yet', 4, '0', { lastHandshakeAt: null }],
    ['a preshared key', 1, generateKeyPair().publicKey, { hasPresharedKey: true }],
    ['a hidden preshared key', 1, '(hidden)', { hasPresharedKey: true }],
    ['an IPv6 endpoint', 2, '[fe80::1%eth0]:51820', { publicKey: KEY }],
    ['no endpoint', 2, '(none)', { publicKey: KEY }],
    ['a keepalive', 7, '25', { publicKey: KEY }],
  ])('may have a peer with %s', async (_, index, field, expected) => {
    expect(await parseDump(peerWith(index, field))).toMatchObject([expected]);
  });

  it.each([
    ['nothing at all', ''],
    ['an answer to something else', 'interface: wg0\n'],
    ['a text that was cut off', `${OWN}${PEER.join('\t')}`],
    ['an empty line', `${OWN}\n`],
    ['no line of the interface', `${PEER.join('\t')}\n`],
    ['two lines of the interface', OWN + OWN],
    ['the same peer twice', `${OWN}${PEER.join('\t')}\n${PEER.join('\t')}\n`],
    ['a field too many', `${OWN}${PEER.join('\t')}\toff\n`],
    ['a field too few', `${OWN}${PEER.slice(1).join('\t')}\n`],
    ['spaces for tabs', `${OWN}${PEER.join(' ')}\n`],
    ['a carriage return', `${OWN}${PEER.join('\t')}\r\n`],
    ['no key', peerWith(0, '(none)')],
    ['a key that is too short', peerWith(0, KEY.slice(1))],
    ['markup for a preshared key', peerWith(1, '<script>')],
    ['an endpoint with a quote', peerWith(2, "'; id")],
    ['an address without end', peerWith(3, `10.8.0.2/32,${'1'.repeat(1000)}`)],
    ['an address that is none', peerWith(3, '10.8.0.300/32')],
    ['an empty address', peerWith(3, '10.8.0.2/32,')],
    ['a handshake before time', peerWith(4, '-1')],
    ['a handshake after it', peerWith(4, '9'.repeat(11))],
    ['a count that is not whole', peerWith(5, '1.5')],
    ['a count beyond counting', peerWith(6, '9'.repeat(16))],
    ['a count in hexadecimal', peerWith(6, '0x10')],
    ['a keepalive that is none', peerWith(7, 'on')],
  ])('with %s is refused as a whole, without quoting it', async (_, text) => {
    await expect(parseDump(text)).rejects.toThrow(
      expect.objectContaining({ code: 'server_refused', message: 'server_refused', params: { kind: 'output' } }),
    );
  });

  it('with more peers than a host can have is refused before they are read', async () => {
    await expect(parseDump(OWN + 'x\n'.repeat(100_001))).rejects.toThrow(
      expect.objectContaining({ params: { kind: 'output' } }),
    );
  });

  it('of 10 000 peers is read whole', async () => {
    const lines = Array.from({ length: 10_000 }, (_, index) =>
      PEER.with(0, randomBytes(32).toString('base64'))
        .with(3, `10.8.${index >> 8}.${index & 255}/32`)
        .join('\t'),
    );
    expect(await parseDump(`${OWN}${lines.join('\n')}\n`)).toHaveLength(10_000);
  });

  it('of 60 000 peers lets others have their turn while it is read (F13)', async () => {
    const lines = Array.from({ length: 60_000 }, (_, index) =>
      PEER.with(0, randomBytes(32).toString('base64'))
        .with(3, `10.${8 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}/32`)
        .join('\t'),
    );
    let turns = 0;
    let isRead = false;
    const others = (): void => {
      turns += 1;
      if (!isRead) setImmediate(others);
    };
    setImmediate(others);
    expect(await parseDump(`${OWN}${lines.join('\n')}\n`)).toHaveLength(60_000);
    isRead = true;
    expect(turns).toBeGreaterThan(3);
  });
});

describe("the interface's own key", () => {
  it('is told by the same output, with and without the secrets in it', () => {
    expect(parseInterfaceKey(OWN)).toBe(publicKey);
    expect(parseInterfaceKey(`(hidden)\t${publicKey}\t51820\toff\n${PEER.join('\t')}\n`)).toBe(publicKey);
  });

  it('is not there as long as the interface has none', () => {
    expect(parseInterfaceKey('(none)\t(none)\t0\toff\n')).toBeNull();
  });

  it.each(['', '\n', publicKey, `${PEER.join('\t')}\n`, `${privateKey}\tx\t51820\toff\n`])(
    'is not believed of %j',
    (text) => {
      expect(() => parseInterfaceKey(text)).toThrow(expect.objectContaining({ params: { kind: 'output' } }));
    },
  );
});
