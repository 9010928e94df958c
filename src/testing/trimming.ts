import assert from 'node:assert/strict';
import type { Change, Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import {
  append,
  atLeast,
  commit,
  fails,
  follow,
  logValues,
  partition,
  put,
  remove,
  times,
  valueAt,
} from './words.ts';

export function trimming(test: Test): void {
  const p = partition();
  const fill = async (store: Store, count: number): Promise<Change[]> => {
    for (let i = 0; i < count; i++) await commit(store, p, put(`r${i}`, i), append([i]));
    return (await follow(store, 'oldest', atLeast(count))).changes;
  };
  const idsOf = (changes: readonly Change[]) =>
    changes.map(({ operations: [first] }) => (first && 'id' in first ? first.id : '?'));

  test('forgets the journal up to a cursor, and keeps the rest', async ({ store }) => {
    const changes = await fill(store, 6);
    await store.trimChanges(changes[2]!.cursor);
    assert.deepEqual(idsOf((await follow(store, 'oldest', atLeast(3))).changes), ['r3', 'r4', 'r5']);
    assert.deepEqual(idsOf((await follow(store, changes[2]!.cursor, atLeast(3))).changes), [
      'r3',
      'r4',
      'r5',
    ]);
    assert.deepEqual(idsOf((await follow(store, changes[4]!.cursor, atLeast(1))).changes), ['r5']);
  });

  test('keeps what comes after a cursor that it is told to keep', async ({ store }) => {
    const changes = await fill(store, 6);
    await store.trimChanges(changes[4]!.cursor, [changes[3]!.cursor, changes[1]!.cursor]);
    assert.deepEqual(idsOf((await follow(store, 'oldest', atLeast(4))).changes), ['r2', 'r3', 'r4', 'r5']);
    await store.trimChanges(changes[2]!.cursor, [changes[5]!.cursor]);
    assert.deepEqual(idsOf((await follow(store, 'oldest', atLeast(3))).changes), ['r3', 'r4', 'r5']);
  });

  test('keeps nothing for a cursor that has expired, or that another store gave', async ({ store }) => {
    const changes = await fill(store, 6);
    await store.trimChanges(changes[2]!.cursor);
    await store.trimChanges(changes[4]!.cursor, [changes[0]!.cursor, 'made-up', '', '9'.repeat(300)]);
    assert.deepEqual(idsOf((await follow(store, 'oldest', atLeast(1))).changes), ['r5']);
  });

  test('keeps for each of many partitions what one consumer has not read yet', async ({ store }) => {
    const places = times(8, (i) => partition(`p${i}`));
    for (const at of places) await commit(store, at, put('first', 1));
    const read = (await follow(store, 'oldest', atLeast(8))).cursor;
    for (const at of places) await commit(store, at, put('second', 2));
    const { cursor } = await follow(store, read, atLeast(8));
    await store.trimChanges(cursor, [read]);
    const { changes } = await follow(store, read, atLeast(8));
    assert.deepEqual(
      idsOf(changes),
      times(8, () => 'second'),
    );
  });

  test('says so when a cursor is older than what is kept', async ({ store }) => {
    const start = await store.readChanges('newest', 1);
    const changes = await fill(store, 6);
    await store.trimChanges(changes[3]!.cursor);
    for (const cursor of [start.cursor, changes[0]!.cursor, changes[2]!.cursor]) {
      await fails(store.readChanges(cursor, 10), 'cursor-expired');
      await fails(store.waitForChanges(cursor), 'cursor-expired');
      await fails(store.trimChanges(cursor), 'cursor-expired');
    }
  });

  test('is trimmed in the middle of commits that were made at once', async ({ store }) => {
    await Promise.all(times(20, (i) => commit(store, p, put(`r${i}`, i))));
    const all = (await follow(store, 'oldest', atLeast(20))).changes;
    for (const at of [4, 5, 11, 19]) {
      await store.trimChanges(all[at]!.cursor);
      const rest = all.slice(at + 1);
      assert.deepEqual((await follow(store, 'oldest', atLeast(rest.length))).changes, rest);
      await fails(store.readChanges(all[at - 1]!.cursor, 1), 'cursor-expired');
    }
  });

  test('goes on after all of it was trimmed', async ({ store }) => {
    const changes = await fill(store, 3);
    const { cursor } = changes.at(-1)!;
    await store.trimChanges(cursor);
    await store.trimChanges(cursor);
    assert.deepEqual((await store.readChanges('oldest', 10)).changes, []);
    assert.deepEqual((await store.readChanges(cursor, 10)).changes, []);
    assert.deepEqual((await store.readChanges('newest', 10)).changes, []);
    await commit(store, p, put('new', 1));
    assert.deepEqual(idsOf((await follow(store, cursor, atLeast(1))).changes), ['new']);
    assert.deepEqual(idsOf((await follow(store, 'oldest', atLeast(1))).changes), ['new']);
  });

  test('loses no data, order or version when trimmed', async ({ store }) => {
    const changes = await fill(store, 5);
    const version = (await commit(store, p, put('v', 1))).results[0]!.version!;
    await commit(store, p, remove('v'));
    const { cursor } = await follow(store, changes.at(-1)!.cursor, atLeast(2));
    await store.trimChanges(cursor);
    assert.equal(await valueAt(store, p, 'r3'), 3);
    assert.deepEqual(await logValues(store, p), [0, 1, 2, 3, 4]);
    const { results } = await commit(store, p, append(['next']), put('v', 2));
    assert.deepEqual(results[0]!.seqs, [6]);
    assert.ok(results[1]!.version! > version);
  });

  test('keeps the names of dropped partitions for as long as it speaks of them', async ({ store }) => {
    const batches = times(6, (i) => [
      commit(store, partition(`p${i}`), append([1, 2, 3])),
      commit(store, partition(`p${i}`), { op: 'drop' }),
    ]);
    await Promise.all(batches.flat());
    await commit(store, p, put('last', 1));
    const ended = (changes: readonly Change[]) => idsOf(changes).includes('last');
    const all = (await follow(store, 'oldest', ended)).changes;
    for (let at = 0; at < all.length - 1; at++) {
      await store.trimChanges(all[at]!.cursor);
      assert.deepEqual((await follow(store, 'oldest', ended)).changes, all.slice(at + 1));
    }
  });

  test(
    'stays trimmed after being opened again',
    async ({ store, open }) => {
      const changes = await fill(store, 5);
      await store.trimChanges(changes[2]!.cursor);
      await store.close();
      const again = await open();
      assert.deepEqual(idsOf((await follow(again, 'oldest', atLeast(2))).changes), ['r3', 'r4']);
      await fails(again.readChanges(changes[0]!.cursor, 1), 'cursor-expired');
      assert.deepEqual((await commit(again, p, append(['x']))).results[0]!.seqs, [6]);
    },
    'persistent',
  );

  test(
    'is trimmed at once for another opened store that has just read',
    async ({ store, open }) => {
      const other = await open();
      const { cursor } = (await fill(store, 3))[1]!;
      for (let round = 0; round < 10; round++) {
        await other.getRecords([{ partition: p, kind: 'note', id: 'r0' }]);
        await store.trimChanges(cursor);
        assert.deepEqual(idsOf((await follow(other, 'oldest', atLeast(1))).changes), ['r2']);
      }
    },
    'shared',
  );

  test(
    'hides nothing from another opened store that had not read so far',
    async ({ store, open }) => {
      const other = await open();
      await commit(other, p, put('r0', 'old'), append(['start']));
      const old = (await other.getRecords([{ partition: p, kind: 'note', id: 'r0' }]))[0]!;
      for (let i = 0; i < 10; i++) await commit(store, p, put('r0', i), append([i]));
      await store.trimChanges((await store.readChanges('newest', 1)).cursor);
      await commit(store, partition('elsewhere'), put('x', 1));
      await fails(commit(other, p, put('r0', 'lost', { ifVersion: old.version })), 'conflict');
      assert.deepEqual((await commit(other, p, append(['end']))).results[0]!.seqs, [12]);
      assert.deepEqual(await logValues(store, p, { after: 10 }), [9, 'end']);
    },
    'shared',
  );
}
