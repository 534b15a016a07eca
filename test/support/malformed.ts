import { type ApiDocument, resolveSchema, type Schema } from './api-document.js';

export interface MalformedRequest {
  readonly operationId: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Values that no field expects; as JSON text, because some of them only exist there. */
const HOSTILE_JSON = [
  'null',
  'true',
  '0',
  '-1',
  '1.5',
  '2147483648',
  '-2147483649',
  '9007199254740993',
  '1e308',
  '-1e400',
  '""',
  '" "',
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\u202e\\u0007"',
  '"NaN"',
  '"-1"',
  '"1e3"',
  '"0x10"',
  '"9999999999999999999999"',
  '"2026-02-30T25:61:61Z"',
  '"\'; DROP TABLE users; --"',
  '"$(id)"',
  '"a\\nPostUp = id"',
  '"../../etc/passwd"',
  '"%00"',
  `"${'x'.repeat(70_000)}"`,
  `"${'ы'.repeat(3000)}"`,
  '[]',
  '[[]]',
  '[null]',
  '{}',
  '{"a":{"b":[]}}',
  '{"__proto__":{"isAdmin":true}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"toString":1,"valueOf":null,"hasOwnProperty":[]}',
  `${'['.repeat(15)}${']'.repeat(15)}`,
  `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
];

/** The same for paths and queries. */
const HOSTILE_TEXT = [
  '',
  '0',
  '-1',
  '1.5',
  '2147483648',
  '99999999999999999999',
  '1e3',
  '0x1',
  'NaN',
  'abc',
  '%00',
  '%ED%A0%80',
  '%FF%FE',
  '%',
  '%zz',
  '1%27--',
  '..%2f..%2f',
  '%0d%0aX-Injected:%201',
  'true',
  '[]',
  '[object%20Object]',
  'x'.repeat(3000),
  '__proto__',
  'constructor',
];

const HEADERS: readonly Readonly<Record<string, string>>[] = [
  {},
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/json; charset=utf-16' },
  { 'content-type': 'multipart/form-data' },
  { 'content-encoding': 'gzip' },
  { 'accept-language': `${'x,'.repeat(500)}ru` },
  { 'idempotency-key': 'x'.repeat(500) },
  { 'x-request-id': '../../\u00ff' },
  { authorization: 'Bearer' },
  { authorization: `Bearer ${'.'.repeat(500)}` },
];

/** What a field of a nested object is replaced by, each in turn: with what is left out, the ways in which it can be nothing or of another kind. */
const NOTHING_LIKE_IT = [undefined, null, [], [[]], {}, '', 'x', 0, true];

/** Where a value stands in a body: names of fields, and the one item that each list is given. */
type Way = readonly (string | number)[];

/**
 * For each object of a request body, however deep it is nested, requests in which each of its fields is nothing or of another kind,
 * and all else is as the document's examples show it.
 */
export function* oneFieldAtFault(document: ApiDocument): Generator<MalformedRequest & { readonly way: Way }> {
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, { operationId, requestBody }] of Object.entries(item)) {
      const schema = requestBody?.content['application/json']?.schema;
      if (schema === undefined) continue;
      const whole = saneValue(document, schema);
      for (const way of waysInto(document, schema)) {
        for (const wrong of NOTHING_LIKE_IT) {
          const body = JSON.stringify(replaced(whole, way, wrong));
          const request = { operationId, method: method.toUpperCase(), path: path.replace(/\{\w+\}/g, '1') };
          yield { ...request, headers: {}, body, way };
        }
      }
    }
  }
}

/** Every field and every item of every list in a body. */
function* waysInto(document: ApiDocument, schema: Schema, way: Way = []): Generator<Way> {
  const { properties = {}, items } = resolveSchema(document, schema);
  for (const [name, property] of Object.entries(properties)) {
    yield [...way, name];
    yield* waysInto(document, property, [...way, name]);
  }
  if (items === undefined) return;
  yield [...way, 0];
  yield* waysInto(document, items, [...way, 0]);
}

function replaced(value: unknown, [step, ...rest]: Way, by: unknown): unknown {
  if (step === undefined) return by;
  if (Array.isArray(value)) return [replaced(value[0], rest, by)];
  const fields = typeof value === 'object' && value !== null ? value : {};
  return { ...fields, [step]: replaced(Reflect.get(fields, step), rest, by) };
}

/** A value as the document shows it. */
function saneValue(document: ApiDocument, schema: Schema): unknown {
  const known = resolveSchema(document, schema);
  if (known.properties !== undefined) {
    return Object.fromEntries(
      Object.entries(known.properties).map(([name, property]) => [name, saneValue(document, property)]),
    );
  }
  if (known.type === 'array' && known.items !== undefined) return [saneValue(document, known.items)];
  if (schema.example !== undefined) return schema.example;
  if (known.enum !== undefined) return known.enum[0];
  return known.type === 'boolean' ? true : known.type === 'integer' ? 1 : 'text';
}

/** Requests that are wrong in many ways, the same ones for the same seed (a mulberry32 generator). */
export function* malformedRequests(document: ApiDocument, seed: number): Generator<MalformedRequest> {
  let state = seed;
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  /** A value as JSON; any object in it, however deep, with some of its fields replaced, dropped, or joined by strangers. */
  const spoilt = (schema: Schema): string => {
    const known = resolveSchema(document, schema);
    if (known.properties === undefined) {
      const items = known.type === 'array' ? known.items : undefined;
      if (items === undefined) return JSON.stringify(saneValue(document, schema));
      return `[${Array.from({ length: Math.floor(random() * 3) }, () => spoilt(items)).join(',')}]`;
    }
    const fields = Object.entries(known.properties)
      .filter(() => random() > 0.1)
      .map(([name, property]) => `${JSON.stringify(name)}:${random() < 0.4 ? pick(HOSTILE_JSON) : spoilt(property)}`);
    if (random() < 0.2)
      fields.push(`${pick(['"__proto__"', '"\\u0000"', '"constructor"', '""', '"extra"'])}:${pick(HOSTILE_JSON)}`);
    return `{${fields.join(',')}}`;
  };
  const bodyOf = (schema: Schema): string => {
    const kind = random();
    if (kind < 0.08) return pick(HOSTILE_JSON);
    const json = spoilt(schema);
    if (kind < 0.16) return json.slice(0, Math.floor(random() * json.length)); // cut off
    if (kind < 0.2) return json.padEnd(110_000, ' '); // too large
    return json;
  };

  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  for (;;) {
    const { path, method, operation } = pick(operations);
    const parameters = operation.parameters ?? [];
    const filled = path.replace(/\{\w+\}/g, () => (random() < 0.5 ? '999999' : pick(HOSTILE_TEXT)));
    const query = parameters
      .filter((parameter) => parameter.in === 'query' && random() < 0.8)
      .map(({ name }) => (random() < 0.7 ? `${name}=${pick(HOSTILE_TEXT)}` : `${name}[a]=1&${name}=2&${name}=3`));
    const schema = operation.requestBody?.content['application/json']?.schema;
    yield {
      operationId: operation.operationId,
      method,
      path: filled + (query.length > 0 ? `?${query.join('&')}` : ''),
      headers: random() < 0.1 ? pick(HEADERS) : {},
      body: schema === undefined ? undefined : bodyOf(schema),
    };
  }
}
