import assert from 'node:assert/strict';
import { type InvalidInputError, isHoldfastError } from '../core/errors.ts';
import type { Batch, Operation } from '../core/store.ts';
import { PARTITION_INDEX } from '../core/store.ts';
import type { Test } from './suite.ts';
import {
  add,
  append,
  atLeast,
  check,
  commit,
  fails,
  follow,
  logValues,
  partition,
  put,
  read,
  remove,
  settle,
  times,
  valueAt,
} from './words.ts';

export function atomicity(test: Test): void {
  const p = partition();

  test('commits all operations of a batch, and gives their results in its order', async ({ store }) => {
    await commit(store, p, put('old', 1), append(['a', 'b']));
    const { results, replayed } = await commit(
      store,
      p,
      check('old', 'present'),
      put('new', { text: 'hello' }),
      remove('old'),
      add('hits', { total: 2 }),
      append(['c'], { log: 'other' }),
      { op: 'rewrite', log: 'log', seq: 2, value: '"B"' },
    );
    assert.equal(replayed, false);
    assert.deepEqual(results[0], {});
    assert.equal(results[1]!.created, true);
    assert.deepEqual(results[2], { count: 1 });
    assert.deepEqual(results[3]!.counters, { total: 2 });
    assert.deepEqual(results[4], { seqs: [1], count: 1 });
    assert.equal(results[5]!.version, 2);
    assert.deepEqual(await valueAt(store, p, 'new'), { text: 'hello' });
    assert.equal(await read(store, p, 'old'), undefined);
    assert.deepEqual(await logValues(store, p), ['a', 'B']);
    assert.deepEqual(await logValues(store, p, {}, 'other'), ['c']);
  });

  const broken: Record<string, Operation> = {
    'a check': check('a', 'absent'),
    'a put': put('a', 2, { ifVersion: 'absent' }),
    'a put at a version': put('a', 2, { ifVersion: 987_654_321 }),
    'a delete': remove('none', { ifVersion: 'present' }),
    'an append': append(['late'], { ifLastSeq: 0 }),
    'an append at a seq': append(['late'], { startSeq: 1 }),
    'a rewrite': { op: 'rewrite', log: 'log', seq: 2, value: '0' },
    'a rewrite at a version': { op: 'rewrite', log: 'log', seq: 1, value: '0', ifVersion: 2 },
  };
  for (const [name, operation] of Object.entries(broken)) {
    test(`writes nothing where the condition of ${name} fails, first or last in the batch`, async ({
      store,
    }) => {
      const { cursor } = await commit(store, p, put('a', 1), append(['first']));
      const others: Operation[] = [
        put('b', 1),
        add('hits', { total: 1 }),
        append(['x'], { log: 'other' }),
        { op: 'expire', at: 5 },
      ];
      await fails(commit(store, p, ...others, operation), 'conflict');
      await fails(commit(store, p, operation, ...others), 'conflict');
      assert.equal(await valueAt(store, p, 'a'), 1);
      assert.equal(await read(store, p, 'b'), undefined);
      assert.equal(await read(store, p, 'hits', 'count'), undefined);
      assert.deepEqual(await store.listLogs(p), [{ log: 'log', firstSeq: 1, lastSeq: 1, count: 1 }]);
      // The next change that the journal tells is one that went through.
      await commit(store, p, put('last', 1));
      const { changes } = await follow(store, cursor, atLeast(1));
      assert.deepEqual(
        changes.map(({ operations }) => operations[0]).map((one) => one && 'id' in one && one.id),
        ['last'],
      );
    });
  }

  test('writes nothing where an operation is not possible', async ({ store }) => {
    await commit(store, p, { op: 'put', kind: 'count', id: 'document', value: '{}' });
    await fails(commit(store, p, put('b', 1), append(['x']), add('document', { total: 1 })), 'unsupported');
    assert.equal(await read(store, p, 'b'), undefined);
    assert.deepEqual(await store.listLogs(p), []);
  });

  test('lets a bad batch fail alone among many that arrive at once', async ({ store }) => {
    await commit(store, p, put('taken', 1));
    const batches = times(60, (i): Batch => {
      const good = append([i], { log: 'shared' });
      if (i % 6 === 1) return { partition: p, operations: [good, put('taken', i, { ifVersion: 'absent' })] };
      if (i % 6 === 3)
        return {
          partition: p,
          operations: [good, { op: 'add', kind: 'note', id: 'taken', deltas: { n: 1 } }],
        };
      if (i % 6 === 5) return { partition: p, operations: [good, put('bad\0id', i)] };
      return { partition: p, operations: [good] };
    });
    const outcomes = await settle(batches, store);
    const codes = outcomes.map((outcome) => (isHoldfastError(outcome) ? outcome.code : 'good'));
    const expected = ['good', 'conflict', 'good', 'unsupported', 'good', 'invalid-input'];
    assert.deepEqual(
      codes,
      batches.map((_, i) => expected[i % 6]),
    );
    const kept = (await logValues(store, p, {}, 'shared')) as number[];
    assert.deepEqual(
      kept.toSorted((a, b) => a - b),
      times(30, (i) => i * 2),
    );
    assert.equal(await valueAt(store, p, 'taken'), 1);
  });

  test('never shows half a batch to a reader', async ({ store }) => {
    await commit(store, p, put('left', 0), put('right', 0));
    const keys = ['left', 'right'].map((id) => ({ partition: p, kind: 'note', id }));
    for (let i = 1; i <= 30; i++) {
      const writing = commit(store, p, put('left', i), put('right', i));
      const reading = times(5, () => store.getRecords(keys));
      const [left, right] = await store.getRecords(keys);
      assert.equal(left!.value, right!.value);
      for (const [one, other] of await Promise.all(reading)) assert.equal(one!.value, other!.value);
      await writing;
    }
  });

  const twice: Record<string, Operation[]> = {
    'the same record': [put('a', 1), put('a', 2)],
    'a record and deletes it': [put('a', 1), remove('a')],
    'the same counter': [add('a', { n: 1 }), add('a', { n: 1 })],
    'the same log': [append([1]), append([2])],
    'a log and truncates it': [append([1]), { op: 'truncate', log: 'log', before: 1 }],
    'the expiry': [
      { op: 'expire', at: 1 },
      { op: 'expire', at: 2 },
    ],
  };
  for (const [name, operations] of Object.entries(twice)) {
    test(`refuses a batch that writes ${name} twice`, async ({ store }) => {
      await fails(commit(store, p, put('other', 1), ...operations), 'invalid-input');
      assert.equal(await read(store, p, 'other'), undefined);
    });
  }

  test('refuses a batch without operations', async ({ store }) => {
    await fails(commit(store, p), 'invalid-input');
  });

  test('refuses a drop beside other operations', async ({ store }) => {
    await commit(store, p, put('a', 1));
    await fails(commit(store, p, put('b', 1), { op: 'drop' }), 'invalid-input');
    assert.equal(await valueAt(store, p, 'a'), 1);
  });

  test('tells all that is wrong with a batch at once', async ({ store }) => {
    const error = await fails(commit(store, p, put('', 1), append([])), 'invalid-input');
    assert.ok((error as InvalidInputError).issues.length >= 2);
  });

  test('leaves no trace of a batch that had nothing to do', async ({ store }) => {
    const gone: Operation[][] = [
      [remove('a'), { op: 'truncate', log: 'log', before: 9 }, check('a', 'absent')],
      [{ op: 'drop' }],
    ];
    for (const operations of gone) {
      const { results } = await commit(store, p, ...operations);
      assert.deepEqual(
        results,
        operations.map(({ op }) => (op === 'check' ? {} : { count: 0 })),
      );
    }
    const { items } = await store.queryIndex({ index: PARTITION_INDEX, key: 'session', limit: 10 });
    assert.deepEqual(items, []);
    assert.deepEqual((await store.readChanges('oldest', 10)).changes, []);
  });

  test('commits 10,000 operations in one batch', async ({ store }) => {
    const { results } = await commit(store, p, ...times(10_000, (i) => put(`r${i}`, i)));
    assert.equal(results.length, 10_000);
    assert.equal(await valueAt(store, p, 'r9999'), 9999);
    const { items } = await store.listRecords(p, 'note', { limit: 10_000 });
    assert.equal(items.length, 10_000);
  });

  test('commits 10,000 entries in one batch', async ({ store }) => {
    const { results } = await commit(
      store,
      p,
      append(times(10_000, (i) => ({ id: `e${i}`, value: `${i}` }))),
    );
    assert.deepEqual(
      results[0]!.seqs,
      times(10_000, (i) => i + 1),
    );
    assert.deepEqual(await logValues(store, p, { reverse: true, limit: 2 }), [9999, 9998]);
    const { entries } = await store.readLog(p, 'log', { limit: 10, ids: ['e5000'] });
    assert.equal(entries[0]?.seq, 5001);
  });
}
