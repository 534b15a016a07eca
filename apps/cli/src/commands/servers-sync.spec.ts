import { describe, expect, it } from '@jest/globals';
import { describeSweep } from './servers-sync.js';

const report = { serverId: 1, live: 3, put: 1, suspended: 0, removed: 0, strangers: 2, held: 0 };

describe('what servers sync says', () => {
  it('of strangers depends on whether the server is adopted, which --force has just done (D15)', () => {
    expect(describeSweep({ ...report, isAdopted: false })).toBe(
      '3 peers; put 1, suspended 0, removed 0; 2 strangers left alone until the server is adopted (--force)',
    );
    const adopted = describeSweep({ ...report, isAdopted: true });
    expect(adopted).toContain('2 strangers are removed if they are still there in a minute');
    expect(adopted).not.toContain('--force');
  });

  it('of what is held back names the way to have it done', () => {
    expect(describeSweep({ ...report, strangers: 0, held: 9, isAdopted: true })).toMatch(
      /9 changes held back.*--force/,
    );
  });
});
