import { cable, type Machine } from './namespaces.js';
import { SshHost } from './ssh-host.js';

/** Where a host is in the networks of a test. */
export interface Place {
  readonly region: string;
  /** The host's own address in the tunnel, and the pool of the devices'. */
  readonly inside: string;
  readonly subnet: string;
  /** The two ends of the cable between the host and the client. */
  readonly outside: string;
  readonly client: string;
}

/** Where the host of a test with one host is. */
export const HERE: Place = {
  region: 'default',
  inside: '10.8.0.1',
  subnet: '10.8.0.0/22',
  outside: '192.0.2.1',
  client: '192.0.2.2',
};

/** A WireGuard host on a cable to the client, that routes, and greets with its region who reaches it through the tunnel. */
export interface Greeter {
  readonly host: SshHost;
  readonly publicKey: string;
}

export async function openGreeter({ region, inside, outside, client }: Place, at: Machine): Promise<Greeter> {
  const host = await SshHost.open();
  const { machine } = host;
  await cable(machine, `${outside}/24`, at, `${client}/24`);
  await machine.run('sh', '-c', `umask 077; wg genkey > ${machine.folder}/key`);
  await machine.run('wg', 'set', 'wg0', 'private-key', `${machine.folder}/key`, 'listen-port', '51820');
  await machine.run('ip', 'addr', 'add', `${inside}/22`, 'dev', 'wg0');
  const greet = `require('node:http').createServer((_, answer) => answer.end('${region}')).listen(8080, '${inside}')`;
  machine.start(process.execPath, '-e', greet);
  return { host, publicKey: (await machine.run('wg', 'show', 'wg0', 'public-key')).trim() };
}

/** The settings by which the first server of a service is this host. */
export function settingsOf({ host, publicKey }: Greeter, { outside, subnet }: Place): Record<string, string> {
  return {
    ROLES: 'api,jobs',
    ALLOW_PRIVATE_TARGETS: '1',
    WG_KEY_POLICY: 'host',
    WG_HOST_SSH: `root@127.0.0.1:${host.port}`,
    WG_HOST_SSH_KEY: host.rootKey,
    WG_HOST_FINGERPRINT: host.fingerprint,
    WG_SERVER_PUBLIC_KEY: publicKey,
    WG_ENDPOINT: `${outside}:51820`,
    WG_SUBNET: subnet,
  };
}

/** What comes back through the tunnel; undefined when nothing does. */
export function greetingThrough(client: Machine, { inside }: Place): Promise<string | undefined> {
  return client.run('curl', '-s', '--max-time', '0.5', `http://${inside}:8080/`).catch(() => undefined);
}
