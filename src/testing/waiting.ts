import assert from 'node:assert/strict';
import type { Test } from './suite.ts';
import { atLeast, commit, fails, follow, partition, put, times } from './words.ts';

export function waiting(test: Test): void {
  const p = partition();
  const stopped = () => ({ controller: new AbortController(), reason: { why: 'stopped' } });

  test('does not wait where a change is there already', async ({ store }) => {
    const { cursor } = await store.readChanges('newest', 1);
    await commit(store, p, put('a', 1));
    await follow(store, cursor, atLeast(1));
    await store.waitForChanges(cursor);
  });

  test('wakes all who wait at the next commit', async ({ store }) => {
    const { cursor } = await store.readChanges('newest', 1);
    const waiters = times(5, () => store.waitForChanges(cursor));
    await commit(store, p, put('a', 1));
    await Promise.all(waiters);
    assert.equal((await follow(store, cursor, atLeast(1))).changes.length, 1);
  });

  test('waits again after each wake, and misses none', async ({ store }) => {
    const { cursor } = await store.readChanges('newest', 1);
    const following = follow(store, cursor, atLeast(25), 2);
    for (let i = 0; i < 25; i++) await commit(store, p, put('a', i));
    assert.equal((await following).changes.length, 25);
  });

  test('does not wake for a commit that changed nothing', async ({ store }) => {
    const { cursor } = await store.readChanges('newest', 1);
    let woken = false;
    const wait = store.waitForChanges(cursor).then(() => {
      woken = true;
    });
    await commit(store, p, { op: 'delete', kind: 'note', id: 'none' });
    await fails(commit(store, p, put('a', 1, { ifVersion: 'present' })), 'conflict');
    assert.equal(woken, false);
    await commit(store, p, put('a', 1));
    await wait;
  });

  test(
    'wakes for the commit of another opened store',
    async ({ store, open }) => {
      const other = await open();
      const { cursor } = await store.readChanges('newest', 1);
      const wait = store.waitForChanges(cursor);
      await commit(other, p, put('a', 1));
      await wait;
    },
    'shared',
  );

  test(
    'wakes for it also when it has read in the meantime',
    async ({ store, open }) => {
      const other = await open();
      const { cursor } = await store.readChanges('newest', 1);
      const wait = store.waitForChanges(cursor);
      await commit(other, p, put('a', 1));
      // These reads take in the other's commit before any look at the journal's end could.
      await store.getRecords([{ partition: p, kind: 'note', id: 'a' }]);
      const late = await store.readChanges('newest', 1);
      const second = store.waitForChanges(late.cursor);
      await wait;
      await commit(other, p, put('a', 2));
      await second;
    },
    'shared',
  );

  test('rejects with the reason of a signal that was aborted before', async ({ store }) => {
    const { controller, reason } = stopped();
    const { cursor } = await store.readChanges('newest', 1);
    await commit(store, p, put('a', 1));
    controller.abort(reason);
    const { cursor: end } = await store.readChanges('newest', 1);
    for (const after of [cursor, end]) {
      const outcome = await store.waitForChanges(after, controller.signal).catch((error: unknown) => error);
      assert.equal(outcome, reason);
    }
  });

  test('rejects with the reason of a signal that is aborted meanwhile, and only that call', async ({
    store,
  }) => {
    const { controller, reason } = stopped();
    const { cursor } = await store.readChanges('newest', 1);
    const cancelled = store.waitForChanges(cursor, controller.signal).catch((error: unknown) => error);
    const other = store.waitForChanges(cursor, new AbortController().signal);
    controller.abort(reason);
    assert.equal(await cancelled, reason);
    await commit(store, p, put('a', 1));
    await other;
  });

  test('rejects those who still wait when it is closed', async ({ store }) => {
    const { cursor } = await store.readChanges('newest', 1);
    const waiters = times(3, () => fails(store.waitForChanges(cursor), 'closed'));
    const withSignal = fails(store.waitForChanges(cursor, new AbortController().signal), 'closed');
    await store.close();
    await Promise.all([...waiters, withSignal]);
  });
}
