import { type Environment, Settings } from '#platform';

export const TEST_ENVIRONMENT = {
  NODE_ENV: 'test',
  SECRET_KEY: 'WkBz4mLqT8vXc2Rn6YpJ0sHfUe3GdA7i',
  CONFIG_ENCRYPTION_KEY: '3Rtik7crK3_YE6pfTa8waKgJ-IjxJnvHRQsbKtcAB94=',
  PROMOTE_SECRET: 'b7Qm2xVt9LzR4kPw8NcY5hJd',
  PROMOTE_MODE: 'always',
  BCRYPT_COST: '4',
  PORT: '0',
  HOST: '127.0.0.1',
  DOCS: '1',
  WG_SUBNET: '10.8.0.0/22',
  ROLES: 'api', // tests run the jobs themselves, when they mean to
} as const satisfies Environment;

/** Settings for a test; what it cares about is given, the rest will do. */
export function testSettings(environment: Environment = {}): Settings {
  return new Settings({ ...TEST_ENVIRONMENT, ...environment }, { cores: 2 });
}
