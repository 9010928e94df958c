import assert from 'node:assert/strict';
import type { ConflictError } from '../core/errors.ts';
import type { LogBounds, Operation, Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import { append, commit, fails, logValues, pageLog, partition, times } from './words.ts';

export function logEnds(test: Test): void {
  const p = partition();
  const truncate = (range: { before?: number; after?: number; ifLastSeq?: number }): Operation => ({
    op: 'truncate',
    log: 'log',
    ...range,
  });
  const rewrite = (seq: number, value: unknown, more: object = {}): Operation => {
    return { op: 'rewrite', log: 'log', seq, value: JSON.stringify(value), ...more };
  };
  const fill = (store: Store, count: number) => commit(store, p, append(times(count, (i) => i + 1)));
  /** The log's values are its seqs: checks them from both ends, page by page, and its bounds. */
  const expectSeqs = async (store: Store, seqs: readonly number[], bounds: Partial<LogBounds>) => {
    for (const limit of [1, 3, 100]) {
      const forward = await pageLog(store, p, { limit });
      assert.deepEqual(
        forward.map(({ seq }) => seq),
        seqs,
      );
      const backward = await pageLog(store, p, { limit, reverse: true });
      assert.deepEqual(backward, forward.toReversed());
    }
    const { entries: _, ...found } = await store.readLog(p, 'log', { limit: 0 });
    assert.deepEqual({ ...found }, { ...found, ...bounds, count: seqs.length });
  };

  test('truncates the oldest entries', async ({ store }) => {
    await fill(store, 10);
    assert.deepEqual((await commit(store, p, truncate({ before: 4 }))).results, [{ count: 3 }]);
    await expectSeqs(store, [4, 5, 6, 7, 8, 9, 10], { firstSeq: 4, lastSeq: 10 });
    assert.deepEqual((await commit(store, p, truncate({ before: 4 }))).results, [{ count: 0 }]);
  });

  test('truncates the newest entries, and gives their seqs to no other', async ({ store }) => {
    await fill(store, 10);
    assert.deepEqual((await commit(store, p, truncate({ after: 7 }))).results, [{ count: 3 }]);
    await expectSeqs(store, [1, 2, 3, 4, 5, 6, 7], { firstSeq: 1, lastSeq: 10 });
    assert.deepEqual((await commit(store, p, append(['x']))).results[0]!.seqs, [11]);
    await expectSeqs(store, [1, 2, 3, 4, 5, 6, 7, 11], { firstSeq: 1, lastSeq: 11 });
  });

  test('truncates both ends at once', async ({ store }) => {
    await fill(store, 10);
    assert.deepEqual((await commit(store, p, truncate({ before: 4, after: 6 }))).results, [{ count: 7 }]);
    await expectSeqs(store, [4, 5, 6], { firstSeq: 4, lastSeq: 10 });
  });

  for (const range of [{ before: 99 }, { after: 0 }, { before: 6, after: 5 }, { before: 8, after: 3 }]) {
    test(`empties a log by truncating ${JSON.stringify(range)}, and goes on counting`, async ({ store }) => {
      await fill(store, 10);
      assert.deepEqual((await commit(store, p, truncate(range))).results, [{ count: 10 }]);
      await expectSeqs(store, [], { firstSeq: 11, lastSeq: 10 });
      await commit(store, p, append(['x', 'y']));
      await expectSeqs(store, [11, 12], { firstSeq: 11, lastSeq: 12 });
      await commit(store, p, truncate({ after: 11 }));
      await expectSeqs(store, [11], { firstSeq: 11, lastSeq: 12 });
    });
  }

  test('reads over wide holes from either end', async ({ store }) => {
    const kept: number[] = [];
    for (let round = 0; round < 4; round++) {
      const { seqs } = (await fill(store, 300)).results[0]!;
      await commit(store, p, truncate({ after: seqs![4]! }));
      kept.push(...seqs!.slice(0, 5));
    }
    await expectSeqs(store, kept, { firstSeq: 1, lastSeq: 1200 });
    await commit(store, p, truncate({ before: 400 }));
    await expectSeqs(store, kept.slice(10), { firstSeq: 601, lastSeq: 1200 });
    const across = await store.readLog(p, 'log', { limit: 2, after: 603, before: 903 });
    assert.deepEqual(
      across.entries.map(({ seq }) => seq),
      [604, 605],
    );
    const back = await store.readLog(p, 'log', { limit: 3, before: 902, reverse: true });
    assert.deepEqual(
      back.entries.map(({ seq }) => seq),
      [901, 605, 604],
    );
  });

  test('forgets marks and ids of truncated entries', async ({ store }) => {
    const marked = times(6, (i) => ({ id: `e${i + 1}`, value: `${i + 1}`, mark: 'm' }));
    await commit(store, p, append(marked));
    await commit(store, p, truncate({ before: 3, after: 4 }));
    assert.deepEqual(await logValues(store, p, { mark: 'm' }), [3, 4]);
    assert.deepEqual(await logValues(store, p, { ids: ['e1', 'e3', 'e6'] }), [3]);
  });

  test('truncates a long log bit by bit', async ({ store }) => {
    await fill(store, 500);
    for (const before of [2, 64, 65, 66, 200, 499]) {
      await commit(store, p, truncate({ before }));
      const { firstSeq, count, entries } = await store.readLog(p, 'log', { limit: 1 });
      assert.deepEqual([firstSeq, count, entries[0]?.seq], [before, 501 - before, before]);
    }
    await expectSeqs(store, [499, 500], { firstSeq: 499, lastSeq: 500 });
  });

  test('truncates only at the end that it was told', async ({ store }) => {
    await fill(store, 5);
    const error = await fails(commit(store, p, truncate({ after: 2, ifLastSeq: 4 })), 'conflict');
    assert.equal((error as ConflictError).currentVersion, 5);
    await expectSeqs(store, [1, 2, 3, 4, 5], { lastSeq: 5 });
    assert.deepEqual((await commit(store, p, truncate({ after: 2, ifLastSeq: 5 }))).results, [{ count: 3 }]);
    // The end is the last seq that was given out, whether or not its entry is there.
    await fails(commit(store, p, truncate({ after: 1, ifLastSeq: 2 })), 'conflict');
    await commit(store, p, truncate({ after: 1, ifLastSeq: 5 }));
    await expectSeqs(store, [1], { lastSeq: 5 });
    await fails(
      commit(store, p, { ...truncate({ after: 1, ifLastSeq: 1 }), log: 'none' } as Operation),
      'conflict',
    );
    await fails(commit(store, p, truncate({ after: 1, ifLastSeq: 0.5 })), 'invalid-input');
  });

  test('refuses a truncation that says no end', async ({ store }) => {
    await fill(store, 1);
    await fails(commit(store, p, truncate({})), 'invalid-input');
    await fails(commit(store, p, truncate({ before: 1.5 })), 'invalid-input');
  });

  test('starts a log at a given seq', async ({ store }) => {
    const { results } = await commit(store, p, append(['a', 'b'], { startSeq: 41 }));
    assert.deepEqual(results[0]!.seqs, [41, 42]);
    await expectSeqs(store, [41, 42], { firstSeq: 41, lastSeq: 42 });
  });

  test('goes on at a given seq beyond the last, and leaves a hole', async ({ store }) => {
    await fill(store, 2);
    const { results } = await commit(store, p, append(['a', 'b'], { startSeq: 100, ifLastSeq: 2 }));
    assert.deepEqual(results[0], { seqs: [100, 101], count: 2 });
    await commit(store, p, append(['c'], { startSeq: 102 }));
    await expectSeqs(store, [1, 2, 100, 101, 102], { firstSeq: 1, lastSeq: 102 });
  });

  test('does not go on at a seq that was given out, also when its entry is gone', async ({ store }) => {
    await fill(store, 5);
    await commit(store, p, truncate({ after: 2 }));
    for (const startSeq of [1, 3, 5]) {
      const error = await fails(commit(store, p, append(['x'], { startSeq })), 'conflict');
      assert.equal((error as ConflictError).currentVersion, 5);
    }
    for (const startSeq of [0, -1, 1.5])
      await fails(commit(store, p, append(['x'], { startSeq })), 'invalid-input');
  });

  test('leaves no hole for a given seq when all entries are there already', async ({ store }) => {
    const entries = [{ id: 'a', value: '1' }];
    await commit(store, p, append(entries));
    const { results } = await commit(store, p, append(entries, { startSeq: 50 }));
    assert.deepEqual(results[0], { seqs: [1], count: 0 });
    assert.deepEqual((await commit(store, p, append(['x']))).results[0]!.seqs, [2]);
  });

  test('appends only at the end that it was told', async ({ store }) => {
    await commit(store, p, append(['a'], { ifLastSeq: 0 }));
    const error = await fails(commit(store, p, append(['b'], { ifLastSeq: 0 })), 'conflict');
    assert.equal((error as ConflictError).currentVersion, 1);
    await commit(store, p, truncate({ after: 0 }));
    await fails(commit(store, p, append(['b'], { ifLastSeq: 0 })), 'conflict');
    assert.deepEqual((await commit(store, p, append(['b'], { ifLastSeq: 1 }))).results[0]!.seqs, [2]);
  });

  test('rewrites an entry in place', async ({ store }) => {
    await commit(store, p, append([{ id: 'a', value: '1', mark: 'm' }, { value: '2' }]));
    assert.deepEqual((await commit(store, p, rewrite(1, 'one'))).results, [{ version: 2 }]);
    assert.deepEqual((await commit(store, p, rewrite(1, 'uno', { ifVersion: 2 }))).results, [{ version: 3 }]);
    const { entries, lastSeq } = await store.readLog(p, 'log', { limit: 5 });
    assert.deepEqual(entries[0], { seq: 1, id: 'a', value: '"uno"', version: 3, mark: 'm' });
    assert.deepEqual([entries.length, lastSeq], [2, 2]);
    assert.deepEqual(await logValues(store, p, { ids: ['a'] }), ['uno']);
  });

  test('keeps, changes and takes away the mark of a rewritten entry', async ({ store }) => {
    await commit(
      store,
      p,
      append([
        { value: '1', mark: 'm' },
        { value: '2', mark: 'm' },
      ]),
    );
    await commit(store, p, rewrite(1, 1, { mark: 'n' }));
    assert.deepEqual(await logValues(store, p, { mark: 'm' }), [2]);
    assert.deepEqual(await logValues(store, p, { mark: 'n' }), [1]);
    await commit(store, p, rewrite(2, 2, { mark: null }));
    assert.deepEqual(await logValues(store, p, { mark: 'm' }), []);
    await commit(store, p, rewrite(2, 2, { mark: 'n' }));
    await commit(store, p, rewrite(2, 22));
    assert.deepEqual(await logValues(store, p, { mark: 'n' }), [1, 22]);
    await fails(commit(store, p, rewrite(2, 2, { mark: '' })), 'invalid-input');
  });

  test('does not rewrite an entry that is not there', async ({ store }) => {
    await fails(commit(store, p, rewrite(1, 'x')), 'conflict');
    await fill(store, 5);
    await commit(store, p, truncate({ before: 2, after: 4 }));
    for (const seq of [1, 5, 6]) await fails(commit(store, p, rewrite(seq, 'x')), 'conflict');
    await commit(store, p, append(['new']));
    await fails(commit(store, p, rewrite(5, 'x')), 'conflict');
    await commit(store, p, rewrite(6, 'x'));
    assert.deepEqual(await logValues(store, p), [2, 3, 4, 'x']);
  });

  test(
    'keeps holes, bounds and rewritten entries when opened again',
    async ({ store, open }) => {
      await fill(store, 10);
      await commit(store, p, truncate({ before: 3, after: 6 }));
      await commit(store, p, rewrite(4, 'four'), append(['x'], { log: 'other' }));
      await store.close();
      const again = await open();
      await expectSeqs(again, [3, 4, 5, 6], { firstSeq: 3, lastSeq: 10 });
      assert.deepEqual(await logValues(again, p), [3, 'four', 5, 6]);
      await commit(again, p, append(['y']));
      await expectSeqs(again, [3, 4, 5, 6, 11], { firstSeq: 3, lastSeq: 11 });
    },
    'persistent',
  );

  test(
    'sees at once what another opened store truncated, rewrote or dropped',
    async ({ store, open }) => {
      const other = await open();
      await fill(store, 10);
      await expectSeqs(
        other,
        times(10, (i) => i + 1),
        { lastSeq: 10 },
      );
      await commit(other, p, truncate({ before: 3, after: 8 }));
      await expectSeqs(store, [3, 4, 5, 6, 7, 8], { firstSeq: 3, lastSeq: 10 });
      await commit(store, p, append(['x']), append(['z'], { log: 'second' }));
      await commit(other, p, rewrite(11, 'y'));
      assert.deepEqual(await logValues(store, p, { after: 8 }), ['y']);
      await commit(store, p, { op: 'drop' });
      await expectSeqs(other, [], { firstSeq: 1, lastSeq: 0 });
      await commit(other, p, append(['again']));
      await expectSeqs(store, [1], { firstSeq: 1, lastSeq: 1 });
    },
    'shared',
  );
}
