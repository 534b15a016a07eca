import { describe, expect, it } from '@jest/globals';
import { isTimely, parseSignature } from './webhook-signature.rules.js';

const DIGEST = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);

describe('X-Signature', () => {
  it.each([
    [`t=1795446000,v1=${DIGEST}`, [DIGEST]],
    [`v1=${DIGEST}, t=1795446000`, [DIGEST]],
    [`t=1795446000,v1=${DIGEST.toUpperCase()},v1=${OTHER}`, [DIGEST, OTHER]],
    [`t=1795446000,v0=old,v1=${DIGEST},x`, [DIGEST]],
  ])('is read from %p', (header, digests) => {
    expect(parseSignature(header)).toEqual({ time: '1795446000', digests });
  });

  it.each([
    '',
    't=1795446000',
    `v1=${DIGEST}`,
    `t=,v1=${DIGEST}`,
    `t=1e9,v1=${DIGEST}`,
    `t=-1,v1=${DIGEST}`,
    `t=1795446000,t=1795446001,v1=${DIGEST}`,
    't=1795446000,v1=',
    `t=1795446000,v1=${DIGEST}0`,
    `t=1795446000,v1=${DIGEST.slice(1)}z`,
    `t=1795446000,v1=${DIGEST},v1=x`,
    DIGEST,
  ])('is none in %p', (header) => {
    expect(parseSignature(header)).toBeUndefined();
  });

  it('counts for five minutes, either way', () => {
    const signature = { time: '1795446000', digests: [] };
    const at = (seconds: number): boolean => isTimely(signature, new Date((1795446000 + seconds) * 1000));
    expect([-301, -300, 0, 300, 301].map(at)).toEqual([false, true, true, true, false]);
  });
});
