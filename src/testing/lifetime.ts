import assert from 'node:assert/strict';
import type { Store, TextQuery } from '../core/store.ts';
import type { Test } from './suite.ts';
import { append, commit, fails, logValues, partition, put, times } from './words.ts';

export function lifetime(test: Test): void {
  const p = partition();
  const within = { partition: p };
  const query: TextQuery = { tenant: 'default', collection: 'c', within, terms: ['a'], limit: 1 };

  const calls: Record<string, (store: Store) => Promise<unknown>> = {
    commit: (store) => commit(store, p, put('a', 1)),
    getRecords: (store) => store.getRecords([{ partition: p, kind: 'note', id: 'a' }]),
    listRecords: (store) => store.listRecords(p, 'note', { limit: 1 }),
    listLogs: (store) => store.listLogs(p),
    readLog: (store) => store.readLog(p, 'log', { limit: 1 }),
    queryIndex: (store) => store.queryIndex({ tenant: 'default', index: 'i', key: 'k', limit: 1 }),
    readChanges: (store) => store.readChanges('oldest', 1),
    waitForChanges: (store) => store.waitForChanges('0'),
    trimChanges: (store) => store.trimChanges('0'),
    searchText: (store) => store.searchText(query),
    health: (store) => store.health(),
  };
  for (const [method, call] of Object.entries(calls)) {
    test(`rejects ${method} once it is closed`, async ({ store }) => {
      await commit(store, p, put('a', 1), append([1]));
      await store.close();
      // Called outside of a promise: a method that throws would throw here.
      const outcome = call(store);
      await fails(outcome, 'closed');
    });
  }

  test('tells how its commits went together, where it commits in groups', async ({ store }) => {
    const before = store.groups;
    if (!before) return;
    await Promise.all(times(20, (i) => commit(store, p, append([i]))));
    const { groups, batches, sizes, largest, waiting } = store.groups!;
    assert.equal(batches - before.batches, 20);
    assert.ok(groups > before.groups);
    assert.equal(
      sizes.reduce((sum, count) => sum + count, 0),
      groups,
    );
    assert.ok(largest >= 1 && largest <= 20);
    assert.equal(waiting, 0);
  });

  test('is closed once, however often it is asked', async ({ store }) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });

  test('settles the commits that are under way when it is closed', async ({ store }) => {
    const commits = Promise.allSettled(times(20, (i) => commit(store, p, append([i]))));
    await store.close();
    assert.equal((await commits).length, 20);
    await fails(commit(store, p, append(['late'])), 'closed');
  });

  test(
    'keeps what it acknowledged while it was being closed',
    async ({ store, open }) => {
      const commits = times(20, (i) =>
        commit(store, p, append([i])).then(
          () => i,
          () => undefined,
        ),
      );
      await store.close();
      const acknowledged = (await Promise.all(commits)).filter((i) => i !== undefined);
      const kept = await logValues(await open(), p);
      assert.deepEqual(kept, acknowledged);
    },
    'persistent',
  );

  test('says that it is well, with facts', async ({ store }) => {
    await commit(store, p, put('a', 'secret'));
    const { ok, problems, facts } = await store.health();
    assert.deepEqual([ok, problems], [true, []]);
    for (const fact of Object.values(facts)) assert.ok(['string', 'number', 'boolean'].includes(typeof fact));
    assert.ok(!JSON.stringify(facts).includes('secret'));
  });

  test('has a name and says what it can do', async ({ store, open }) => {
    assert.ok(store.name.length > 0);
    const { persistent, shared, textSearch, vectorSearch } = store.features;
    for (const feature of [persistent, shared, textSearch, vectorSearch])
      assert.equal(typeof feature, 'boolean');
    await commit(store, p, put('a', 1));
    if (!textSearch) await fails(store.searchText(query), 'unsupported');
    await store.close();
    const found = await (await open()).getRecords([{ partition: p, kind: 'note', id: 'a' }]);
    assert.equal(found[0] !== undefined, persistent);
  });

  test('keeps a batch as it was committed, whatever becomes of the objects it was made of', async ({
    store,
  }) => {
    const at = { ...p };
    const { cursor } = await store.readChanges('newest', 1);
    await store.commit({ partition: at, operations: [put('a', 1)] });
    at.id = 'changed later';
    const { changes } = await store.readChanges(cursor, 1);
    assert.equal(changes[0]?.partition.id ?? 'p', 'p');
  });
}
