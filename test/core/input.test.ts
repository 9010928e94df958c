import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { InvalidInputError } from '../../src/core/errors.ts';
import { idSchema, parseInput } from '../../src/core/input.ts';
import { encodeJson } from '../../src/core/json.ts';
import { KeyedQueue } from '../../src/core/keyed-queue.ts';
import { nearest } from '../../src/core/suggest.ts';

const schema = z.strictObject({
  id: idSchema,
  count: z.int().min(1).max(5),
  mode: z.enum(['fast', 'slow']).optional(),
  place: z.union([z.int().min(1), idSchema]).optional(),
  way: z.union([z.enum(['fast', 'slow']), z.array(z.enum(['fast', 'slow']))]).optional(),
  recall: z.union([z.boolean(), z.strictObject({ share: z.number().max(1).optional() })]).optional(),
  list: z
    .array(z.strictObject({ role: z.string() }))
    .min(1)
    .optional(),
});

/** The problems of an input, as a person is told them. */
function problems(value: unknown): string[] {
  try {
    parseInput(schema, value, 'call');
    return [];
  } catch (error) {
    return (error as InvalidInputError).issues.map(({ path, message }) => `${path}: ${message}`);
  }
}

describe('bad input', () => {
  const cases: [what: string, value: object, problem: string][] = [
    ['a missing field', { count: 1 }, 'id: is missing, expected string'],
    ['a wrong kind', { id: 5, count: 1 }, 'id: expected string, got number'],
    ['null', { id: null, count: 1 }, 'id: expected string, got null'],
    ['a fraction', { id: 'a', count: 1.5 }, 'count: expected whole number, got number'],
    ['too small a number', { id: 'a', count: 0 }, 'count: must be at least 1'],
    ['too large a number', { id: 'a', count: 6 }, 'count: must be at most 5'],
    ['an id too long', { id: 'x'.repeat(300), count: 1 }, 'id: has 300 characters, the limit is 256'],
    [
      'an unknown choice',
      { id: 'a', count: 1, mode: 'fats' },
      'mode: expected one of fast, slow; did you mean fast?',
    ],
    ['one kind of several', { id: 'a', count: 1, place: {} }, 'place: expected number or string, got object'],
    ['a bad value of one of several', { id: 'a', count: 1, place: 0 }, 'place: must be at least 1'],
    [
      'an unknown choice where a list may be given',
      { id: 'a', count: 1, way: 'fats' },
      'way: expected one of fast, slow; did you mean fast?',
    ],
    [
      'an unknown choice in such a list',
      { id: 'a', count: 1, way: ['slow', 'fats'] },
      'way[1]: expected one of fast, slow; did you mean fast?',
    ],
    [
      'an unknown field of one of several',
      { id: 'a', count: 1, recall: { shar: 1 } },
      'recall.shar: is unknown, did you mean share?',
    ],
    [
      'a bad field of one of several',
      { id: 'a', count: 1, recall: { share: 2 } },
      'recall.share: must be at most 1',
    ],
    ['a list too short', { id: 'a', count: 1, list: [] }, 'list: must be at least 1 items'],
    ['an unknown field', { id: 'a', count: 1, mod: 1 }, 'mod: is unknown, did you mean mode?'],
    [
      'an unknown field of an item',
      { id: 'a', count: 1, list: [{ role: 'x', rol: 1 }] },
      'list[0].rol: is unknown, did you mean role?',
    ],
    [
      'a field unlike any',
      { id: 'a', count: 1, zzzzzzz: 1 },
      'zzzzzzz: is unknown; known are id, count, mode, place, way, recall, list',
    ],
  ];
  test.each(cases)('%s is told with field, kind and limit', (_, value, problem) => {
    expect(problems(value)).toEqual([problem]);
  });

  test('is told with all its problems, and without its values', () => {
    const found = problems({ id: 'secret\0', count: 'secret', mode: 'secret', secre: 1 });
    expect(found).toHaveLength(4);
    expect(found.slice(0, 3).join()).not.toContain('secret');
  });

  test('is told with all the problems of a value that may be several things', () => {
    expect(problems({ id: 'a', count: 1, recall: { share: 2, shar: 1, zzzzzzz: 1 } })).toEqual([
      'recall.share: must be at most 1',
      'recall.shar: is unknown, did you mean share?',
      'recall.zzzzzzz: is unknown; known are share',
    ]);
  });
});

