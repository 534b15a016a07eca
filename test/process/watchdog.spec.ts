import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { dataFolder, poll, Service } from '../support/service.js';

jest.setTimeout(120_000);

/** Blocks the event loop of the main thread for good when it is told to, as a deadlock in a library would. */
const BLOCKABLE = `--import data:text/javascript,process.on('SIGUSR2',()=>{for(;;);})`;
const LIMIT_SECONDS = 5;

async function blockable(seconds: number, dataDirectory: string): Promise<Service> {
  const environment = { WATCHDOG_SECONDS: String(seconds), NODE_OPTIONS: BLOCKABLE };
  return Service.start({ dataDirectory, environment });
}

/** The status of `/health/live`; null when there is no answer within half a second. */
async function liveness(base: string): Promise<number | null> {
  try {
    return (await fetch(`${base}/health/live`, { signal: AbortSignal.timeout(500) })).status;
  } catch {
    return null;
  }
}

describe('a process whose event loop has stopped', () => {
  it('says so and ends by itself, so that it is started again (G1)', async () => {
    const dataDirectory = await dataFolder();
    const service = await blockable(LIMIT_SECONDS, dataDirectory);
    const base = await service.url();
    expect(await liveness(base)).toBe(200);
    service.signal('SIGUSR2');
    await poll(async () => ((await liveness(base)) === null ? true : undefined));
    expect(await service.exited()).toBeNull(); // by a signal: nothing else ends it
    const line = service.output.split('\n').find((text) => text.includes('event loop has stopped'));
    expect(JSON.parse(line ?? '')).toMatchObject({ level: 'fatal', limitSeconds: LIMIT_SECONDS });
    // What starts it again finds all as it was; and this one stops the database that the other has left running.
    const next = await Service.start({ dataDirectory });
    expect(await liveness(await next.url())).toBe(200);
    expect(await next.stop()).toBe(0);
  });

  it('stays when the whole process was paused for longer than the limit: nothing has stopped for good (G1)', async () => {
    const service = await blockable(LIMIT_SECONDS, await dataFolder());
    const base = await service.url();
    service.signal('SIGSTOP');
    const paused = Date.now();
    await poll(() => (Date.now() - paused > (LIMIT_SECONDS + 2) * 1000 ? true : undefined));
    service.signal('SIGCONT');
    expect(await poll(async () => (await liveness(base)) ?? undefined)).toBe(200);
    expect(await service.stop()).toBe(0);
  });
});

describe('the keys of devices', () => {
  beforeAll(() => {
    expect(spawnSync(process.execPath, ['scripts/build.mjs']).status).toBe(0);
  });

  /** With a young generation this small the old way stood still for good within 20 000 pairs, each time (Node 20.20.2). */
  it('are made by the ten thousands, while memory is collected, without ever standing still (G1)', async () => {
    const script = `
      const { generateKeyPair, publicKeyOf } = await import(process.argv[1]);
      for (let made = 0; made < 20_000; made++) {
        const { privateKey, publicKey } = generateKeyPair();
        if (made % 10 === 0 && publicKeyOf(privateKey) !== publicKey) throw new Error('the halves are not of one pair');
      }
      console.log('made');`;
    const keys = new URL('../../dist/libs/wireguard/src/keys.js', import.meta.url).href;
    const options = ['--max-semi-space-size=1', '--input-type=module', '--eval', script, keys];
    const { stdout: output } = await promisify(execFile)(process.execPath, options, {
      timeout: 90_000,
      killSignal: 'SIGKILL',
    });
    expect(output).toBe('made\n');
  });
});
