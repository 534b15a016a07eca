import { randomInt } from 'node:crypto';
import { type Parameters } from 'fast-check';

/**
 * How often a model is run, and from which seed, which is printed: 200 times, or PROPERTY_RUNS times; from another seed each time, or
 * from PROPERTY_SEED.
 */
export function runsOf(name: string): Parameters<unknown> {
  const seed = Number(process.env['PROPERTY_SEED'] ?? randomInt(2 ** 31));
  const numRuns = Number(process.env['PROPERTY_RUNS'] ?? 200);
  process.stdout.write(`model of ${name}: ${numRuns} runs, PROPERTY_SEED=${seed}\n`);
  return { seed, numRuns, endOnFailure: process.env['PROPERTY_SEED'] === undefined && numRuns > 200 };
}
