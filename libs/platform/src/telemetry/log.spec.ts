import { describe, expect, it } from '@jest/globals';
import { createLog } from './log.js';
import { inRequest } from './request-context.js';
import { scrub } from './scrub.js';

async function logged(write: (log: Awaited<ReturnType<typeof createLog>>) => void): Promise<string> {
  const lines: string[] = [];
  write(await createLog({ level: 'info', pretty: false }, { write: (line) => void lines.push(line) }));
  return lines.join('');
}

describe('the log', () => {
  it('hides secrets by their names', async () => {
    const line = await logged((log) =>
      log.info({ password: 'hunter2', body: { access_token: 'hunter2', email: 'a@b.c' } }, 'x'),
    );
    expect(line).not.toContain('hunter2');
    expect(line).toContain('a@b.c');
  });

  it('tells of an error what helps, and not what a driver hangs onto it', async () => {
    const cause = Object.assign(new Error('duplicate key'), {
      code: '23505',
      parameters: ['hunter2'],
      detail: 'hunter2',
    });
    const line = await logged((log) => log.error({ err: new Error('outer', { cause }) }, 'failed'));
    expect(line).toContain('duplicate key');
    expect(line).toContain('23505');
    expect(line).not.toContain('hunter2');
  });

  it('says on whose behalf a line was written, and not from where', async () => {
    const line = await logged((log) => inRequest({ requestId: 'r-1', address: '192.0.2.1' }, () => log.info('x')));
    expect(JSON.parse(line)).toMatchObject({ requestId: 'r-1', level: 'info', msg: 'x' });
    expect(line).not.toContain('192.0.2.1');
  });
});

describe('scrub', () => {
  it.each([
    'gAAAAABrAvUD1qqOdAjh0r-biAVL1uSPltiXwkVFOvQ_Xjk237iHm5Y6iXNJddVDvbThkINyGQUwB==',
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    'PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=',
    'PresharedKey=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=',
    'postgresql://vpn:yAnz5TF@db:5432/vpn',
    '-----BEGIN PRIVATE KEY-----\nyAnz5TF+lXXJte14tji3zlMNq\n-----END PRIVATE KEY-----',
    'POST /auth/admin/promote?user_id=5&secret=yAnz5TF',
  ])('takes the secret out of %p', (text) => {
    expect(scrub(`before ${text} after`)).not.toMatch(/yAnz5TF|dBjft|BrAvUD/);
    expect(scrub(`before ${text} after`)).toMatch(/^before .*after$/s);
  });

  it('leaves other text alone', () => {
    const text = 'peer 7 on server 1: 10.8.0.7/32, https://example.com/a?b=c';
    expect(scrub(text)).toBe(text);
  });
});
