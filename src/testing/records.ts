import assert from 'node:assert/strict';
import type { RecordRange, Store, Stored } from '../core/store.ts';
import type { Test } from './suite.ts';
import { commit, fails, from, pages, partition, put, read, remove, times } from './words.ts';

export function records(test: Test): void {
  const p = partition();
  const list = (store: Store, range: RecordRange, kind?: string) =>
    pages((after) => store.listRecords(p, kind, { ...range, ...from(after) }), range.limit);
  const idsOf = (stored: readonly Stored[]) => stored.map(({ id }) => id);

  test('gives a record back as it was written', async ({ store }) => {
    const { version } = (await commit(store, p, put('a', { x: [1] }))).results[0]!;
    const expected = { partition: p, kind: 'note', id: 'a', value: '{"x":[1]}', version };
    assert.deepEqual(await read(store, p, 'a'), expected);
    assert.deepEqual((await store.listRecords(p, 'note', { limit: 5 })).items, [expected]);
  });

  test('gives records in the order of their keys, from any partition, and undefined for what is not there', async ({
    store,
  }) => {
    await commit(store, p, put('a', 1), put('b', 2));
    await commit(store, partition('q'), put('a', 3));
    const key = (id: string, at = p, kind = 'note') => ({ partition: at, kind, id });
    const found = await store.getRecords([
      key('b'),
      key('none'),
      key('a', partition('q')),
      key('a', p, 'other'),
      key('a', partition('none')),
      key('b'),
      key('a'),
    ]);
    assert.deepEqual(
      found.map((stored) => stored?.value),
      ['2', undefined, '3', undefined, undefined, '2', '1'],
    );
    assert.deepEqual(await store.getRecords([]), []);
  });

  test('lists records by kind and id, in the order of their bytes', async ({ store }) => {
    const ids = ['b', 'a', 'B', 'aa', 'é', '\uffff', '🦊', '10', '9', ' '];
    await commit(
      store,
      p,
      ...ids.map((id) => put(id, id)),
      put('x', 1, { kind: 'a-kind' }),
      put('x', 1, { kind: 'z' }),
    );
    const sorted = [' ', '10', '9', 'B', 'a', 'aa', 'b', 'é', '\uffff', '🦊'];
    assert.deepEqual(idsOf(await list(store, { limit: 100 }, 'note')), sorted);
    assert.deepEqual(idsOf(await list(store, { limit: 100 })), ['x', ...sorted, 'x']);
  });

  test('pages through records from either end, in pages of any size', async ({ store }) => {
    const ids = times(23, (i) => `r${String(i).padStart(2, '0')}`);
    await commit(store, p, ...ids.map((id) => put(id, 1)), put('zz', 1, { kind: 'other' }));
    for (const limit of [1, 2, 22, 23, 24, 100]) {
      assert.deepEqual(idsOf(await list(store, { limit }, 'note')), ids);
      assert.deepEqual(idsOf(await list(store, { limit, reverse: true }, 'note')), ids.toReversed());
      assert.deepEqual(idsOf(await list(store, { limit })), [...ids, 'zz']);
      assert.deepEqual(idsOf(await list(store, { limit, reverse: true })), ['zz', ...ids.toReversed()]);
    }
  });

  test('gives no next page after the last', async ({ store }) => {
    await commit(store, p, put('a', 1), put('b', 1));
    assert.equal((await store.listRecords(p, 'note', { limit: 2 })).next, undefined);
    assert.deepEqual(await store.listRecords(p, 'note', { limit: 0 }), { items: [] });
    assert.deepEqual(await store.listRecords(p, 'none', { limit: 5 }), { items: [] });
    assert.deepEqual(await store.listRecords(partition('none'), undefined, { limit: 5 }), { items: [] });
  });

  test('goes on paging where the last record of a page was deleted', async ({ store }) => {
    await commit(store, p, ...['a', 'b', 'c', 'd'].map((id) => put(id, 1)));
    for (const reverse of [false, true]) {
      const { items, next } = await store.listRecords(p, 'note', { limit: 2, reverse });
      await commit(store, p, remove(items[1]!.id));
      const rest = await store.listRecords(p, 'note', { limit: 5, reverse, after: next! });
      assert.deepEqual(idsOf(rest.items), reverse ? ['a'] : ['c', 'd']);
      await commit(store, p, put(items[1]!.id, 1));
      if (!reverse) await commit(store, p, remove('b'));
    }
  });

  test('refuses a page token that it did not give', async ({ store }) => {
    await commit(store, p, put('a', 1));
    for (const after of ['made up', '', 'W10', Buffer.from('["note"]').toString('base64url')]) {
      await fails(store.listRecords(p, 'note', { limit: 1, after }), 'invalid-input');
    }
  });
}
