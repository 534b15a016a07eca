import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ERRORS } from '#kernel';

interface Node {
  readonly [name: string]: unknown;
}

const document = JSON.parse(readFileSync('openapi.json', 'utf8')) as {
  info: object;
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string;
        parameters?: readonly { name: string; in: string }[];
        responses: Record<string, Node>;
        summary?: string;
        description?: string;
        security: readonly object[];
        'x-access': string;
      }
    >
  >;
  components: { schemas: Record<string, Node & { properties?: Record<string, Node> }> };
};
const operations = Object.values(document.paths).flatMap((item) => Object.values(item));

/** Every schema in the document, with the place where it stands. */
function* schemasOf(node: unknown, place: string): Generator<[string, Node]> {
  if (typeof node !== 'object' || node === null) return;
  for (const [name, child] of Object.entries(node)) {
    const here = `${place}/${name}`;
    if (name === 'schema' && typeof child === 'object' && child !== null) yield [here, child as Node];
    yield* schemasOf(child, here);
  }
}

describe('openapi.json', () => {
  it('calls every operation by a name of its own, in camelCase', () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z][a-zA-Z0-9]+$/);
  });

  it('says of every operation what it is for, who may call it, and how it answers (E8)', () => {
    expect(document.info).toMatchObject({ license: { name: expect.any(String) }, description: expect.any(String) });
    for (const { operationId, summary, description, responses, security, 'x-access': access } of operations) {
      expect([operationId, summary?.length ?? 0]).not.toEqual([operationId, 0]);
      expect([operationId, description?.length ?? 0]).not.toEqual([operationId, 0]);
      const media = Object.entries((responses['200'] as { content: Record<string, Node> }).content);
      expect([operationId, media.length]).not.toEqual([operationId, 0]);
      for (const [, content] of media) expect(content).toHaveProperty('schema');
      // None, one, or either: left out altogether it would mean nothing at all.
      const ways = { public: [], optional: [{ bearer: [] }, {}], user: [{ bearer: [] }], admin: [{ bearer: [] }] }[
        access
      ];
      expect([operationId, security]).toEqual([operationId, ways]);
      for (const response of Object.values(responses)) expect(response).toHaveProperty('content');
    }
  });

  it('has a name for every object: generators make classes of names', () => {
    for (const [place, schema] of schemasOf(document.paths, '')) {
      expect([place, 'properties' in schema]).toEqual([place, false]);
      if (schema['type'] === 'array') expect(schema['items']).toHaveProperty('$ref');
    }
    for (const [name, { properties = {} }] of Object.entries(document.components.schemas)) {
      for (const [field, property] of Object.entries(properties)) {
        expect([name, field, 'properties' in property]).toEqual([name, field, false]);
        expect([name, field, 'enum' in property]).toEqual([name, field, false]); // enums are named as well
      }
    }
  });

  it('calls whole numbers integers, and gives every field an example or a name that has one', () => {
    for (const [name, { properties = {} }] of Object.entries(document.components.schemas)) {
      for (const [field, property] of Object.entries(properties)) {
        if (property['format'] !== 'double')
          expect([name, field, property['type']]).not.toEqual([name, field, 'number']);
        const explained = ['example', '$ref', 'allOf', 'items', 'default', 'description'].some(
          (key) => key in property,
        );
        expect([name, field, explained || property['type'] === 'boolean']).toEqual([name, field, true]);
      }
    }
  });

  it('has no two names that are one in camelCase, as generators write them (A8)', () => {
    const schemas = Object.entries(document.components.schemas);
    for (const [name, { properties = {} }] of schemas)
      expect([name, doublesIn(Object.keys(properties))]).toEqual([name, []]);
    expect(doublesIn(schemas.map(([name]) => name))).toEqual([]);
    expect(doublesIn(operations.map(({ operationId }) => operationId))).toEqual([]);
    for (const { operationId, parameters = [] } of operations) {
      expect([operationId, doublesIn(parameters.map(({ name }) => name))]).toEqual([operationId, []]);
    }
    expect(doublesIn(['duration_days', 'durationDays', 'price'])).toEqual(['durationdays']); // so it would be seen
  });

  it('closes no enumeration of an answer: a client of today meets the words of tomorrow (A8)', () => {
    const inAnswers = reachable(operations.map(({ responses }) => responses));
    const states = inAnswers.flatMap((node) => node['x-extensible-enum'] ?? []);
    expect(states).toEqual(expect.arrayContaining(['grace', 'suspended', 'completed', 'already_verified']));
    expect(inAnswers.filter((node) => 'enum' in node)).toEqual([]);
    // What is sent is another matter: there a client says which words it knows.
    expect(JSON.stringify(document.components.schemas['UserStatusIn'])).toContain('UserStanding');
  });

  it('asks nobody to choose between types, and says which codes errors have (E8)', () => {
    expect(JSON.stringify(document)).not.toMatch(/"(oneOf|anyOf|discriminator)":/);
    const { ErrorOut, ValidationErrorOut, UnprocessableOut } = document.components.schemas;
    expect(ErrorOut?.properties?.['detail']).toMatchObject({ type: 'string' });
    expect(ErrorOut?.properties?.['code']?.['x-extensible-enum']).toEqual(Object.keys(ERRORS));
    expect(ValidationErrorOut?.properties?.['detail']).toMatchObject({ type: 'array' });
    const ofFields = Object.entries(ERRORS).flatMap(([code, { kind }]) => (kind === 'unprocessable' ? [code] : []));
    expect(ValidationErrorOut?.properties?.['code']?.['x-extensible-enum']).toEqual(ofFields);
    for (const code of ofFields) expect(UnprocessableOut?.properties?.['detail']?.['description']).toContain(code);
  });

  it('gives numbers of bytes 64 bits: they pass 2 GB (E8)', () => {
    const bytes = Object.values(document.components.schemas)
      .flatMap(({ properties = {} }) => Object.entries(properties))
      .filter(([name]) => /bytes/.test(name));
    expect(bytes.length).toBeGreaterThan(4);
    for (const [name, property] of bytes) expect([name, property['format']]).toEqual([name, 'int64']);
  });
});

/** Names that are the same to a generator. */
function doublesIn(names: readonly string[]): readonly string[] {
  const plain = names.map((name) => name.replace(/[^A-Za-z0-9]/g, '').toLowerCase());
  return plain.filter((name, index) => plain.indexOf(name) !== index);
}

/** Everything that stands in a part of the document, or in a schema that it refers to. */
function reachable(node: unknown, seen = new Set<unknown>()): Node[] {
  if (typeof node !== 'object' || node === null || seen.has(node)) return [];
  seen.add(node);
  const here = node as Node;
  const ref = here['$ref'];
  const schema = typeof ref === 'string' ? document.components.schemas[ref.split('/').at(-1) ?? ''] : undefined;
  return [here, ...reachable(schema, seen), ...Object.values(here).flatMap((child) => reachable(child, seen))];
}
