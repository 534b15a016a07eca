/** Words that only appear in a secret nobody replaced, or that everybody knows. */
const PLACEHOLDER =
  /change[-_ ]?(me|this|it)|place[-_ ]?holder|replace[-_ ]?(me|this)|your[-_ ]|example|secret[-_ ]?key|supersecret|password|default|insecure|0123456789|abcdefghij|qwerty/i;

/**
 * What is wrong with a secret, as the end of a sentence ("must be ..."); undefined when it will do.
 * Length is counted in characters; fewer than 8 different ones is a pattern, not a secret.
 */
export function secretWeakness(secret: string, minimumLength: number): string | undefined {
  if (secret.length < minimumLength) return `must be at least ${minimumLength} characters long`;
  if (PLACEHOLDER.test(secret)) return 'must be a random value, not a placeholder';
  if (new Set(secret).size < 8) return 'must be a random value, not a repeated pattern';
  return undefined;
}
