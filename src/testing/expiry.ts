import assert from 'node:assert/strict';
import { EXPIRY_INDEX, type IndexHit, type IndexRange, PARTITION_INDEX, type Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import {
  append,
  commit,
  fails,
  from,
  logValues,
  pages,
  partition,
  put,
  read,
  times,
  valueAt,
} from './words.ts';

export function expiry(test: Test): void {
  const p = partition();
  const query = (store: Store, range: Partial<IndexRange>) =>
    pages(
      (after) => store.queryIndex({ index: EXPIRY_INDEX, key: '', limit: 2, ...range, ...from(after) }),
      range.limit ?? 2,
    );
  const idsOf = (hits: readonly IndexHit[]) => hits.map((hit) => hit.partition.id);

  test('lists partitions by when they expire', async ({ store }) => {
    for (const [id, at] of Object.entries({ late: 3000, soon: 1000, later: 2000 })) {
      await commit(store, partition(id), put('a', 1), { op: 'expire', at });
    }
    await commit(store, partition('never'), put('a', 1));
    const hits = await query(store, {});
    assert.deepEqual(hits[0], { partition: partition('soon'), kind: '', id: '', order: 1000 });
    assert.deepEqual(idsOf(hits), ['soon', 'later', 'late']);
    assert.deepEqual(idsOf(await query(store, { to: 2000 })), ['soon', 'later']);
    assert.deepEqual(idsOf(await query(store, { reverse: true, limit: 1 })), ['late', 'later', 'soon']);
    assert.deepEqual(idsOf(await query(store, { tenant: 'other' })), []);
  });

  test('keeps a partition that expired until it is dropped', async ({ store }) => {
    await commit(store, p, put('a', 1), { op: 'expire', at: 1 });
    assert.equal(await valueAt(store, p, 'a'), 1);
    assert.deepEqual((await commit(store, p, { op: 'drop', ifExpiredAt: 1 })).results, [{ count: 1 }]);
    assert.equal(await read(store, p, 'a'), undefined);
    assert.deepEqual(await query(store, {}), []);
  });

  test('does not drop a partition that was renewed, or never expires', async ({ store }) => {
    await commit(store, p, put('a', 1));
    await fails(commit(store, p, { op: 'drop', ifExpiredAt: 5000 }), 'conflict');
    await commit(store, p, { op: 'expire', at: 1000 });
    await commit(store, p, { op: 'expire', at: 9000 });
    await fails(commit(store, p, { op: 'drop', ifExpiredAt: 5000 }), 'conflict');
    assert.deepEqual(
      (await query(store, {})).map(({ order }) => order),
      [9000],
    );
    await commit(store, p, { op: 'expire', at: null });
    assert.deepEqual(await query(store, {}), []);
    await fails(commit(store, p, { op: 'drop', ifExpiredAt: 10_000 }), 'conflict');
    assert.equal(await valueAt(store, p, 'a'), 1);
  });

  test('drops either the old partition or nothing when a renewal comes at the same time', async ({
    store,
  }) => {
    for (let round = 0; round < 10; round++) {
      const at = partition(`p${round}`);
      await commit(store, at, put('a', 1), { op: 'expire', at: 1000 });
      const [dropped, renewed] = await Promise.allSettled([
        commit(store, at, { op: 'drop', ifExpiredAt: 2000 }),
        commit(store, at, put('b', 1), { op: 'expire', at: 9000 }),
      ]);
      assert.equal(renewed.status, 'fulfilled');
      const kept = await valueAt(store, at, 'a');
      assert.equal(kept, dropped.status === 'fulfilled' ? undefined : 1);
      assert.equal(await valueAt(store, at, 'b'), 1);
    }
  });

  test('drops nothing where there is nothing', async ({ store }) => {
    assert.deepEqual((await commit(store, p, { op: 'drop', ifExpiredAt: 5 })).results, [{ count: 0 }]);
  });

  test('forgets all of a dropped partition, its expiry too', async ({ store }) => {
    await commit(store, p, put('a', 1), append([1, 2]), { op: 'expire', at: 5 });
    await commit(store, p, { op: 'drop' });
    assert.deepEqual(await store.listLogs(p), []);
    assert.deepEqual((await store.listRecords(p, undefined, { limit: 5 })).items, []);
    const { results } = await commit(store, p, append(['again']), put('a', 2, { ifVersion: 'absent' }));
    assert.deepEqual(results[0]!.seqs, [1]);
    assert.deepEqual(await logValues(store, p), ['again']);
    assert.deepEqual(await query(store, {}), []);
  });

  test('lists all partitions of a type, of one tenant or of all', async ({ store }) => {
    for (let i = 0; i < 5; i++) await commit(store, partition(`s${i}`), put('a', 1));
    await commit(store, partition('t0', 'default', 'thread'), append([1]));
    await commit(store, partition('s9', 'other'), { op: 'expire', at: 7 });
    const list = async (range: Partial<IndexRange>) =>
      idsOf(await query(store, { index: PARTITION_INDEX, key: 'session', ...range })).sort();
    assert.deepEqual(await list({}), [...times(5, (i) => `s${i}`), 's9']);
    assert.deepEqual(
      await list({ tenant: 'default' }),
      times(5, (i) => `s${i}`),
    );
    assert.deepEqual(await list({ tenant: 'other', limit: 1 }), ['s9']);
    assert.deepEqual(await list({ key: 'thread' }), ['t0']);
    assert.deepEqual(await list({ key: 'none' }), []);
    await commit(store, partition('s3'), { op: 'drop' });
    assert.deepEqual(await list({ tenant: 'default', reverse: true }), ['s0', 's1', 's2', 's4']);
  });

  test('refuses times that are no whole numbers', async ({ store }) => {
    for (const at of [0.5, Number.NaN, '5' as unknown as number, undefined as unknown as null]) {
      await fails(commit(store, p, { op: 'expire', at }), 'invalid-input');
    }
    await fails(commit(store, p, { op: 'drop', ifExpiredAt: Number.NaN }), 'invalid-input');
  });
}
