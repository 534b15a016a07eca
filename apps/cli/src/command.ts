import { type Logger } from 'pino';
import { type Settings } from '#platform';

/** What an action works with. */
export interface CommandContext {
  readonly settings: Settings;
  readonly log: Logger;
}

/** Why a call was not understood: exit code 2. */
export class UsageError extends Error {}

/** A call that was understood and done, and found something that is not well, or did nothing it was asked for: exit code 1. */
export class NotWell extends Error {}

/**
 * Settings and a log for an action. They are loaded here and not at the top of the file, as the rooms are by each action: `help` and
 * `version` answer without them.
 */
export async function openContext(): Promise<CommandContext> {
  const { createLog, loadSettings } = await import('#platform');
  const settings = await loadSettings();
  return { settings, log: await createLog({ level: 'warn', pretty: false }, process.stderr) };
}
