import { type Command } from 'commander';

const SERVER = 'the id or the name of a server';

/** WireGuard servers, from the operator's side. */
export function addServers(program: Command): void {
  const servers = program.command('servers').description('WireGuard servers');
  const actions = () => import('./servers.action.js');
  servers
    .command('list')
    .description('The servers there are')
    .option('--json', 'as JSON, for programs')
    .action(async ({ json = false }: { json?: boolean }) => (await actions()).listServers(json));
  servers
    .command('add')
    .description('Add a server that a JSON file describes')
    .requiredOption('--file <file>', 'the description; - reads it from standard input')
    .action(async ({ file }: { file: string }) => (await actions()).addServer(file));
  servers
    .command('sync')
    .description('Compare servers with the database now, and make them agree')
    .option('--server <server>', SERVER)
    .option('--force', 'adopt them, and remove however many peers do not belong there')
    .action(async ({ server, force = false }: { server?: string; force?: boolean }) =>
      (await actions()).syncServers(server, force),
    );
  servers
    .command('accept-settings')
    .description('Write the server of the WG_* settings as they are here, also where its devices notice')
    .action(async () => (await actions()).acceptSettings());
  servers
    .command('drain')
    .description('Place no new devices on a server; those it has stay')
    .argument('<server>', SERVER)
    .action(async (server: string) => (await actions()).drainServer(server));
  servers
    .command('doctor')
    .description('Look servers over from end to end; exit code 1 when one is not well')
    .option('--server <server>', SERVER)
    .option('--json', 'as JSON, for programs')
    .action(async ({ server, json = false }: { server?: string; json?: boolean }) =>
      (await actions()).examineServers(server, json),
    );
  servers
    .command('export')
    .description('What a server must hold now, as a file for "wg syncconf"')
    .option('--server <server>', SERVER)
    .action(async ({ server }: { server?: string }) => (await actions()).exportServer(server));
}
