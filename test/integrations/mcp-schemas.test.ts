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
  expect(tameText('one\n\ttwo\u202e\u200b\u0007\u{e0041} three')).toBe('one\n\ttwo three');
});
