import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { codeOf } from '#kernel';
import { UsageError } from './command.js';

/** Reads a JSON file, or standard input when it is called `-`, so that what is secret in it stands in no list of processes. */
export async function readJson(file: string): Promise<unknown> {
  const content = file === '-' ? await text(process.stdin) : await readText(file);
  try {
    return JSON.parse(content);
  } catch {
    throw new UsageError('The description is not JSON'); // without the cause: it quotes the text, which may hold a key
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`The file cannot be read (${codeOf(error) ?? 'unknown'}): ${file}`);
  }
}
