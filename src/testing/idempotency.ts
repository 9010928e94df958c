import assert from 'node:assert/strict';
import type { Batch, Operation, Receipt } from '../core/store.ts';
import type { Test } from './suite.ts';
import {
  add,
  append,
  atLeast,
  commit,
  fails,
  follow,
  logValues,
  partition,
  put,
  settle,
  times,
  valueAt,
} from './words.ts';

export function idempotency(test: Test): void {
  const p = partition();
  const given = (...ids: string[]) => append(ids.map((id) => ({ id, value: JSON.stringify(id) })));
  const batch = (id: string, ...operations: Operation[]): Batch => ({ id, partition: p, operations });

  test('adds an entry once, however often it is appended', async ({ store }) => {
    const first = await commit(store, p, given('a', 'b'));
    const second = await commit(store, p, given('a', 'b'));
    assert.deepEqual(first.results[0], { seqs: [1, 2], count: 2 });
    assert.deepEqual(second.results[0], { seqs: [1, 2], count: 0 });
    assert.deepEqual(await logValues(store, p), ['a', 'b']);
  });

  test('adds only the entries of an append that are new', async ({ store }) => {
    await commit(store, p, given('a', 'b'));
    const { results } = await commit(store, p, given('x', 'b', 'y', 'a'));
    assert.deepEqual(results[0], { seqs: [3, 2, 4, 1], count: 2 });
    assert.deepEqual(await logValues(store, p), ['a', 'b', 'x', 'y']);
  });

  test('adds an entry once that stands twice in one append', async ({ store }) => {
    const { results } = await commit(store, p, given('a', 'a', 'b', 'a'));
    assert.deepEqual(results[0], { seqs: [1, 1, 2, 1], count: 2 });
  });

  test('adds an entry once that is appended many times at once', async ({ store }) => {
    const receipts = await Promise.all(times(30, () => commit(store, p, given('a'))));
    assert.deepEqual(
      receipts.map(({ results }) => results[0]!.seqs),
      times(30, () => [1]),
    );
    assert.equal(receipts.filter(({ results }) => results[0]!.count === 1).length, 1);
    assert.deepEqual(await logValues(store, p), ['a']);
  });

  test('takes the same id in another log or partition for another entry', async ({ store }) => {
    await commit(store, p, given('a'));
    await commit(store, p, { ...given('a'), log: 'other' });
    await commit(store, partition('q'), given('a'));
    assert.deepEqual(await logValues(store, p, {}, 'other'), ['a']);
    assert.deepEqual(await logValues(store, partition('q')), ['a']);
  });

  test('forgets the ids of entries that were truncated or dropped', async ({ store }) => {
    await commit(store, p, given('a', 'b', 'c'));
    await commit(store, p, { op: 'truncate', log: 'log', before: 2, after: 2 });
    assert.deepEqual((await commit(store, p, given('a', 'b', 'c'))).results[0], {
      seqs: [4, 2, 5],
      count: 2,
    });
    await commit(store, p, { op: 'drop' });
    assert.deepEqual((await commit(store, p, given('a'))).results[0], { seqs: [1], count: 1 });
  });

  test('keeps the first value of an entry, and its rewritten one', async ({ store }) => {
    await commit(store, p, given('a'));
    await commit(store, p, append([{ id: 'a', value: '"other"' }]));
    assert.deepEqual(await logValues(store, p), ['a']);
    await commit(store, p, { op: 'rewrite', log: 'log', seq: 1, value: '"new"' });
    await commit(store, p, given('a'));
    assert.deepEqual(await logValues(store, p), ['new']);
  });

  test(
    'knows the ids of entries after being opened again',
    async ({ store, open }) => {
      await commit(store, p, given('a', 'b'));
      await store.close();
      const again = await open();
      assert.deepEqual((await commit(again, p, given('b', 'c'))).results[0], { seqs: [2, 3], count: 1 });
    },
    'persistent',
  );

  test(
    'adds an entry once that is appended through two opened stores',
    async ({ store, open }) => {
      const other = await open();
      await Promise.all(times(30, (i) => commit(i % 2 ? store : other, p, given('a', `own${i}`))));
      const values = await logValues(store, p);
      assert.equal(values.length, 31);
      assert.equal(values.filter((value) => value === 'a').length, 1);
    },
    'shared',
  );

  test('commits a batch once, and gives the first receipt again', async ({ store }) => {
    const one = batch('b1', add('c', { n: 1 }), append(['x']), put('a', 1));
    const first = await store.commit(one);
    const second = await store.commit(one);
    assert.equal(first.replayed, false);
    assert.equal(second.replayed, true);
    assert.deepEqual(second.results, first.results);
    assert.deepEqual(await valueAt(store, p, 'c', 'count'), { n: 1 });
    assert.deepEqual(await logValues(store, p), ['x']);
  });

  test('commits a batch once that arrives many times at once', async ({ store }) => {
    const receipts = (await settle(
      times(30, () => batch('b1', add('c', { n: 1 }))),
      store,
    )) as Receipt[];
    assert.equal(receipts.filter(({ replayed }) => !replayed).length, 1);
    for (const { results } of receipts) assert.deepEqual({ ...results[0]!.counters }, { n: 1 });
    assert.deepEqual(await valueAt(store, p, 'c', 'count'), { n: 1 });
  });

  test('answers a batch again whose conditions hold no more', async ({ store }) => {
    const create = batch('create', put('a', 1, { ifVersion: 'absent' }));
    const first = await store.commit(create);
    const again = await store.commit(create);
    assert.deepEqual(again.results, first.results);
    await store.commit(batch('drop', { op: 'drop' }));
    assert.equal((await store.commit(batch('drop', { op: 'drop' }))).replayed, true);
    assert.deepEqual((await store.commit(batch('drop', { op: 'drop' }))).results, [{ count: 1 }]);
  });

  test('answers a batch again that had nothing to do', async ({ store }) => {
    const nothing = batch('none', { op: 'delete', kind: 'note', id: 'a' });
    assert.deepEqual((await store.commit(nothing)).results, [{ count: 0 }]);
    await commit(store, p, put('a', 1));
    const again = await store.commit(nothing);
    assert.equal(again.replayed, true);
    assert.equal(await valueAt(store, p, 'a'), 1);
  });

  test('does not remember a batch that failed', async ({ store }) => {
    await fails(store.commit(batch('b1', put('a', 1, { ifVersion: 'present' }))), 'conflict');
    const { replayed } = await store.commit(batch('b1', put('a', 2)));
    assert.equal(replayed, false);
    assert.equal(await valueAt(store, p, 'a'), 2);
  });

  test('takes the same id in another partition or tenant for another batch', async ({ store }) => {
    for (const at of [p, partition('q'), partition('p', 'other'), partition('p', 'default', 'thread')]) {
      const { replayed } = await store.commit({ id: 'b1', partition: at, operations: [put('a', at.tenant)] });
      assert.equal(replayed, false);
      assert.equal(await valueAt(store, at, 'a'), at.tenant);
    }
  });

  test('tells the id of a batch in the journal, once', async ({ store }) => {
    const { cursor } = await store.readChanges('newest', 1);
    await store.commit(batch('b1', put('a', 1)));
    await store.commit(batch('b1', put('a', 1)));
    await commit(store, p, put('a', 2));
    const { changes } = await follow(store, cursor, atLeast(2));
    assert.deepEqual(
      changes.map(({ batchId }) => batchId),
      ['b1', undefined],
    );
  });

  test(
    'knows batches after being opened again',
    async ({ store, open }) => {
      const first = await store.commit(batch('b1', add('c', { n: 1 })));
      await store.close();
      const again = await (await open()).commit(batch('b1', add('c', { n: 1 })));
      assert.deepEqual([again.replayed, again.results], [true, first.results]);
    },
    'persistent',
  );

  test(
    'commits a batch once that arrives through two opened stores',
    async ({ store, open }) => {
      const other = await open();
      const receipts = await Promise.all(
        times(20, (i) => (i % 2 ? store : other).commit(batch('b1', add('c', { n: 1 })))),
      );
      assert.equal(receipts.filter(({ replayed }) => !replayed).length, 1);
      assert.deepEqual(await valueAt(other, p, 'c', 'count'), { n: 1 });
    },
    'shared',
  );
}
