import { describe, expect, it } from '@jest/globals';
import { DomainError } from '#kernel';
import { der, explicit, integer, NULL, objectId, octets, sequence, set, utf8 } from '../../../test/fakes/der.js';
import { Dice } from '../../../test/support/dice.js';
import { readAppReceipt } from './apple-receipt.rules.js';
import { type ReceiptInput, type ReceiptShape, shapeOf } from './receipt.rules.js';

const JWS = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from('{}').toString('base64url')}.c2ln`;
const TOKEN = 'opaque.AO-J1Oz_abc-DEF';
const DATA = objectId('1.2.840.113549.1.7.1');
const SIGNED_DATA = objectId('1.2.840.113549.1.7.2');
const ALGORITHMS = set(sequence(objectId('2.16.840.1.101.3.4.2.1'), NULL));
const END = Buffer.from([0, 0]);

const attribute = (type: number, value: Buffer): Buffer => sequence(integer(type), integer(1), octets(value));
const sold = (id: string): Buffer =>
  attribute(17, set(attribute(1702, utf8('vpn.monthly')), attribute(1703, utf8(id)), attribute(1705, utf8(id))));
const contentWith = (...ids: readonly string[]): Buffer =>
  set(attribute(2, utf8('com.example.vpn')), attribute(3, utf8('1')), ...ids.map(sold));
const wrapped = (content: Buffer): Buffer =>
  sequence(
    SIGNED_DATA,
    explicit(0, sequence(integer(1), ALGORITHMS, sequence(DATA, explicit(0, content)), set(), set())),
  );
const receiptWith = (...ids: readonly string[]): Buffer => wrapped(octets(contentWith(...ids)));
/** The same kind, without saying how long it is. */
const endless = (tag: number, ...parts: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([tag, 0x80]), ...parts, END]);

const shape = (receipt: string, given: Partial<ReceiptInput> = {}): ReceiptShape =>
  shapeOf({ receipt, provider: 'apple', ...given });

function refused(receipt: string, given: Partial<ReceiptInput> = {}): boolean {
  try {
    shape(receipt, given);
    return false;
  } catch (error) {
    if (error instanceof DomainError && error.code === 'receipt_malformed') return true;
    throw error;
  }
}

describe('what an app sends as a receipt', () => {
  it.each(['apple', 'google'] as const)('is a signed transaction when it looks like one (%s)', (provider) => {
    expect(shape(` ${JWS}\n`, { provider })).toEqual({ kind: 'apple_jws', jws: JWS });
  });

  it.each(['apple', 'google'] as const)(
    'is a purchase of Play when it is its JSON, whoever it says it is of (%s)',
    (provider) => {
      const json = JSON.stringify({
        orderId: 'GPA.1',
        packageName: 'com.example.vpn',
        productId: 'm',
        purchaseToken: TOKEN,
      });
      expect(shape(json, { provider })).toEqual({
        kind: 'google_token',
        purchaseToken: TOKEN,
        packageName: 'com.example.vpn',
        productId: 'm',
      });
      const nameless = JSON.stringify({ packageName: 'com.example.vpn', purchaseToken: TOKEN });
      expect(shape(nameless, { provider, productId: 'hint' })).toMatchObject({ productId: 'hint' });
    },
  );

  it('is a purchase token when it is for Play and looks like nothing else', () => {
    const google = { kind: 'google_token', packageName: null, productId: null };
    expect(shape(TOKEN, { provider: 'google' })).toEqual({ ...google, purchaseToken: TOKEN });
    expect(shape('123', { provider: 'google' })).toEqual({ ...google, purchaseToken: '123' });
    expect(shape('anything', { provider: 'google', purchaseToken: TOKEN })).toEqual({
      ...google,
      purchaseToken: TOKEN,
    });
    expect(shape('{"orderId":"GPA.1"}', { provider: 'google', purchaseToken: TOKEN })).toEqual({
      ...google,
      purchaseToken: TOKEN,
    });
  });

  it.each(['..', '../x', 'a/b', 'a b', 'a?b', 'x'.repeat(2049), ''])(
    'is no purchase token when it could be a path, or is too long (%#)',
    (token) => {
      expect(refused(token, { provider: 'google' })).toBe(true);
      expect(refused(JSON.stringify({ packageName: 'p', purchaseToken: token }))).toBe(true);
    },
  );

  it('names a transaction when it is the JSON of StoreKit 2', () => {
    const json = '{ "bundleId": "com.example.vpn", "originalTransactionId": "1", "transactionId" : "20000001" }';
    expect(shape(json)).toEqual({ kind: 'apple_id', transactionIds: ['20000001'] });
    // More digits than a number of JavaScript keeps.
    expect(shape('{"transactionId":12345678901234567890,"bundleId":"b"}')).toEqual({
      kind: 'apple_id',
      transactionIds: ['12345678901234567890'],
    });
    for (const text of [
      '{"transactionId":"1"}',
      '{"bundleId":"b"}',
      '{"transactionId":"1a","bundleId":"b"}',
      '{',
      '{}',
    ]) {
      expect(refused(text)).toBe(true);
    }
  });

  it('names a transaction when it is its number', () => {
    expect(shape('2000000100000001')).toEqual({ kind: 'apple_id', transactionIds: ['2000000100000001'] });
    expect(refused('123456789012345678901')).toBe(true);
    expect(refused('١٢٣')).toBe(true);
    expect(refused('12 3')).toBe(true);
  });

  it('names the first and the last transaction when it is the receipt of StoreKit 1', () => {
    const receipt = receiptWith('1000', '1001', '1002').toString('base64');
    expect(shape(receipt)).toEqual({ kind: 'apple_id', transactionIds: ['1000', '1002'] });
    expect(shape(receipt.replace(/.{64}/g, '$&\r\n'))).toEqual(shape(receipt));
    expect(shape(receiptWith('1000').toString('base64'))).toEqual({ kind: 'apple_id', transactionIds: ['1000'] });
    expect(refused(receiptWith().toString('base64'))).toBe(true);
  });

  it('names first the transaction that the app means, which a receipt that is older does not hold (H15)', () => {
    const receipt = receiptWith('1000', '1001', '1002').toString('base64');
    expect(shape(receipt, { transactionId: '1001' })).toMatchObject({ transactionIds: ['1001', '1000', '1002'] });
    expect(shape(receipt, { transactionId: '1002' })).toMatchObject({ transactionIds: ['1002', '1000'] });
    expect(shape(receipt, { transactionId: '7' })).toMatchObject({ transactionIds: ['7', '1000', '1002'] });
  });

  it('is the receipt of an app also as Xcode writes it, nowhere saying how long anything is (I5)', () => {
    const field = (type: number, value: Buffer): Buffer => endless(0x30, integer(type), integer(1), octets(value));
    const inApp = (id: string): Buffer => field(17, endless(0x31, field(1702, utf8('vpn')), field(1703, utf8(id))));
    const content = endless(0x31, field(2, utf8('com.example.vpn')), inApp('0'), inApp('1000'), inApp('1001'));
    const pieces = Array.from({ length: Math.ceil(content.length / 50) }, (_, index) =>
      octets(content.subarray(index * 50, index * 50 + 50)),
    );
    const data = endless(0x30, DATA, endless(0xa0, endless(0x24, ...pieces)));
    const algorithms = endless(0x31, endless(0x30, objectId('2.16.840.1.101.3.4.2.1'), NULL));
    const signed = endless(0x30, integer(1), algorithms, data, endless(0xa0, sequence(NULL)), endless(0x31));
    const receipt = endless(0x30, SIGNED_DATA, endless(0xa0, signed));
    expect(readAppReceipt(receipt)).toEqual({ bundleId: 'com.example.vpn', transactionIds: ['1000', '1001'] });
    expect(shape(receipt.toString('base64'))).toEqual({ kind: 'apple_id', transactionIds: ['1000', '1001'] });
  });

  it('is refused where all that it names is 0, as what Xcode sold (H33)', () => {
    for (const receipt of [
      '0',
      '000',
      receiptWith('0').toString('base64'),
      receiptWith('0', '00').toString('base64'),
    ]) {
      expect(refused(receipt)).toBe(true);
    }
  });

  it('names a transaction when it is the old receipt of one', () => {
    const info = Buffer.from('{\n\t"item-id" = "5";\n\t"transaction-id" = "33993399";\n}').toString('base64');
    const old = (text: string): string => Buffer.from(text).toString('base64');
    expect(shape(old(`{\n\t"signature" = "QQ==";\n\t"purchase-info" = "${info}";\n\t"pod" = "100";\n}`))).toEqual({
      kind: 'apple_id',
      transactionIds: ['33993399'],
    });
    expect(refused(old('{\n"signature" = "QQ==";\n}'))).toBe(true);
    expect(refused(old('{\n"signature" = "QQ=="; "purchase-info" = "QQ==";\n}'))).toBe(true);
  });

  it.each(['', '   ', 'hello', 'eyJ.e30', 'eyJ..', '=', '\0', '[]', 'null', 'MII', '🙂'])(
    'is malformed when it is %j',
    (text) => {
      expect(refused(text)).toBe(true);
    },
  );

  it('is malformed when it is larger than a mebibyte', () => {
    expect(refused('1'.repeat(1_048_577))).toBe(true);
    expect(refused(`eyJ.${'A'.repeat(1_048_577)}.A`)).toBe(true);
  });
});

describe('an app receipt', () => {
  it('is read with the app it is of', () => {
    expect(readAppReceipt(receiptWith('1', '2'))).toEqual({ bundleId: 'com.example.vpn', transactionIds: ['1', '2'] });
    expect(readAppReceipt(receiptWith())).toEqual({ bundleId: 'com.example.vpn', transactionIds: [] });
  });

  it('is read when lengths are not said, and the content is in pieces', () => {
    const content = contentWith('1000', '1001');
    const pieces = [content.subarray(0, 50), content.subarray(50, 90), content.subarray(90)].map((one) => octets(one));
    const nested = endless(0x24, pieces[0]!, endless(0x24, pieces[1]!), der(0x24, pieces[2]!));
    const algorithms = endless(0x31, endless(0x30, objectId('2.16.840.1.101.3.4.2.1'), NULL));
    const encapsulated = endless(0x30, DATA, endless(0xa0, nested));
    const signed = endless(0x30, integer(1), algorithms, encapsulated, endless(0x31));
    expect(readAppReceipt(endless(0x30, SIGNED_DATA, endless(0xa0, signed))).transactionIds).toEqual(['1000', '1001']);
  });

  it('keeps only ids that are numbers, and each once', () => {
    expect(readAppReceipt(receiptWith('1', '../2', '', '1', '123456789012345678901')).transactionIds).toEqual(['1']);
  });

  it('passes over what it does not know', () => {
    const strange = set(
      attribute(9_999_999, utf8('x')),
      attribute(1703, utf8('5')),
      attribute(0x7fffffff, NULL),
      sold('6'),
    );
    expect(readAppReceipt(wrapped(octets(strange))).transactionIds).toEqual(['6']);
  });

  it('is malformed wherever it is cut off', () => {
    const receipt = receiptWith('1000');
    const end = receipt.indexOf(contentWith('1000')) + contentWith('1000').length;
    for (let length = 0; length < end; length += 1) {
      expect(() => readAppReceipt(receipt.subarray(0, length))).toThrow(DomainError);
    }
  });

  it.each([
    ['a length that is longer than what is there', Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])],
    ['a length of nine bytes', Buffer.from([0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1])],
    ['a kind of two bytes', Buffer.from([0x3f, 0x81, 0x00])],
    ['openings without an end', Buffer.alloc(10_000, Buffer.from([0x30, 0x80]))],
    ['nothing but ends', Buffer.alloc(10_000)],
  ])('is malformed when it has %s', (_what, bytes) => {
    expect(() => readAppReceipt(bytes)).toThrow(DomainError);
  });
});

describe('a hostile receipt', () => {
  /** What is made to be slow to read: many small parts, deep nesting, no end, all but a match. */
  const hostile = (size: number): readonly string[] => [
    wrapped(octets(set(...Array.from({ length: size / 40 }, (_, number) => sold(String(number)))))).toString('base64'),
    wrapped(octets(set(...Array.from({ length: size / 12 }, () => attribute(17, set()))))).toString('base64'),
    sequence(SIGNED_DATA, explicit(0, sequence(integer(1), Buffer.alloc(size, Buffer.from([0x30, 0x80]))))).toString(
      'base64',
    ),
    wrapped(endless(0x24, Buffer.alloc(size, Buffer.from([0x24, 0x80])))).toString('base64'),
    wrapped(endless(0x24, Buffer.alloc(size, Buffer.from([0x04, 0x00])))).toString('base64'),
    'A'.repeat(size),
    `${'A '.repeat(size / 2)}!`,
    `A${' '.repeat(size)}!`,
    `eyJ${'.'.repeat(size)}`,
    `eyJ${'A'.repeat(size)}.${'A'.repeat(size)}`,
    `{${'"transactionId" '.repeat(size / 16)}`,
    `{"bundleId":"b","a":"${'\\"transactionId\\"    '.repeat(size / 20)}"}`,
    `{"a":${'['.repeat(size)}`,
    Buffer.from(`{${'"purchase-info" = "AAAA'.repeat(size / 23)}`).toString('base64'),
    Buffer.from(`{"purchase-info"${' '.repeat(size)}`).toString('base64'),
  ];

  it('costs in proportion to its length', () => {
    const cost = (text: string): number => {
      const began = performance.now();
      refused(text.slice(0, 1_048_576));
      return performance.now() - began;
    };
    hostile(40_000).forEach(cost); // once unmeasured: what is compiled on the way is no cost of the receipt
    const [small, large] = [hostile(40_000).map(cost), hostile(400_000).map(cost)];
    const figures = large.map((ms, index) => `${(small[index] ?? 0).toFixed(1)} -> ${ms.toFixed(1)}`);
    process.stdout.write(`hostile receipts of 40 kB -> 400 kB, in ms: ${figures.join(', ')}\n`);
    // In proportion it is ten times as much, by the square a hundred times. What takes no 20 ms could be noise.
    large.forEach((ms, index) => expect(ms).toBeLessThan(50 * Math.max(small[index] ?? 0, 20)));
  });

  it('of any kind is read or refused, ten thousand times', () => {
    const dice = new Dice(20_261_122);
    const seeds = [
      JWS,
      TOKEN,
      '2000000100000001',
      '{"transactionId":"1","bundleId":"b"}',
      JSON.stringify({ packageName: 'p', purchaseToken: TOKEN, productId: 'm' }),
      receiptWith('1000', '1001').toString('base64'),
    ];
    const receipt = receiptWith('1000', '1001');
    const began = performance.now();
    const kinds: Record<string, number> = {};
    for (let turn = 0; turn < 10_000; turn += 1) {
      const text =
        turn % 3 === 0
          ? mutatedBytes(receipt, dice).toString('base64')
          : turn % 3 === 1
            ? mutatedText(dice.of(seeds) ?? '', dice)
            : randomText(dice);
      const provider = dice.below(2) === 0 ? 'apple' : 'google';
      const kind = refused(text, { provider }) ? 'refused' : shape(text, { provider }).kind;
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    const seconds = (performance.now() - began) / 1000;
    process.stdout.write(`10,000 receipts in ${seconds.toFixed(2)} s: ${JSON.stringify(kinds)}\n`);
    expect(Object.keys(kinds).sort()).toEqual(['apple_id', 'apple_jws', 'google_token', 'refused']);
  });
});

function mutatedBytes(bytes: Buffer, dice: Dice): Buffer {
  const changed = Buffer.from(bytes);
  for (let times = dice.below(4); times >= 0; times -= 1) changed[dice.below(changed.length)] = dice.below(256);
  return changed.subarray(0, dice.below(4) === 0 ? dice.below(changed.length) : undefined);
}

function mutatedText(text: string, dice: Dice): string {
  const at = dice.below(text.length + 1);
  const inserted = String.fromCharCode(dice.below(0x180)).repeat(dice.below(4));
  return text.slice(0, at) + inserted + text.slice(at + dice.below(3));
}

function randomText(dice: Dice): string {
  const alphabet = dice.of(['ey.JAZ09_-', '{}":, transactionId', 'MIAB+/=0189', '\0\ud800é🙂 \n']) ?? '';
  return Array.from({ length: dice.below(300) }, () => alphabet[dice.below(alphabet.length)] ?? '').join('');
}
