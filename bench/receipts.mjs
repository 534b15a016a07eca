// npm run bench:receipts: what it costs to look at what an app shows as the proof of a purchase. CPU time is measured; nobody is
// asked and nothing is stored. The chain of certificates is made here, in the shape of Apple's; the code is the one that is built.
import 'reflect-metadata'; // @peculiar/x509 needs it before it is loaded
import * as x509 from '@peculiar/x509';
import { Buffer } from 'node:buffer';
import { createHash, KeyObject, randomBytes, sign, webcrypto } from 'node:crypto';
import { cpus } from 'node:os';
import { buildIfNeeded } from '../scripts/build.mjs';

const VERIFICATIONS = 1000;
const RECEIPTS = 10_000;
/** Limits: milliseconds of CPU for one signed transaction, seconds for all the hostile receipts. */
const MAX_VERIFICATION_MS = 5;
const MAX_RECEIPTS_SECONDS = 5;
const CURVE = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** What Apple marks its intermediates and its leaves for the App Store with; the value is NULL in DER. */
const MARKS = { intermediate: '1.2.840.113635.100.6.2.1', leaf: '1.2.840.113635.100.6.11.1' };
const BUNDLE_ID = 'com.example.vpn';
const TEXTS = [
  'eyJhbGciOiJFUzI1NiJ9.e30.AAAA',
  '2000000100000001',
  '{"transactionId":"2000000100000001","bundleId":"com.example.vpn"}',
  '{"packageName":"com.example.vpn","purchaseToken":"abc.def","productId":"monthly"}',
  Buffer.from('{\n"signature" = "QUJD";\n"purchase-info" = "QUJD";\n}').toString('base64'),
];

await buildIfNeeded();
const { AppleVerifier } = await import('../dist/libs/iap/src/apple.verifier.js');
const { shapeOf } = await import('../dist/libs/iap/src/receipt.rules.js');

x509.cryptoProvider.set(webcrypto);
const { root, jws } = await signer();
const verifier = new AppleVerifier('production', { bundleId: BUNDLE_ID, appAppleId: 1, roots: [root] });
const codes = { signature: 'receipt_invalid', app: 'wrong_app', malformed: 'receipt_malformed' };

const signed = Array.from({ length: VERIFICATIONS }, (_, index) => jws(String(2_000_000_100_000_001 + index)));
for (const one of signed.slice(0, 50)) await verifier.transaction(one, codes); // what is compiled on the way is no cost of theirs
const verificationMs =
  (await cpuMsOf(async () => {
    for (const one of signed) await verifier.transaction(one, codes);
  })) / VERIFICATIONS;

const hostile = Array.from({ length: RECEIPTS }, (_, index) => hostileReceipt(index));
let refused = 0;
const receiptsSeconds =
  (await cpuMsOf(() => {
    for (const [index, receipt] of hostile.entries()) {
      try {
        shapeOf({ receipt, provider: index % 2 === 0 ? 'apple' : 'google' });
      } catch (error) {
        if (error.code !== 'receipt_malformed') throw error;
        refused += 1;
      }
    }
  })) / 1000;

console.log(`\n${cpus().length} x ${cpus()[0].model.trim()}, Node ${process.version}`);
console.log(`a signed transaction: ${verificationMs.toFixed(2)} ms of CPU (limit ${MAX_VERIFICATION_MS})`);
console.log(
  `${RECEIPTS} hostile receipts of up to 64 kB: ${receiptsSeconds.toFixed(2)} s of CPU (limit ${MAX_RECEIPTS_SECONDS}), ${refused} refused`,
);
process.exitCode = verificationMs > MAX_VERIFICATION_MS || receiptsSeconds > MAX_RECEIPTS_SECONDS ? 1 : 0;

async function cpuMsOf(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Mutated texts, random bytes, and what is made to be slow to read: nesting without an end, a thousand small parts. */
function hostileReceipt(index) {
  const size = 2 ** (6 + (index % 11));
  switch (index % 5) {
    case 0: {
      const text = TEXTS[((index / 5) % TEXTS.length) | 0];
      const at = randomBytes(1)[0] % text.length;
      return text.slice(0, at) + randomBytes(3).toString('latin1') + text.slice(at + 1);
    }
    case 1:
      return Buffer.concat([Buffer.from([0x30, 0x82]), randomBytes(size)]).toString('base64');
    case 2:
      return Buffer.alloc(size, Buffer.from([0x30, 0x80])).toString('base64');
    case 3:
      return `{"bundleId":"b","a":"${String.raw`\"transactionId\"   `.repeat(size / 16)}`;
    default:
      return `eyJ${'A'.repeat(size / 2)}.${'.'.repeat(size / 2)}`;
  }
}

/** A chain as Apple's, and a signer of transactions with its leaf. */
async function signer() {
  const marked = (name) =>
    MARKS[name] === undefined ? [] : [new x509.Extension(MARKS[name], false, Buffer.from([5, 0]))];
  const make = async (name, issuer) => {
    const keys = await webcrypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
    const isLeaf = name === 'leaf';
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: createHash('sha1').update(name).digest('hex').slice(1),
      subject: `CN=Bench ${name}`,
      issuer: `CN=Bench ${issuer?.name ?? name}`,
      notBefore: new Date('2020-01-01T00:00:00Z'),
      notAfter: new Date('2045-01-01T00:00:00Z'),
      signingAlgorithm: CURVE,
      publicKey: keys.publicKey,
      signingKey: (issuer?.keys ?? keys).privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(!isLeaf, undefined, true),
        new x509.KeyUsagesExtension(
          isLeaf ? x509.KeyUsageFlags.digitalSignature : x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        ...marked(name),
      ],
    });
    return { name, keys, der: Buffer.from(certificate.rawData) };
  };
  const top = await make('root');
  const intermediate = await make('intermediate', top);
  const leaf = await make('leaf', intermediate);
  const x5c = [leaf, intermediate, top].map(({ der }) => der.toString('base64'));
  const key = KeyObject.from(leaf.keys.privateKey);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = {
    originalTransactionId: '2000000100000001',
    bundleId: BUNDLE_ID,
    productId: 'com.example.vpn.monthly',
    type: 'Auto-Renewable Subscription',
    environment: 'Production',
    purchaseDate: Date.now(),
    expiresDate: Date.now() + 30 * 86_400_000,
    inAppOwnershipType: 'PURCHASED',
    price: 9990,
    currency: 'USD',
    signedDate: Date.now(),
  };
  return {
    root: top.der,
    jws: (transactionId) => {
      const input = `${part({ alg: 'ES256', x5c })}.${part({ ...payload, transactionId })}`;
      const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
      return `${input}.${signature.toString('base64url')}`;
    },
  };
}
