import assert from 'node:assert/strict';
import type { Test } from './suite.ts';
import { add, commit, fails, partition, put, read, times, valueAt } from './words.ts';

export function counters(test: Test): void {
  const p = partition();

  test('starts at zero and gives the fields as they are now', async ({ store }) => {
    const first = (await commit(store, p, add('c', { a: 2, b: -3 }))).results[0]!;
    assert.equal(first.created, true);
    assert.deepEqual(first.counters, { a: 2, b: -3 });
    const second = (await commit(store, p, add('c', { b: 0.5, c: 7 }))).results[0]!;
    assert.equal(second.created, false);
    assert.deepEqual({ ...second.counters }, { a: 2, b: -2.5, c: 7 });
    assert.ok(second.version! > first.version!);
    const stored = await read(store, p, 'c', 'count');
    assert.equal(stored?.version, second.version);
    assert.deepEqual(JSON.parse(stored!.value), { a: 2, b: -2.5, c: 7 });
  });

  test('counts 1,000 concurrent increments as 1,000', async ({ store }) => {
    const receipts = await Promise.all(times(1000, () => commit(store, p, add('c', { n: 1 }))));
    assert.deepEqual(await valueAt(store, p, 'c', 'count'), { n: 1000 });
    const seen = receipts.map(({ results }) => results[0]!.counters!.n!);
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      times(1000, (i) => i + 1),
    );
  });

  test(
    'counts 1,000 concurrent increments through two opened stores as 1,000',
    async ({ store, open }) => {
      const other = await open();
      await Promise.all(times(1000, (i) => commit(i % 2 ? store : other, p, add('c', { n: 1 }))));
      assert.deepEqual(await valueAt(store, p, 'c', 'count'), { n: 1000 });
      assert.deepEqual(await valueAt(other, p, 'c', 'count'), { n: 1000 });
    },
    'shared',
  );

  test('counts exactly as far as whole numbers are exact', async ({ store }) => {
    const most = Number.MAX_SAFE_INTEGER;
    await commit(store, p, add('c', { n: most - 1, m: -most }));
    const { counters: now } = (await commit(store, p, add('c', { n: 1, m: most }))).results[0]!;
    assert.deepEqual({ ...now }, { n: most, m: 0 });
  });

  test('does not add to a record that is no counter', async ({ store }) => {
    await commit(store, p, put('c', { n: 1 }, { kind: 'count' }));
    await fails(commit(store, p, add('c', { n: 1 })), 'unsupported');
    assert.deepEqual(await valueAt(store, p, 'c', 'count'), { n: 1 });
  });

  test('starts again at zero when a counter was deleted', async ({ store }) => {
    await commit(store, p, add('c', { n: 5 }));
    await commit(store, p, { op: 'delete', kind: 'count', id: 'c' });
    const { created, counters: now } = (await commit(store, p, add('c', { n: 1 }))).results[0]!;
    assert.equal(created, true);
    assert.deepEqual(now, { n: 1 });
  });

  test('makes a document of a counter that is put', async ({ store }) => {
    await commit(store, p, add('c', { n: 5 }));
    await commit(store, p, put('c', { text: 'x' }, { kind: 'count' }));
    assert.deepEqual(await valueAt(store, p, 'c', 'count'), { text: 'x' });
    await fails(commit(store, p, add('c', { n: 1 })), 'unsupported');
  });

  test('refuses what is no number, and sums beyond all numbers', async ({ store }) => {
    for (const n of [Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
      await fails(commit(store, p, add('c', { n })), 'invalid-input');
    }
    await commit(store, p, add('c', { n: Number.MAX_VALUE }));
    await fails(commit(store, p, put('other', 1), add('c', { n: Number.MAX_VALUE })), 'invalid-input');
    assert.deepEqual(await valueAt(store, p, 'c', 'count'), { n: Number.MAX_VALUE });
    assert.equal(await read(store, p, 'other'), undefined);
  });
}
