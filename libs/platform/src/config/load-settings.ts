import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseEnv } from 'node:util';
import { codeOf, SystemRandomness } from '#kernel';
import { developmentSecrets } from './development-secrets.js';
import { Settings } from './settings.js';
import { type Environment } from './settings-reader.js';

/**
 * The settings of this process: its variables, then a `.env` file in the working directory, then (in development only) the
 * generated secrets. The only place that reads `process.env`.
 */
export async function loadSettings(): Promise<Settings> {
  const environment: Environment = { ...readDotEnv(), ...process.env };
  const machine = { cores: availableParallelism() };
  if ((environment['NODE_ENV'] ?? 'development') !== 'development') return new Settings(environment, machine);
  const secrets = await developmentSecrets(environment['DATA_DIR'] ?? 'data', new SystemRandomness());
  return new Settings({ ...secrets, ...withoutEmpty(environment) }, machine);
}

/** `SECRET_KEY=` in a `.env` file means "not set", not "set to nothing". */
function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim() !== ''));
}

function readDotEnv(): Environment {
  try {
    return parseEnv(readFileSync('.env', 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {};
    throw error;
  }
}
