import assert from 'node:assert/strict';
import type { ConflictError } from '../core/errors.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { Batch, IfVersion, Receipt, Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import {
  append,
  check,
  commit,
  fails,
  partition,
  put,
  read,
  remove,
  settle,
  times,
  valueAt,
} from './words.ts';

export function versions(test: Test): void {
  const p = partition();

  /** How many of 20 writes with the same condition went through. */
  const winners = async (stores: readonly Store[], ifVersion: IfVersion) => {
    const outcomes = await Promise.all(
      times(20, (i) =>
        settle([{ partition: p, operations: [put('a', i, { ifVersion })] }], stores[i % stores.length]!),
      ),
    );
    const lost = outcomes.flat().filter((outcome) => isHoldfastError(outcome));
    for (const error of lost) assert.equal(error.code, 'conflict');
    return 20 - lost.length;
  };

  test('lets one of many win who write a record if it is absent', async ({ store }) => {
    assert.equal(await winners([store], 'absent'), 1);
  });

  test('lets one of many win who write a record at the same version', async ({ store }) => {
    const { results } = await commit(store, p, put('a', 'first'));
    assert.equal(await winners([store], results[0]!.version!), 1);
  });

  test(
    'lets one of many win who write through two opened stores',
    async ({ store, open }) => {
      const stores = [store, await open()];
      assert.equal(await winners(stores, 'absent'), 1);
      const { version } = (await read(store, p, 'a'))!;
      assert.equal(await winners(stores, version), 1);
    },
    'shared',
  );

  test('writes only what is there if it must be present', async ({ store }) => {
    const error = await fails(commit(store, p, put('a', 1, { ifVersion: 'present' })), 'conflict');
    assert.equal((error as ConflictError).currentVersion, undefined);
    await commit(store, p, put('a', 1));
    await commit(store, p, put('a', 2, { ifVersion: 'present' }));
    assert.equal(await valueAt(store, p, 'a'), 2);
  });

  test('says in a conflict which version is there', async ({ store }) => {
    const { results } = await commit(store, p, put('a', 1));
    const version = results[0]!.version!;
    for (const ifVersion of ['absent', version + 1, 0] as const) {
      const error = await fails(commit(store, p, put('a', 2, { ifVersion })), 'conflict');
      assert.equal((error as ConflictError).currentVersion, version);
    }
    assert.equal((await read(store, p, 'a'))?.version, version);
  });

  test('deletes only the version that it was told to', async ({ store }) => {
    const { version } = (await commit(store, p, put('a', 1))).results[0]!;
    await commit(store, p, put('a', 2));
    await fails(commit(store, p, remove('a', { ifVersion: version! })), 'conflict');
    const now = (await read(store, p, 'a'))!.version;
    assert.deepEqual((await commit(store, p, remove('a', { ifVersion: now }))).results, [{ count: 1 }]);
    await fails(commit(store, p, remove('a', { ifVersion: now })), 'conflict');
    assert.deepEqual((await commit(store, p, remove('a'))).results, [{ count: 0 }]);
  });

  test('holds one record to a version while it writes another', async ({ store }) => {
    const { version } = (await commit(store, p, put('guard', 1))).results[0]!;
    await commit(store, p, check('guard', version!), put('a', 1));
    await commit(store, p, put('guard', 2));
    await fails(commit(store, p, check('guard', version!), put('a', 2)), 'conflict');
    assert.equal(await valueAt(store, p, 'a'), 1);
  });

  test('gives a version that grows with every write, over deletes and drops too', async ({ store }) => {
    let last = 0;
    const grow = async () => {
      const { version } = (await commit(store, p, put('a', last))).results[0]!;
      assert.ok(version! > last, `${version} is no more than ${last}`);
      assert.equal((await read(store, p, 'a'))?.version, version);
      last = version!;
    };
    await grow();
    await grow();
    await commit(store, p, remove('a'));
    await grow();
    await commit(store, p, { op: 'drop' });
    await grow();
  });

  test('never gives two writes of a record the same version, also when they arrive at once', async ({
    store,
  }) => {
    const batches = times(90, (i): Batch => {
      const operation = i % 3 === 2 ? remove('a') : put('a', i);
      return { partition: p, operations: [operation] };
    });
    const receipts = (await settle(batches, store)) as Receipt[];
    const given = receipts.flatMap(({ results }) => results[0]!.version ?? []);
    assert.equal(given.length, 60);
    assert.equal(new Set(given).size, 60);
  });

  test('never lets a version that was overwritten in the same moment pass for the current one', async ({
    store,
  }) => {
    for (let round = 0; round < 5; round++) {
      const receipts = await Promise.all(times(10, (i) => commit(store, p, put('a', i))));
      const current = (await read(store, p, 'a'))!.version;
      const stale = receipts
        .map(({ results }) => results[0]!.version!)
        .filter((version) => version !== current);
      assert.equal(stale.length, 9);
      for (const ifVersion of stale)
        await fails(commit(store, p, put('a', 'lost', { ifVersion })), 'conflict');
    }
  });

  test('loses no change of those who read, change and write again until it goes through', async ({
    store,
  }) => {
    await Promise.all(times(5, () => increments([store])));
    assert.equal(await valueAt(store, p, 'sum'), 50);
  });

  test(
    'loses no such change through two opened stores',
    async ({ store, open }) => {
      const stores = [store, await open()];
      await Promise.all(times(6, () => increments(stores)));
      assert.equal(await valueAt(store, p, 'sum'), 60);
    },
    'shared',
  );

  /** Adds one, ten times. */
  const increments = async (stores: readonly Store[]) => {
    for (let done = 0, attempt = 0; done < 10; attempt++) {
      const store = stores[attempt % stores.length]!;
      const stored = await read(store, p, 'sum');
      const next = stored ? JSON.parse(stored.value) + 1 : 1;
      const ifVersion = stored?.version ?? 'absent';
      const [outcome] = await settle(
        [{ partition: p, operations: [put('sum', next, { ifVersion })] }],
        store,
      );
      if (!isHoldfastError(outcome)) done++;
      else assert.equal(outcome.code, 'conflict');
    }
  };

  test('lets one of many win who append at the same end of a log', async ({ store }) => {
    await commit(store, p, append(['first']));
    const batches = times(20, (i): Batch => ({ partition: p, operations: [append([i], { ifLastSeq: 1 })] }));
    const outcomes = await settle(batches, store);
    const lost = outcomes.filter((outcome) => isHoldfastError(outcome));
    assert.equal(lost.length, 19);
    for (const error of lost) {
      assert.equal(error.code, 'conflict');
      assert.equal((error as ConflictError).currentVersion, 2);
    }
  });

  test('lets one of many win who rewrite the same version of an entry', async ({ store }) => {
    await commit(store, p, append(['first']));
    const batches = times(20, (i): Batch => {
      return {
        partition: p,
        operations: [{ op: 'rewrite', log: 'log', seq: 1, value: `${i}`, ifVersion: 1 }],
      };
    });
    const outcomes = await settle(batches, store);
    assert.equal(outcomes.filter((outcome) => isHoldfastError(outcome)).length, 19);
    const { entries } = await store.readLog(p, 'log', { limit: 1 });
    assert.equal(entries[0]?.version, 2);
  });
}
