import { describe, expect, it } from '@jest/globals';
import { LocalShell } from './local-shell.js';

const shell = new LocalShell();
const run = (words: readonly string[], stdin: string | null = null, timeoutSeconds = 5): Promise<string> =>
  shell.run({ words, stdin, timeoutSeconds });

describe('a command on this machine', () => {
  it('answers what was written', async () => {
    expect(await run(['echo', 'a'])).toBe('a\n');
  });

  it.each([[['cat']], [['cat', '/dev/stdin']]])(
    'reads its stdin as %j does, by descriptor or by name',
    async (words) => {
      const text = 'PublicKey = x\n'.repeat(50_000);
      expect(await run(words, text)).toBe(text);
    },
  );

  it('reads nothing where there is nothing', async () => {
    expect(await run(['cat'])).toBe('');
  });

  it('is refused when it fails, is not there, or says too much', async () => {
    await expect(run(['ls', '/nowhere'])).rejects.toMatchObject({
      code: 'server_refused',
      params: { kind: 'command' },
    });
    await expect(run(['no-such-program'])).rejects.toMatchObject({ params: { kind: 'command' } });
    await expect(run(['head', '-c', '9000000', '/dev/zero'])).rejects.toMatchObject({ params: { kind: 'output' } });
  });

  it('is given up on when its time is over', async () => {
    const timedOut = { code: 'server_unavailable', params: { kind: 'timeout' } };
    await expect(run(['timeout', '-k', '1', '0.1', 'sleep', '60'])).rejects.toMatchObject(timedOut);
    await expect(run(['sleep', '60'], null, 0)).rejects.toMatchObject(timedOut);
  });

  it('never meets a shell', async () => {
    await expect(run(['echo', '$(id)'])).rejects.toMatchObject({ params: { kind: 'grammar' } });
  });
});
