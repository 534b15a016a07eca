import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';

interface Node {
  readonly [name: string]: unknown;
}

const document = JSON.parse(readFileSync('openapi.json', 'utf8')) as {
  paths: Record<
    string,
    Record<
      string,
      { operationId: string; responses: Record<string, Node>; summary?: string; security?: unknown; 'x-access': string }
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

  it('says of every operation what it is for, who may call it, and how it answers', () => {
    for (const { operationId, summary, responses, security, 'x-access': access } of operations) {
      expect([operationId, summary?.length ?? 0]).not.toEqual([operationId, 0]);
      const media = Object.entries((responses['200'] as { content: Record<string, Node> }).content);
      expect([operationId, media.length]).not.toEqual([operationId, 0]);
      for (const [, content] of media) expect(content).toHaveProperty('schema');
      expect([operationId, security !== undefined]).toEqual([operationId, access !== 'public']);
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
});
