import { expect, test, vi } from 'vitest';
import { ClosedError, StoreUnavailableError } from '../../src/core/errors.ts';
import type { Batch, Receipt } from '../../src/core/store.ts';
import { GroupCommit, type Outcome } from '../../src/stores/shared/group-commit.ts';

const batch = (id: string): Batch => ({ id, partition: { tenant: 't', type: 's', id: 'p' }, operations: [] });
const receipt = (id: string): Receipt => ({ cursor: id, replayed: false, results: [] });
const accept = (batches: readonly Batch[]) => batches.map(({ id }) => receipt(id!));

/** A store that notes its groups. With `held`, a commit takes until it is let go. */
function recorder({ held = false, maxBatches = 1024 } = {}) {
  const groups: string[][] = [];
  const running: { settle(outcomes?: Outcome[]): void; fail(error: Error): void }[] = [];
  const group = new GroupCommit(
    'store',
    (batches) => {
      groups.push(batches.map(({ id }) => id!));
      if (!held) return accept(batches);
      return new Promise((resolve, reject) => {
        running.push({ settle: (outcomes) => resolve(outcomes ?? accept(batches)), fail: reject });
      });
    },
    { maxBatches },
  );
  return { group, groups, running };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('sends out together what arrives in one turn of the event loop', async () => {
  const { group, groups } = recorder();
  const receipts = await Promise.all(['a', 'b', 'c'].map((id) => group.commit(batch(id))));
  expect(groups).toEqual([['a', 'b', 'c']]);
  expect(receipts.map(({ cursor }) => cursor)).toEqual(['a', 'b', 'c']);
});

test('gathers what arrives while a commit is under way', async () => {
  const { group, groups, running } = recorder({ held: true });
  const first = group.commit(batch('a'));
  await turn();
  const rest = ['b', 'c', 'd'].map((id) => group.commit(batch(id)));
  await turn();
  expect(groups).toEqual([['a']]);
  running[0]!.settle();
  await first;
  while (groups.length < 2) await turn();
  expect(groups).toEqual([['a'], ['b', 'c', 'd']]);
  running[1]!.settle();
  await Promise.all(rest);
});

test('splits what is more than a group may hold, in order', async () => {
  const { group, groups } = recorder({ maxBatches: 2 });
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id) => group.commit(batch(id))));
  expect(groups).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
});

test('lets a bad batch fail alone', async () => {
  const bad = new ClosedError('test');
  const group = new GroupCommit('store', (batches) =>
    batches.map(({ id }) => (id === 'b' ? bad : receipt(id!))),
  );
  const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((id) => group.commit(batch(id))));
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(outcomes[1]).toHaveProperty('reason', bad);
});

test.for(['thrown', 'rejected'])(
  'fails a group as a whole when the commit is %s, and goes on',
  async (how) => {
    let failing = true;
    const group = new GroupCommit('store', (batches) => {
      if (!failing) return accept(batches);
      failing = false;
      if (how === 'thrown') throw new ClosedError('disk');
      return Promise.reject(new ClosedError('disk'));
    });
    const outcomes = await Promise.allSettled(['a', 'b'].map((id) => group.commit(batch(id))));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await group.commit(batch('c'))).cursor).toBe('c');
  },
);

test('rejects a batch for which no outcome was given', async () => {
  const group = new GroupCommit('store', () => []);
  await expect(group.commit(batch('a'))).rejects.toThrow(expect.objectContaining({ code: 'internal' }));
});

test('settles at close what it took, one group after the other, and takes no more', async () => {
  const { group, groups, running } = recorder({ held: true, maxBatches: 2 });
  const taken = ['a', 'b', 'c'].map((id) => group.commit(batch(id)));
  await turn();
  let closed = false;
  const closing = group.close().then(() => {
    closed = true;
  });
  await expect(group.commit(batch('late'))).rejects.toThrow(ClosedError);
  running[0]!.settle();
  await taken[1];
  await vi.waitFor(() => expect(groups).toEqual([['a', 'b'], ['c']]));
  expect(closed).toBe(false);
  running[1]!.settle();
  await Promise.all([...taken, closing]);
});

test('commits at close what was still to be sent out', async () => {
  const { group, groups } = recorder();
  const taken = group.commit(batch('a'));
  await group.close();
  expect((await taken).cursor).toBe('a');
  expect(groups).toEqual([['a']]);
});

test('settles what it took also when the commit under way at close fails', async () => {
  const { group, running } = recorder({ held: true });
  const taken = group.commit(batch('a'));
  await turn();
  const closing = group.close();
  running[0]!.fail(new ClosedError('disk'));
  await expect(taken).rejects.toThrow(ClosedError);
  await closing;
});

test.for(['as a whole', 'for one batch'])(
  'fails what waits behind a group that the store was not there for (%s), and sends none of it',
  async (how) => {
    const { group, groups, running } = recorder({ held: true, maxBatches: 2 });
    const outcomes = Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map((id) => group.commit(batch(id))));
    await turn();
    const away = new StoreUnavailableError('nobody is there', { details: { inDoubt: true } });
    if (how === 'as a whole') running[0]!.fail(away);
    else running[0]!.settle([receipt('a'), away]);
    const [first, ...others] = await outcomes;
    expect(first!.status).toBe(how === 'as a whole' ? 'rejected' : 'fulfilled');
    expect(others.map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
    expect(others[0]).toHaveProperty('reason', away);
    for (const waited of others.slice(1)) {
      const error = (waited as PromiseRejectedResult).reason as StoreUnavailableError;
      expect(error).toMatchObject({ code: 'store-unavailable', message: 'nobody is there' });
      expect(error.details?.inDoubt).toBeUndefined();
    }
    const next = group.commit(batch('f'));
    await vi.waitFor(() => expect(groups).toEqual([['a', 'b'], ['f']]));
    running[1]!.settle();
    expect((await next).cursor).toBe('f');
  },
);

test('fails what waits also where the store answers at once', async () => {
  const sent: string[] = [];
  const group = new GroupCommit(
    'store',
    (batches) => {
      sent.push(...batches.map(({ id }) => id!));
      throw new StoreUnavailableError('locked');
    },
    { maxBatches: 1 },
  );
  const outcomes = await Promise.allSettled(['a', 'b'].map((id) => group.commit(batch(id))));
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(sent).toEqual(['a']);
});
