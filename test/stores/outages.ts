/** A store that can be taken away, and a place with a spool that outlives the stores opened there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { StoreUnavailableError } from '../../src/core/errors.ts';
import type { Batch, Operation, Partition, Store } from '../../src/core/store.ts';
import { type FallbackOptions, type FallbackStore, withFallback } from '../../src/stores/fallback/index.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { GroupCommit } from '../../src/stores/shared/group-commit.ts';
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
  /** Called before each commit that reaches the store, and after it was done. */
  onCommit: (batch: Batch) => void = () => {};
  afterCommit: () => void = () => {};

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
    const commits = name === 'commit' && mode !== 'down';
    if (!commits && mode === 'up') return call();
    if (commits) {
      const receipt = await call();
      this.afterCommit();
      if (mode === 'up') return receipt;
    }
    if (mode === 'silent') await new Promise(() => {});
    throw new StoreUnavailableError('cut off');
  }
}

const quick: FallbackOptions = { probeMs: 5, timeoutMs: 200 };

/** A store in memory that can be taken away, with a spool in a file. No failure in the background passes. */
export async function outagePlace() {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const target = new MemoryStore();
  const wire = new Wire();
  const opened: FallbackStore[] = [];
  const failures: unknown[] = [];
  onTestFinished(async () => {
    await Promise.allSettled(opened.map((store) => store.close()));
    await target.close();
    await rm(folder, { recursive: true });
    if (failures.length > 0) throw failures[0];
  });
  return {
    target,
    wire,
    spoolFile: join(folder, 'spool.db'),
    async open(
      options: FallbackOptions = {},
      { spool, source }: { spool?: Store; source?: Store } = {},
    ): Promise<FallbackStore> {
      const file = spool ?? (await SqliteStore.open(join(folder, 'spool.db'), { durability: 'normal' }));
      const reach = async () => {
        if (wire.mode !== 'up') throw new StoreUnavailableError('nobody is there');
        return wire.before(lasting(target));
      };
      const store = await withFallback(source ?? reach, file, {
        ...quick,
        onError: (error) => failures.push(error),
        ...options,
      });
      opened.push(store);
      return store;
    },
  };
}

/** Sends in groups, as a store on a server does, and tries for a while where nobody answers before it gives up. */
export function patientStore(target: MemoryStore, wire: Wire, onGaveUp: () => void): Store {
  const group = new GroupCommit('store', async (batches) => {
    for (let tries = 1; wire.mode !== 'up'; tries++) {
      if (tries === 50) {
        onGaveUp();
        throw new StoreUnavailableError('nobody answers');
      }
      await setTimeout(2);
    }
    return Promise.all(batches.map((batch) => target.commit(batch)));
  });
  const store = wire.before(lasting(target));
  return new Proxy(store, {
    get: (_, name: keyof Store) => (name === 'commit' ? (batch: Batch) => group.commit(batch) : store[name]),
  });
}

/** A store that stays open when it is closed, so that it can be opened again, and passes for a durable one. */
export function lasting(store: MemoryStore): Store {
  return new Proxy(store, {
    get: (target: Store, name: keyof Store) => {
      if (name === 'features') return { ...target.features, persistent: true };
      const member = name === 'close' ? async () => {} : target[name];
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/**
 * What became of entries `WRITER NUMBER`: each writer has numbered its own from 0, and waited for each before the next.
 * What was not acknowledged may be there all the same.
 */
export function account(acknowledged: readonly string[], found: readonly string[]) {
  const seen = new Set<string>();
  const next = new Map<string, number>();
  const sum = { lost: 0, doubled: 0, misordered: 0 };
  for (const entry of found) {
    const [writer, number] = entry.split(' ') as [string, string];
    if (seen.has(entry)) sum.doubled++;
    else if (Number(number) !== (next.get(writer) ?? 0)) sum.misordered++;
    else next.set(writer, Number(number) + 1);
    seen.add(entry);
  }
  sum.lost = acknowledged.filter((entry) => !seen.has(entry)).length;
  return sum;
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
