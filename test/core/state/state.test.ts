import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { deepMerge } from '../../../src/core/state/merge.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../../../src/index.ts';
import { newSession, onEverySharedStore, onEveryStore } from '../../support/engines.ts';

const key = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toString', 'hasOwnProperty');
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Json>(null, 1, 'x', true, [], {}),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 3 }).map((fields) => Object.fromEntries(fields)),
  ),
}));
const document = fc
  .array(fc.tuple(key, value), { maxLength: 5 })
  .map((fields): JsonObject => Object.fromEntries(fields));

/** A document as the plain values at its paths; a path's end is a value, an array or an empty object. */
function leaves(json: Json, path: string[] = []): Map<string, Json> {
  const object = typeof json === 'object' && json !== null && !Array.isArray(json);
  if (!object || Object.keys(json).length === 0) return new Map([[JSON.stringify(path), json]]);
  return new Map(Object.entries(json).flatMap(([field, inner]) => [...leaves(inner, [...path, field])]));
}

/** The reference: sets one value at a path, and makes an object of whatever is in its way. */
function put(json: JsonObject, [field, ...rest]: string[], leaf: Json): void {
  const before = Object.hasOwn(json, field!) ? json[field!] : undefined;
  const isObject = typeof before === 'object' && before !== null && !Array.isArray(before);
  let now: Json = leaf;
  if (rest.length > 0) {
    now = isObject ? before : {};
    put(now, rest, leaf);
  } else if (isObject && JSON.stringify(leaf) === '{}') now = before;
  Object.defineProperty(json, field!, { value: now, enumerable: true, configurable: true, writable: true });
}

test('a merge is the document with every value of the patch put at its path', () => {
  fc.assert(
    fc.property(document, document, (before, patch) => {
      const [was, given] = [JSON.stringify(before), JSON.stringify(patch)];
      const merged = deepMerge(before, patch);
      expect([JSON.stringify(before), JSON.stringify(patch)]).toEqual([was, given]);
      const expected = JSON.parse(was) as JsonObject;
      if (given !== '{}') for (const [path, leaf] of leaves(patch)) put(expected, JSON.parse(path), leaf);
      // Compared as text: `__proto__` must be a field in both.
      expect(JSON.stringify(merged)).toBe(JSON.stringify(expected));
    }),
    { numRuns: 500 },
  );
});

test('a merge makes __proto__ a field like any other', () => {
  const merged = deepMerge({ a: 1 }, JSON.parse('{"__proto__": {"polluted": true}}'));
  expect(Object.keys(merged)).toEqual(['a', '__proto__']);
  expect((merged as { polluted?: unknown }).polluted).toBeUndefined();
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

onEveryStore('state', (open) => {
  test('is an empty document at version 0 until it is written', async () => {
    const engine = await open();
    await newSession(engine);
    expect(await engine.state.get('s')).toEqual({ value: {}, version: 0 });
    await expect(engine.state.get('none')).rejects.toThrow(NotFoundError);
    await expect(engine.state.set('none', 'a', 1)).rejects.toThrow(NotFoundError);
  });

  test('is merged deeply: arrays are replaced, null is kept', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.state.set('s', 'a', { b: [1, 2], c: { d: 1 } });
    const merged = await engine.state.merge('s', { a: { b: [3], c: { e: null } }, f: null });
    expect(merged.value).toEqual({ a: { b: [3], c: { d: 1, e: null } }, f: null });
    expect(await engine.state.get('s')).toEqual(merged);
    expect((await engine.state.delete('s', 'a')).value).toEqual({ f: null });
    expect((await engine.state.delete('s', 'none')).value).toEqual({ f: null });
    expect((await engine.state.delete('s')).value).toEqual({});
  });

  test('keeps hostile keys exactly', async () => {
    const engine = await open();
    await newSession(engine);
    for (const name of ['__proto__', 'constructor', '../x', '%', '*', '{}']) {
      await engine.state.set('s', name, { polluted: name });
      await engine.state.merge('s', JSON.parse(`{${JSON.stringify(name)}: {"more": 1}}`));
    }
    const { value: stored } = await engine.state.get('s');
    expect(Object.entries(stored)).toContainEqual(['__proto__', { polluted: '__proto__', more: 1 }]);
    expect(Object.keys(stored)).toHaveLength(6);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('is written at one version only, where that is asked for', async () => {
    const engine = await open();
    await newSession(engine);
    const first = await engine.state.merge('s', { a: 1 }, { ifVersion: 0 });
    await expect(engine.state.merge('s', { a: 2 }, { ifVersion: 0 })).rejects.toMatchObject({
      code: 'conflict',
      currentVersion: first.version,
    });
    const attempts = Array.from({ length: 5 }, (_, i) =>
      engine.state.set('s', 'a', i, { ifVersion: first.version }),
    );
    const won = (await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled');
    expect(won).toHaveLength(1);
    await expect(engine.state.delete('s', 'a', { ifVersion: first.version })).rejects.toThrow(ConflictError);
    await expect(engine.state.set('s', 'a', 1, { ifVersion: -1 })).rejects.toThrow(InvalidInputError);
  });

  test('loses nothing of concurrent merges of different fields', async () => {
    const engine = await open();
    await newSession(engine);
    await Promise.all(Array.from({ length: 60 }, (_, i) => engine.state.merge('s', { shared: { [i]: i } })));
    expect(Object.keys((await engine.state.get('s')).value.shared as object)).toHaveLength(60);
  });

  test('has 1 MiB at most: what is more leaves the old value', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.state.set('s', 'a', 'x'.repeat(600 * 1024));
    await expect(engine.state.set('s', 'b', 'x'.repeat(600 * 1024))).rejects.toThrow(/the limit is 1048576/);
    await expect(engine.state.merge('s', { c: new Map() })).rejects.toThrow(/patch\.c: a Map is not JSON/);
    expect(Object.keys((await engine.state.get('s')).value)).toEqual(['a']);
  });

  test('does not follow what the caller does to its objects afterwards', async () => {
    const engine = await open();
    await newSession(engine);
    const mine = { list: [1] };
    const write = engine.state.set('s', 'a', mine);
    mine.list.push(2);
    expect((await write).value).toEqual({ a: { list: [1] } });
  });
});

onEverySharedStore('state in several processes', (place) => {
  test('state merged by two processes at once loses nothing', async () => {
    const open = await place();
    const engines = [await open(), await open()];
    await newSession(engines[0]!);
    const merges = engines.flatMap((engine, e) =>
      Array.from({ length: 40 }, (_, i) => engine.state.merge('s', { [`${e}.${i}`]: { deep: i } })),
    );
    await Promise.all(merges);
    for (const engine of engines) expect(Object.keys((await engine.state.get('s')).value)).toHaveLength(80);
  });
});
