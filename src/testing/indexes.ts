import assert from 'node:assert/strict';
import type { IndexEntry, IndexRange, Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import { add, commit, fails, from, pages, partition, put, remove, times } from './words.ts';

export function indexes(test: Test): void {
  const p = partition();
  const place = (order: number, key = 'k', index = 'by-time'): IndexEntry => ({ index, key, order });
  const indexed = (id: string, ...places: IndexEntry[]) => put(id, id, { indexes: places });
  const query = (store: Store, range: Partial<IndexRange> = {}) =>
    pages(
      (after) =>
        store.queryIndex({
          tenant: 'default',
          index: 'by-time',
          key: 'k',
          limit: 100,
          ...range,
          ...from(after),
        }),
      range.limit ?? 100,
    );
  const idsOf = async (store: Store, range: Partial<IndexRange> = {}) =>
    (await query(store, range)).map(({ id }) => id);

  test('finds records of all partitions by index and key, sorted by order', async ({ store }) => {
    await commit(store, p, indexed('a', place(30)), indexed('b', place(-2.5)));
    await commit(store, partition('q'), indexed('c', place(10)));
    await commit(
      store,
      partition('r'),
      indexed('d', place(1, 'other')),
      indexed('e', place(1, 'k', 'by-name')),
    );
    assert.deepEqual(await query(store), [
      { partition: p, kind: 'note', id: 'b', order: -2.5 },
      { partition: partition('q'), kind: 'note', id: 'c', order: 10 },
      { partition: p, kind: 'note', id: 'a', order: 30 },
    ]);
    assert.deepEqual(await idsOf(store, { reverse: true }), ['a', 'c', 'b']);
    assert.deepEqual(await idsOf(store, { key: 'other' }), ['d']);
    assert.deepEqual(await idsOf(store, { index: 'by-name' }), ['e']);
  });

  test('takes both bounds of the order as inclusive', async ({ store }) => {
    await commit(store, p, ...times(6, (i) => indexed(`r${i}`, place(i * 10))));
    assert.deepEqual(await idsOf(store, { from: 10, to: 30 }), ['r1', 'r2', 'r3']);
    assert.deepEqual(await idsOf(store, { from: 10, to: 30, reverse: true }), ['r3', 'r2', 'r1']);
    assert.deepEqual(await idsOf(store, { from: 41 }), ['r5']);
    assert.deepEqual(await idsOf(store, { to: 0 }), ['r0']);
    assert.deepEqual(await idsOf(store, { from: 11, to: 19 }), []);
    assert.deepEqual(await idsOf(store, { from: 30, to: 10 }), []);
  });

  test('replaces all entries of a record when it is put again', async ({ store }) => {
    await commit(store, p, indexed('a', place(1), place(2, 'other')));
    await commit(store, p, indexed('a', place(9), place(3, 'third')));
    assert.deepEqual(
      (await query(store)).map(({ order }) => order),
      [9],
    );
    assert.deepEqual(await idsOf(store, { key: 'other' }), []);
    assert.deepEqual(await idsOf(store, { key: 'third' }), ['a']);
    await commit(store, p, put('a', 'plain'));
    assert.deepEqual(await idsOf(store), []);
    assert.deepEqual(await idsOf(store, { key: 'third' }), []);
  });

  test('removes entries with their record and with their partition', async ({ store }) => {
    await commit(store, p, indexed('a', place(1)), indexed('b', place(2)));
    await commit(store, partition('q'), indexed('c', place(3)));
    await commit(store, p, remove('a'));
    assert.deepEqual(await idsOf(store), ['b', 'c']);
    await commit(store, p, { op: 'drop' });
    assert.deepEqual(await idsOf(store), ['c']);
    await commit(store, p, indexed('b', place(4)));
    assert.deepEqual(await idsOf(store), ['c', 'b']);
  });

  test('removes the entries of a record that becomes a counter', async ({ store }) => {
    await commit(store, p, put('c', 1, { kind: 'count', indexes: [place(1)] }));
    await commit(store, p, { op: 'delete', kind: 'count', id: 'c' });
    await commit(store, p, add('c', { n: 1 }));
    assert.deepEqual(await idsOf(store), []);
  });

  test('changes nothing in an index when the batch fails', async ({ store }) => {
    await commit(store, p, indexed('a', place(1)));
    await fails(commit(store, p, indexed('a', place(5)), put('b', 1, { ifVersion: 'present' })), 'conflict');
    assert.deepEqual(
      (await query(store)).map(({ order }) => order),
      [1],
    );
  });

  test('pages through an index from either end, also among equal orders', async ({ store }) => {
    for (let i = 0; i < 10; i++) {
      await commit(store, partition(`p${i}`), indexed('a', place(i % 3)), indexed('b', place(i % 3)));
    }
    const name = (hit: { partition: { id: string }; id: string }) => `${hit.partition.id}/${hit.id}`;
    const all = (await query(store)).map(name);
    assert.equal(new Set(all).size, 20);
    for (const limit of [1, 2, 7, 19, 20, 21]) {
      assert.deepEqual((await query(store, { limit })).map(name), all);
      assert.deepEqual((await query(store, { limit, reverse: true })).map(name), all.toReversed());
    }
    const middle = (await query(store, { limit: 1, from: 1, to: 1 })).map(({ order }) => order);
    assert.deepEqual(
      middle,
      times(6, () => 1),
    );
    assert.deepEqual(await store.queryIndex({ tenant: 'default', index: 'by-time', key: 'k', limit: 0 }), {
      items: [],
    });
  });

  test('takes the empty key for a key like any other', async ({ store }) => {
    await commit(store, p, indexed('a', place(1, '')), indexed('b', place(2, 'x')));
    assert.deepEqual(await idsOf(store, { key: '' }), ['a']);
  });

  test('keeps the indexes of tenants apart', async ({ store }) => {
    for (const tenant of ['default', 'other']) {
      await commit(store, partition('p', tenant), indexed(`of-${tenant}`, place(1)));
    }
    assert.deepEqual(await idsOf(store), ['of-default']);
    assert.deepEqual(await idsOf(store, { tenant: 'other' }), ['of-other']);
    assert.deepEqual(await idsOf(store, { tenant: 'third' }), []);
    await fails(store.queryIndex({ index: 'by-time', key: 'k', limit: 10 }), 'invalid-input');
  });

  test('refuses a reserved name, an order that is no number, and two places for one key', async ({
    store,
  }) => {
    await fails(commit(store, p, indexed('a', place(1, 'k', '$own'))), 'invalid-input');
    for (const order of [Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
      await fails(commit(store, p, indexed('a', place(order))), 'invalid-input');
    }
    await fails(commit(store, p, indexed('a', place(1), place(2))), 'invalid-input');
    assert.deepEqual(await idsOf(store), []);
  });

  test('refuses a page token that it did not give', async ({ store }) => {
    await fails(
      store.queryIndex({ tenant: 'default', index: 'by-time', key: 'k', limit: 1, after: 'made up' }),
      'invalid-input',
    );
  });

  test(
    'shows what another opened store indexed',
    async ({ store, open }) => {
      const other = await open();
      await commit(store, p, indexed('a', place(1)));
      assert.deepEqual(await idsOf(other), ['a']);
      await commit(other, p, indexed('a', place(2, 'moved')));
      assert.deepEqual(await idsOf(store), []);
      assert.deepEqual(await idsOf(store, { key: 'moved' }), ['a']);
    },
    'shared',
  );
}
