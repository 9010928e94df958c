import { expect, test } from 'vitest';
import { checkerOf } from '../../src/core/tools/schema.ts';
import { tameSchema, tameText } from '../../src/integrations/mcp/tame.ts';

const check = (schema: Record<string, unknown>, value: unknown) =>
  checkerOf(tameSchema(schema, 'inputSchema').checked, 'inputSchema')(value);

test('a pattern that takes for ever is told in words, and never run', () => {
  const evil = '^(a+)+$';
  const schema = {
    type: 'object',
    properties: {
      text: { type: 'string', description: 'A text.', pattern: evil },
      pattern: { type: 'number' },
    },
    patternProperties: { [evil]: { type: 'number' } },
    additionalProperties: false,
  };
  expect(tameSchema(schema, 'inputSchema').told).toEqual({
    type: 'object',
    properties: {
      text: { type: 'string', description: `A text. Matches ${evil}` },
      pattern: { type: 'number' },
    },
  });
  const long = `${'a'.repeat(100)}!`;
  expect(check(schema, { text: long, [long]: 1 })).not.toHaveProperty('issues');
  expect(check(schema, { pattern: 'x' })).toHaveProperty('issues');
});

test('references that branch without end are told, and not followed', () => {
  const $defs = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => {
      const next = { $ref: `#/$defs/d${i + 1}` };
      return [`d${i}`, { anyOf: [next, next] }];
    }),
  );
  const schema = {
    type: 'object',
    $defs: { ...$defs, d200: { type: 'string' } },
    properties: { a: { $ref: '#/$defs/d0' } },
    required: ['a'],
  };
  expect(tameSchema(schema, 'inputSchema').told).toEqual(schema);
  expect(check(schema, { a: 1 })).not.toHaveProperty('issues');
  expect(check(schema, {})).toHaveProperty('issues');
});

const cat = { type: 'object', properties: { kind: { const: 'cat' } }, required: ['kind'] };
const dog = { type: 'object', properties: { kind: { const: 'dog' } }, required: ['kind'] };
const catOrDog = [{ $ref: '#/$defs/cat' }, { $ref: '#/$defs/dog' }];
const startsWith = (letter: string) => ({ type: 'string', pattern: `^${letter}` });

test.for<[what: string, schema: Record<string, unknown>]>([
  ['one of two references', { properties: { pet: { oneOf: catOrDog } } }],
  ['one of two, and any of two', { properties: { pet: { oneOf: catOrDog, anyOf: catOrDog } } }],
  ['a reference that it must not be', { properties: { name: { not: { $ref: '#/$defs/cat' } } } }],
  [
    'nothing beside what a reference asks for',
    { allOf: [{ $ref: '#/$defs/home' }], unevaluatedProperties: false },
  ],
  ['one of two patterns', { properties: { name: { oneOf: [startsWith('T'), startsWith('S')] } } }],
  ['a pattern that it must not match', { properties: { name: { not: { pattern: '^_' } } } }],
  // biome-ignore lint/suspicious/noThenProperty: it is a keyword of JSON Schema
  ['a condition on a pattern', { if: { properties: { name: startsWith('S') } }, then: { required: ['x'] } }],
  [
    'not more of a pattern than so many',
    { properties: { toys: { contains: startsWith('b'), maxContains: 1 } } },
  ],
  [
    'one of two, by references to patterns',
    { properties: { name: { oneOf: [{ $ref: '#/$defs/t' }, { $ref: '#/$defs/s' }] } } },
  ],
])('what a server allows is not forbidden here: %s', ([, own]) => {
  const $defs = {
    cat,
    dog,
    home: { properties: { pet: {}, name: {}, toys: {} } },
    s: startsWith('S'),
    t: startsWith('T'),
  };
  const schema = { type: 'object', ...own, $defs };
  const value = { pet: { kind: 'cat' }, name: 'Tom', toys: ['ball', 'rope'] };
  expect(check(schema, value)).not.toHaveProperty('issues');
  expect(checkerOf(tameSchema(schema, 'inputSchema').told, 'inputSchema')(value)).not.toHaveProperty(
    'issues',
  );
  expect(check(schema, 'Tom')).toHaveProperty('issues');
});

test('alternatives that are all there are told and checked as they are', () => {
  const schema = {
    type: 'object',
    properties: { pet: { oneOf: [cat, dog], not: { required: ['wings'] } } },
    unevaluatedProperties: false,
  };
  expect(tameSchema(schema, 'inputSchema')).toEqual({ told: schema, checked: schema });
});

test('items that must differ are told, and not compared each with each other one', () => {
  const schema = { type: 'object', properties: { tags: { type: 'array', uniqueItems: true } } };
  const { told, checked } = tameSchema(schema, 'inputSchema');
  expect(told).toEqual(schema);
  expect(checked).toEqual({ type: 'object', properties: { tags: { type: 'array' } } });
});

test('a schema that calls itself by the name of another takes nobody its place', () => {
  const name = 'https://json-schema.org/draft/2020-12/schema';
  expect(() => checkerOf({ $id: name, type: 'object' }, 'input')).toThrow(/\$id/);
  expect(check({ $id: name, type: 'object' }, {})).not.toHaveProperty('issues');
  const nonsense = { type: 'object', properties: { a: { type: 'nonsense' } } };
  expect(() => check(nonsense, {})).toThrow(/no JSON Schema/);
});

test.for(['http://example.org/a.json', 'file:///a.json', '#/$defs/none', '#/constructor', 'other'])(
  'a reference to %s is refused',
  ($ref) => {
    const schema = { type: 'object', properties: { a: { $ref } } };
    expect(() => tameSchema(schema, 'inputSchema')).toThrow(/refers to what is not in it/);
  },
);

test('a schema that is too deep or too large is refused', () => {
  let deep: Record<string, unknown> = { type: 'object' };
  for (let i = 0; i < 100; i++) deep = { type: 'object', properties: { a: deep } };
  expect(() => tameSchema(deep, 'inputSchema')).toThrow(/nested too deeply/);
  const large = { type: 'object', description: 'x'.repeat(70_000) };
  expect(() => tameSchema(large, 'inputSchema')).toThrow(/the limit is/);
});

test('values that look like keywords stay what they are', () => {
  const schema = {
    type: 'object',
    properties: { a: { enum: [{ pattern: 'x', $ref: 'y' }], default: { $ref: 'z' } } },
  };
  expect(tameSchema(schema, 'inputSchema').told).toEqual(schema);
});

test('a text keeps its lines, and loses what nobody sees', () => {
  expect(tameText('one\n\ttwo\u202e\u200b\u0007\u{e0041}\u{e0101}\ufe0f\u3164 three')).toBe(
    'one\n\ttwo three',
  );
});
