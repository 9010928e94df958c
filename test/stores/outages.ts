/** A store that can be taken away, and a place with a spool that outlives the stores opened there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { StoreUnavailableError } from '../../src/core/errors.ts';
import type { Batch, Operation, Partition, Store } from '../../src/core/store.ts';
import { type FallbackOptions, type FallbackStore, withFallback } from '../../src/stores/fallback/index.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';

/**
 * `up`; `down`: calls fail; `doubt`: commits are done, and then fail as if their answer had been lost; `silent`: commits
 * are done and nothing is ever answered.
 */
export type Mode = 'up' | 'down' | 'doubt' | 'silent';

/** Stands before a store, as a network does. */
export class Wire {
  mode: Mode = 'up';
  /** Commits that reached the store. */
  commits = 0;
  /** Called before each commit that reaches the store. */
  onCommit: (batch: Batch) => void = () => {};

  before(store: Store): Store {
    return new Proxy(store, {
      get: (target, name: keyof Store) => {
        const member = target[name];
        if (typeof member !== 'function') return member;
        if (name === 'close') return () => store.close();
        return (...args: unknown[]) =>
          this.#call(
            name,
            () => (member as (...all: unknown[]) => Promise<unknown>).apply(target, args),
            args,
          );
      },
    });
  }

  async #call(name: string, call: () => Promise<unknown>, args: unknown[]): Promise<unknown> {
    if (name === 'commit' && this.mode !== 'down') {
      this.onCommit(args[0] as Batch);
      this.commits++;
    }
    const { mode } = this;
    if (mode === 'up') return call();
    if (mode !== 'down' && name === 'commit') await call();
    if (mode === 'silent') await new Promise(() => {});
    throw new StoreUnavailableError('cut off');
  }
}

/** Short times, and no failure in the background passes. */
const quick: FallbackOptions = {
  probeMs: 5,
  timeoutMs: 200,
  onError: (error) => {
    throw error;
  },
};

/** A store in memory that can be taken away, with a spool in a file. */
export async function outagePlace() {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const target = new MemoryStore();
  const wire = new Wire();
  const opened: FallbackStore[] = [];
  onTestFinished(async () => {
    await Promise.allSettled(opened.map((store) => store.close()));
    await target.close();
    await rm(folder, { recursive: true });
  });
  /** What is left open when a fallback store closes it, so that another can be opened. */
  const lasting = new Proxy(target, {
    get: (store, name: keyof Store) => {
      const member = name === 'close' ? async () => {} : store[name];
      return typeof member === 'function' ? member.bind(store) : member;
    },
  });
  return {
    target,
    wire,
    spoolFile: join(folder, 'spool.db'),
    async open(options: FallbackOptions = {}, spool?: Store): Promise<FallbackStore> {
      const file = spool ?? (await SqliteStore.open(join(folder, 'spool.db'), { durability: 'normal' }));
      const source = async () => {
        if (wire.mode !== 'up') throw new StoreUnavailableError('nobody is there');
        return wire.before(lasting);
      };
      const store = await withFallback(source, file, { ...quick, ...options });
      opened.push(store);
      return store;
    },
  };
}

export function session(id = 's'): Partition {
  return { tenant: 'default', type: 'session', id };
}

export function appendOf(...values: unknown[]): Operation {
  return { op: 'append', log: 'log', entries: values.map((value) => ({ value: JSON.stringify(value) })) };
}

export function write(store: Store, partition: Partition, ...operations: Operation[]) {
  return store.commit({ partition, operations });
}

/** All values of a log. */
export async function valuesOf(store: Store, partition: Partition, log = 'log'): Promise<unknown[]> {
  const values: unknown[] = [];
  for (let after = 0; ; ) {
    const { entries } = await store.readLog(partition, log, { after, limit: 10_000 });
    if (entries.length === 0) return values;
    values.push(...entries.map(({ value }) => JSON.parse(value)));
    after = entries.at(-1)!.seq;
  }
}

export async function recordOf(
  store: Store,
  partition: Partition,
  kind: string,
  id = kind,
): Promise<unknown> {
  const [record] = await store.getRecords([{ partition, kind, id }]);
  return record && JSON.parse(record.value);
}
