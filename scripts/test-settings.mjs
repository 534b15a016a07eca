import { Settings } from '../dist/libs/platform/src/index.js';

/** Settings for scripts that look at the application without serving it. The secrets are of no use to anybody. */
export function testSettings(more = {}) {
  const environment = {
    NODE_ENV: 'test',
    SECRET_KEY: 'Zm9yIHNjcmlwdHMgb25seSwgbm90aGluZyBpcyBzZXJ2ZWQ',
    CONFIG_ENCRYPTION_KEY: '3Rtik7crK3_YE6pfTa8waKgJ-IjxJnvHRQsbKtcAB94=',
    WG_SUBNET: '10.8.0.0/30',
    ...more,
  };
  return new Settings(environment, { cores: 1 });
}
