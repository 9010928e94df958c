/** Stores that fail in other ways than by being away, and callbacks that throw. */
import { setImmediate } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import type { Batch, Operation, Store, TextMatches, TextQuery } from '../../src/core/store.ts';
import type { FallbackStore, RejectedBatch } from '../../src/stores/fallback/index.ts';
import type { MemoryStore } from '../../src/stores/memory/index.ts';
import { appendOf, lasting, outagePlace, session, valuesOf, write } from './outages.ts';

const p = session();
const query: TextQuery = {
  tenant: 'default',
  collection: 'texts',
  within: { scope: 'u' },
  terms: ['x'],
  limit: 1,
};
const nothing: TextMatches = { documents: 0, counts: [0], hits: [] };
const present: Operation = { op: 'check', kind: 'session', id: 'session', ifVersion: 'present' };
const warnings: string[] = [];
process.on('warning', ({ message }) => warnings.push(message));

async function back(store: FallbackStore): Promise<void> {
  await vi.waitFor(() => expect(store.state).toBe('normal'), { interval: 5 });
}

test('takes one slow call for no outage while others are answered', async () => {
  const { open, wire, target } = await outagePlace();
  const slow = Promise.withResolvers<void>();
  const source = new Proxy(wire.before(target), {
    get: (before, name: keyof Store) => {
      if (name !== 'searchText') return before[name];
      return () => slow.promise.then(() => nothing);
    },
  });
  const states: string[] = [];
  const store = await open({ timeoutMs: 400, onStateChange: (state) => states.push(state) }, { source });
  const start = performance.now();
  const search = store.searchText(query);
  while (performance.now() < start + 1000) {
    await write(store, p, appendOf(1));
    await setImmediate();
  }
  slow.resolve();
  expect(await search).toEqual(nothing);
  expect(states).toEqual(['normal']);
});

test('takes no store for silent because its own process was held up', async () => {
  const { open, wire, target } = await outagePlace();
  const timeoutMs = 40;
  const source = new Proxy(wire.before(target), {
    get: (before, name: keyof Store) => {
      if (name !== 'listLogs') return before[name];
      return async () => {
        for (const end = performance.now() + 10 * timeoutMs; performance.now() < end; );
        // The timers that are due come first, and then the answer.
        await setImmediate();
        return setImmediate([]);
      };
    },
  });
  const states: string[] = [];
  const store = await open({ timeoutMs, onStateChange: (state) => states.push(state) }, { source });
  expect(await store.listLogs(p)).toEqual([]);
  expect(states).toEqual(['normal']);
});

test('takes a store that answers nothing, or one call never, for lost', async () => {
  const { open, wire } = await outagePlace();
  const store = await open({ timeoutMs: 40 });
  const read = () => store.getRecords([{ partition: p, kind: 'k', id: 'i' }]);
  wire.mode = 'silent';
  const hung = write(store, p, appendOf(1));
  wire.mode = 'up';
  let lost = false;
  while (!lost) {
    await read().catch(() => {});
    lost = store.state !== 'normal';
    await setImmediate();
  }
  await hung;
  await back(store);
  wire.mode = 'silent';
  await expect(read()).rejects.toMatchObject({ code: 'store-unavailable' });
  expect(store.state).toBe('degraded');
});

test('passes on what a store throws instead of answering', async () => {
  const { open, target } = await outagePlace();
  const source = new Proxy(lasting(target), {
    get: (before, name: keyof Store) => {
      if (name !== 'searchText') return before[name];
      return () => {
        throw new TypeError('a bug');
      };
    },
  });
  const timeoutMs = 300;
  const store = await open({ timeoutMs }, { source });
  await expect(store.searchText(query)).rejects.toThrow('a bug');
  // It does not count as a call without an answer.
  const later = performance.now() + 2 * timeoutMs;
  while (performance.now() < later) await write(store, p, appendOf(1));
  expect(store.state).toBe('normal');
});

/** A store that fails at certain batches, and not because it is away. */
function failingAt(store: MemoryStore, bad: (text: string) => boolean): Store {
  return new Proxy(store, {
    get: (target: Store, name: keyof Store) => {
      const member = target[name];
      if (typeof member !== 'function') return member;
      if (name !== 'commit') return member.bind(target);
      return async (batch: Batch) => {
        if (bad(JSON.stringify(batch.operations)))
          throw new HoldfastError('internal', 'the server is puzzled');
        return target.commit(batch);
      };
    },
  });
}

test('sets a session aside that the store fails at, and is back with all others', async () => {
  const { open, wire, target } = await outagePlace();
  const told: unknown[] = [];
  let puzzled = true;
  const source = wire.before(failingAt(target, (text) => puzzled && text.includes('puzzle')));
  const store = await open({ onError: (error) => told.push(error), probeMs: 20 }, { source });
  wire.mode = 'down';
  for (const value of [1, 'puzzle', 3]) await write(store, session('bad'), appendOf(value));
  await write(store, session('good'), appendOf(1));
  wire.mode = 'up';
  await vi.waitFor(() => expect(told).toHaveLength(1), { interval: 1 });
  expect(store.state).toBe('replaying');
  await write(store, session('good'), { op: 'put', kind: 'k', id: 'i', value: '1', ifVersion: 'absent' });
  expect(await valuesOf(target, session('good'))).toEqual([1]);
  expect((await store.health()).problems).toContainEqual(
    expect.stringMatching(/fails, and is tried again: 1$/),
  );
  await write(store, session('bad'), appendOf(4));
  puzzled = false;
  await back(store);
  expect(await valuesOf(target, session('bad'))).toEqual([1, 'puzzle', 3, 4]);
  expect(await store.health()).toMatchObject({ problems: [], facts: { rejected: 0, spooled: 0 } });
});

test('keeps as rejected what the store fails at each time', async () => {
  const { open, wire, target } = await outagePlace();
  const told: string[] = [];
  const source = wire.before(failingAt(target, (text) => text.includes('puzzle')));
  const options = {
    onError: () => {},
    onRejected: ({ error }: RejectedBatch) => told.push(error.code),
    probeMs: 2,
  };
  const store = await open(options, { source });
  wire.mode = 'down';
  for (const value of [1, 'puzzle', 'puzzle too', 4]) await write(store, p, appendOf(value));
  wire.mode = 'up';
  await back(store);
  expect(await valuesOf(target, p)).toEqual([1, 4]);
  expect(told).toEqual(['internal', 'internal']);
  expect((await store.rejected()).map(({ batch }) => batch.operations)).toEqual([
    [appendOf('puzzle')],
    [appendOf('puzzle too')],
  ]);
});

test('goes on whatever its callbacks throw', async () => {
  const { open, wire, target } = await outagePlace();
  const bug = () => {
    throw new TypeError('a bug');
  };
  const store = await open({ onRejected: bug, onStateChange: bug, onError: bug });
  wire.mode = 'down';
  await write(store, p, present, appendOf(1));
  await write(store, p, appendOf(2));
  wire.mode = 'up';
  await back(store);
  expect(await valuesOf(target, p)).toEqual([2]);
  expect((await store.rejected()).length).toBe(1);
  expect(warnings.filter((message) => message === 'a bug').length).toBeGreaterThan(1);
});
