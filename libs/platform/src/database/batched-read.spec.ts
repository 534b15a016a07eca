import { describe, expect, it } from '@jest/globals';
import { BatchedRead } from './batched-read.js';

describe('a batched read', () => {
  it('answers the questions of one turn by one query, each with its own answer', async () => {
    const queries: (readonly number[])[] = [];
    const read = new BatchedRead<number, string>((questions) => {
      queries.push(questions);
      return Promise.resolve(questions.map((question) => `answer ${question}`));
    });
    expect(await Promise.all([read.ask(1), read.ask(2), read.ask(1)])).toEqual(['answer 1', 'answer 2', 'answer 1']);
    expect(await read.ask(3)).toBe('answer 3');
    expect(queries).toEqual([[1, 2, 1], [3]]);
  });

  it('fails for all who asked in that turn, and for nobody after', async () => {
    let isDown = true;
    const read = new BatchedRead<number, number>((questions) =>
      isDown ? Promise.reject(new Error('down')) : Promise.resolve(questions),
    );
    const answers = await Promise.allSettled([read.ask(1), read.ask(2)]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isDown = false;
    expect(await read.ask(4)).toBe(4);
  });
});
