/** The part of an OpenAPI document that requests are made from. */
interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly example?: unknown;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly example?: unknown;
  readonly schema: Schema;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

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
  const resolve = (schema: Schema): Schema => {
    const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
    return ref === undefined ? schema : document.components.schemas[ref.split('/').at(-1)!]!;
  };
  const sane = (schema: Schema): unknown => {
    const known = resolve(schema);
    if (schema.example !== undefined) return schema.example;
    if (known.enum !== undefined) return known.enum[0];
    if (known.type === 'array') return known.items === undefined ? [] : [sane(known.items)];
    if (known.properties !== undefined) {
      return Object.fromEntries(Object.entries(known.properties).map(([name, property]) => [name, sane(property)]));
    }
    return known.type === 'boolean' ? true : known.type === 'integer' ? 1 : 'text';
  };
  /** A sane body as JSON, with some of its fields replaced, dropped, or joined by strangers. */
  const bodyOf = (schema: Schema): string => {
    const kind = random();
    if (kind < 0.08) return pick(HOSTILE_JSON);
    const fields = Object.entries(resolve(schema).properties ?? {}).map(([name, property]) => {
      const value = random() < 0.4 ? pick(HOSTILE_JSON) : JSON.stringify(sane(property));
      return [name, value] as const;
    });
    const kept = fields.filter(() => random() > 0.1).map(([name, value]) => `${JSON.stringify(name)}:${value}`);
    if (random() < 0.2)
      kept.push(`${pick(['"__proto__"', '"\\u0000"', '"constructor"', '""', '"extra"'])}:${pick(HOSTILE_JSON)}`);
    const json = `{${kept.join(',')}}`;
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
