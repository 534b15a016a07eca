import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseYaml } from '@redocly/openapi-core';
import { readFileSync } from 'node:fs';
import { createLog, Metrics } from '#platform';
import { createApp } from '../../apps/api/src/setup.js';
import { createTestDatabase } from '../support/database.js';
import { testSettings } from '../support/settings.js';

const TOKEN = 'h7Wq2nXt9KzV4mRb8YcD5sJe';

interface Rule {
  readonly alert: string;
  readonly expr: string;
}

interface RuleTest {
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly object[] }[];
}

const { groups } = parseYaml(readFileSync('ops/prometheus/alerts.yml', 'utf8')) as {
  groups: readonly { rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const { tests } = parseYaml(readFileSync('ops/prometheus/alerts.test.yml', 'utf8')) as { tests: readonly RuleTest[] };
const checks = tests.flatMap((test) => test.alert_rule_test);

/** What is a word in PromQL, or a function, in these rules. */
const WORDS = new Set(
  'and or unless on by offset max min sum abs absent changes increase rate max_over_time min_over_time'.split(' '),
);
/** Prometheus makes this one, for each of its targets. */
const MADE_BY_PROMETHEUS = 'up';
/** Labels that Prometheus gives to each series. */
const GIVEN_BY_PROMETHEUS = ['job', 'instance'];

/** The series that an expression reads, each with the labels that it is chosen by. */
function seriesOf(expr: string): readonly { readonly name: string; readonly labels: readonly string[] }[] {
  const bare = expr
    .replace(/"[^"]*"/g, '""')
    .replace(/\[\w+\]/g, '')
    .replace(/\b(?:by|on) \([^)]*\)/g, '')
    .replace(/\boffset \w+/g, '');
  return [...bare.matchAll(/([a-z_]\w*)(?:\{([^}]*)\})?/gi)]
    .map(([, name = '', matchers = '']) => ({
      name,
      labels: [...matchers.matchAll(/(\w+)\s*[=!]/g)].map(([, label = '']) => label),
    }))
    .filter(({ name }) => !WORDS.has(name));
}

let stop: () => Promise<void>;
let text: string;
/** The labels of everything that the service exports, by the names of its series. */
const exported = new Map<string, readonly string[]>();

beforeAll(async () => {
  const database = await createTestDatabase();
  // With the clock of the running service, not one that is moved by hand: its deviation is exported too.
  const app = await createApp({
    settings: testSettings({ METRICS_TOKEN: TOKEN }),
    databaseUrl: database.url,
    databaseIsPooled: false,
    log: await createLog({ level: 'error', pretty: false }),
  });
  stop = async () => {
    await app.close();
    await database.drop();
  };
  await app.listen({ host: '127.0.0.1', port: 0 });
  const response = await fetch(`${await app.getUrl()}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  text = await response.text();
  // Metrics whose series appear when something happens have their `# TYPE` line all the same.
  const types = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]));
  const known = new Map(
    app
      .get(Metrics)
      .registry.getMetricsAsArray()
      .map((metric) => [metric.name, 'labelNames' in metric ? (metric.labelNames as readonly string[]) : []]),
  );
  for (const [name = '', type] of types) {
    const labels = known.get(name) ?? [];
    if (type === 'histogram') for (const part of ['_count', '_sum', '_bucket']) exported.set(name + part, labels);
    else exported.set(name, labels);
  }
});
afterAll(() => stop());

describe('the alert rules', () => {
  it('read series that the service exports, by labels that those have', () => {
    expect(rules.length).toBeGreaterThan(30);
    for (const { alert, expr } of rules) {
      const series = seriesOf(expr);
      expect([alert, series.length]).not.toEqual([alert, 0]);
      for (const { name, labels } of series) {
        if (name === MADE_BY_PROMETHEUS) continue;
        expect([alert, name, exported.has(name)]).toEqual([alert, name, true]);
        const allowed = [...(exported.get(name) ?? []), ...GIVEN_BY_PROMETHEUS];
        // A label of ours that is called like one of Prometheus' is renamed by it.
        const renamed = allowed.map((label) => `exported_${label}`);
        for (const label of labels) expect([...allowed, ...renamed]).toContain(label);
      }
    }
  });

  it('see the first increase of a counter, because it is exported before anything was counted', () => {
    for (const provider of ['apple', 'google']) {
      for (const name of ['iap_unknown_events_total', 'iap_unknown_states_total']) {
        expect(text).toContain(`${name}{provider="${provider}"} 0\n`);
      }
    }
  });

  it('are each tested: one case in which it fires, one in which it does not', () => {
    for (const { alert } of rules) {
      const own = checks.filter(({ alertname }) => alertname === alert);
      const fires = own.some(({ exp_alerts: expected }) => expected.length > 0);
      // One more than the case in which everything is well.
      const isSilent = own.filter(({ exp_alerts: expected }) => expected.length === 0).length >= 2;
      expect([alert, fires, isSilent]).toEqual([alert, true, true]);
    }
  });

  it('are each explained to operators, and nothing else is', () => {
    const section = readFileSync('docs/operations.md', 'utf8').split('\n## Alerts\n')[1]?.split('\n## ')[0] ?? '';
    const explained = [...section.matchAll(/^\| `(Vpn\w+)`/gm)].map(([, alert]) => alert);
    expect(explained).toEqual(rules.map(({ alert }) => alert));
  });
});
