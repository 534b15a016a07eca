/** 32 bytes in canonical base64: the last character before the padding carries 4 bits, so only 16 values are possible. */
const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const ALL_ZERO = `${'A'.repeat(43)}=`;

/** Public keys of examples: the one of our pages and of the API document, and those of wireguard.com. Nobody has their private halves. */
const SAMPLE_KEYS: ReadonlySet<string> = new Set([
  'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
  'HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=',
  'TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=',
  'gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=',
]);

/** Whether a text is a key: the one grammar every key passes before it is stored, rendered or sent to a host. */
export function isWireGuardKey(text: string): boolean {
  return KEY.test(text) && text !== ALL_ZERO;
}

export function isSampleKey(publicKey: string): boolean {
  return SAMPLE_KEYS.has(publicKey);
}
