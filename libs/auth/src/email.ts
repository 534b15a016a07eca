import { isEmail } from 'class-validator';
import { domainToASCII, domainToUnicode } from 'node:url';

/** RFC 5321 4.5.3.1.3: 254 characters is what fits into a path. */
const MAX_LENGTH = 254;

/**
 * The one form of an address that is stored and compared (trimmed, NFKC, lower case), so that nobody registers twice by
 * spelling; undefined when it is not an address. The part before the @ must be ASCII: look-alike letters make two accounts of
 * one to the eye.
 */
export function normaliseEmail(input: string): string | undefined {
  const email = input.trim().normalize('NFKC').toLowerCase();
  const valid = isEmail(email, { allow_utf8_local_part: false, ignore_max_length: false });
  if (!valid || email.length > MAX_LENGTH || email.toLowerCase() !== email) return undefined;
  return isWhatItLooksLike(email.slice(email.lastIndexOf('@') + 1)) ? email : undefined;
}

/**
 * Whether a domain is the one that programs make of it (UTS 46, as in every URL). Characters that are not seen, such as a zero-width
 * space, are dropped on the way: `exa<U+200B>mple.com` would be a second account for the mailbox of `example.com`.
 */
function isWhatItLooksLike(domain: string): boolean {
  const ascii = domainToASCII(domain);
  return domain === ascii || domain === domainToUnicode(ascii);
}
