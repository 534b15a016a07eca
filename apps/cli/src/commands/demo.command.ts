import { type Command } from 'commander';

/** Walks the main job, for people who have just cloned the repository. */
export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('Walk the main job against the service that runs here, step by step (development only)')
    .option('--url <url>', 'where the service is, on this machine')
    .action(async ({ url }: { url?: string }) => (await import('./demo.action.js')).demo(url));
}
