import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY_MS } from '#kernel';
import { ShiftedClock } from './shifted-clock.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vpn-clock-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function daysAhead(clock: ShiftedClock): number {
  return Math.round((clock.now().getTime() - Date.now()) / DAY_MS);
}

describe('a clock that is moved by a file', () => {
  it('is right while there is no file, or nothing readable in it', async () => {
    const path = join(folder, 'clock');
    const clock = new ShiftedClock(path);
    expect(daysAhead(clock)).toBeCloseTo(0);
    await writeFile(path, 'tomorrow');
    expect(daysAhead(clock)).toBeCloseTo(0);
  });

  it('is ahead by what the file says at that moment', async () => {
    const path = join(folder, 'moved');
    const clock = new ShiftedClock(path);
    await writeFile(path, String(30 * DAY_MS));
    expect(daysAhead(clock)).toBe(30);
    await writeFile(path, `${31 * DAY_MS}\n`);
    expect(daysAhead(clock)).toBe(31);
  });
});