test.each([
  ['maxTokns', 'maxTokens'],
  ['MAXTOKENS', 'maxTokens'],
  ['userid', 'userId'],
  ['completely', undefined],
  ['__proto__', undefined],
])('%s most likely means %s', (name, known) => {
  expect(nearest(name, ['userId', 'maxTokens', 'record'])).toBe(known);
});

describe('what can be stored as JSON', () => {
  const cyclic: Record<string, unknown> = { a: [{}] };
  (cyclic.a as unknown[])[0] = cyclic;
  class Point {}
  const bad: [unknown, string][] = [
    [cyclic, 'value.a[0]: contains itself'],
    [{ a: 1n }, 'value.a: a bigint is not JSON'],
    [[Number.NaN], 'value[0]: NaN is not a JSON number'],
    [{ a: () => 1 }, 'value.a: a function is not JSON'],
    [undefined, 'value: undefined is not JSON'],
    [[undefined], 'value[0]: undefined is not JSON'],
    [{ a: new Date() }, 'value.a: a Date is not JSON: pass a plain object'],
    [{ a: new Map() }, 'value.a: a Map is not JSON: pass a plain object'],
    [new Point(), 'value: a Point is not JSON: pass a plain object'],
  ];
  test.each(bad)('is not %o', (value, problem) => {
    expect(() => encodeJson(value, 'value')).toThrow(new RegExp(problem.replaceAll(/[[\].]/g, '\\$&')));
  });

  test('is nested no deeper than the limit, and not larger', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(encodeJson(nested(32), 'v')).toContain('[1]');
    expect(() => encodeJson(nested(33), 'v')).toThrow(/is nested too deeply/);
    const limits = { maxBytes: 10, maxDepth: 3 };
    expect(encodeJson('12345678', 'v', limits)).toBe('"12345678"');
    expect(() => encodeJson('123456789', 'v', limits)).toThrow(/has 11 bytes, the limit is 10/);
    expect(() => encodeJson('ääääé', 'v', limits)).toThrow(InvalidInputError);
  });

  test('may hold one object twice, absent fields, and hostile keys', () => {
    const shared = { x: 1 };
    const value = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}');
    expect(encodeJson({ a: shared, b: shared, c: undefined, value }, 'v')).toBe(
      '{"a":{"x":1},"b":{"x":1},"value":{"__proto__":{"a":1},"constructor":2}}',
    );
    expect(encodeJson('\ud800\0', 'v')).toBe('"\\ud800\\u0000"');
    expect(encodeJson(Object.assign(Object.create(null), { a: 1 }), 'v')).toBe('{"a":1}');
  });
});

describe('a queue by keys', () => {
  test('runs one task at a time for a key, in order, whatever became of the one before', async () => {
    const queue = new KeyedQueue();
    const log: string[] = [];
    const task =
      (name: string, fail = false) =>
      async () => {
        log.push(`${name} begins`);
        await Promise.resolve();
        log.push(`${name} ends`);
        if (fail) throw new Error(name);
        return name;
      };
    const results = await Promise.allSettled([
      queue.run('k', task('a', true)),
      queue.run('k', task('b')),
      queue.run('k', task('c')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  test('does not let keys wait for each other', async () => {
    const queue = new KeyedQueue();
    const never = new Promise<void>(() => {});
    void queue.run('stuck', () => never);
    expect(await queue.run('free', async () => 'done')).toBe('done');
  });
});
