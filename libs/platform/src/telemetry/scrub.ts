/**
 * What must not stand in a log, wherever it slipped into a text: sealed values, tokens, WireGuard keys in a config, passwords in
 * a connection string, PEM blocks. The last line of defence: nothing is meant to log them in the first place.
 */
const SECRETS: readonly [RegExp, string][] = [
  [/gAAAA[A-Za-z0-9_-]{20,}={0,2}/g, '[sealed]'],
  [/eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?/g, '[token]'],
  [/((?:PrivateKey|PresharedKey)\s*=\s*)[A-Za-z0-9+/]{42,44}=?/g, '$1[key]'],
  [/(\w+:\/\/[^:@/\s]+:)[^@\s]+@/g, '$1[password]@'],
  [/-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g, '[pem]'],
  [/([?&](?:secret|token|code|password)=)[^&\s]+/gi, '$1[secret]'],
];

/** The text without anything that looks like a secret. */
export function scrub(text: string): string {
  return SECRETS.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}
