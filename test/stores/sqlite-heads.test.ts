/** Heads of logs are told by the journal and written to their table now and then: here it is made to matter. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isHoldfastError } from '../../src/core/errors.ts';
import type { Batch, Operation, Partition, Store } from '../../src/core/store.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';

let folder: string;
let path: string;
let opened: Store[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  path = join(folder, 'store.db');
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((store) => store.close()));
  await rm(folder, { recursive: true });
});

async function open(): Promise<SqliteStore> {
  const store = await SqliteStore.open(path, { durability: 'normal' });
  opened.push(store);
  return store;
}

const at = (i: number): Partition => ({ tenant: 'default', type: 'session', id: `p${i}` });
const append = (log: string, ...values: unknown[]): Operation => ({
  op: 'append',
  log,
  entries: values.map((value) => ({ value: JSON.stringify(value) })),
});
const commit = (store: Store, partition: Partition, ...operations: Operation[]) =>
  store.commit({ partition, operations });

/** All that a store tells of the first partitions, cursors and versions aside. */
async function contents(store: Store, partitions: number): Promise<unknown> {
  const all = [];
  for (let i = 0; i < partitions; i++) {
    const logs = await store.listLogs(at(i));
    const entries = await Promise.all(logs.map(({ log }) => store.readLog(at(i), log, { limit: 10_000 })));
    const { items } = await store.listRecords(at(i), undefined, { limit: 10_000 });
    all.push({ logs, entries, records: items.map(({ kind, id, value }) => ({ kind, id, value })) });
  }
  return all;
}

describe('heads of logs', () => {
  test('are right after thousands of commits, each of its own, and after opening again', async () => {
    let store = await open();
    for (let i = 0; i < 5000; i++) {
      await commit(store, at(i % 3), append(`log${i % 7}`, i));
      if (i % 1300 === 1299) {
        await store.close();
        store = await open();
      }
    }
    for (let p = 0; p < 3; p++) {
      for (const { log, lastSeq, count } of await store.listLogs(at(p))) {
        expect(lastSeq).toBe(count);
        const { entries } = await store.readLog(at(p), log, { limit: 10_000 });
        const numbers = entries.map(({ value }) => Number(value));
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, i) => i + 1));
      }
    }
  });

  test('are right for one who opens a file with thousands of commits since they were written', async () => {
    const writer = await open();
    for (let i = 0; i < 1900; i++)
      await commit(writer, at(0), { op: 'put', kind: 'k', id: 'a', value: `${i}` });
    await commit(writer, at(0), append('log', 'a'));
    const reader = await open();
    expect((await reader.readLog(at(0), 'log', { limit: 1 })).lastSeq).toBe(1);
    expect((await commit(reader, at(0), append('log', 'b'))).results[0]?.seqs).toEqual([2]);
  });

  test('are right for one who was far behind', async () => {
    const [busy, idle] = [await open(), await open()];
    await commit(idle, at(0), append('log', 0), { op: 'put', kind: 'k', id: 'a', value: '0' });
    const [old] = await idle.getRecords([{ partition: at(0), kind: 'k', id: 'a' }]);
    for (let i = 1; i <= 6000; i++) await commit(busy, at(i % 5), append('log', i));
    await commit(busy, at(0), { op: 'put', kind: 'k', id: 'a', value: '1' });
    await commit(busy, at(4), { op: 'drop' });
    await commit(busy, at(4), append('log', 'anew'));
    await expect(
      commit(idle, at(0), { op: 'put', kind: 'k', id: 'a', value: '2', ifVersion: old!.version }),
    ).rejects.toThrow(expect.objectContaining({ code: 'conflict' }));
    expect((await commit(idle, at(0), append('log', 'end'))).results[0]?.seqs).toEqual([1202]);
    expect((await commit(idle, at(4), append('log', 'more'))).results[0]?.seqs).toEqual([2]);
    expect(await contents(idle, 5)).toEqual(await contents(busy, 5));
  });

  test('are right for two who append, truncate and drop in turns, as in memory', async () => {
    const memory = new MemoryStore();
    const stores = [await open(), await open()];
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * below);
    };
    for (let i = 0; i < 6000; i++) {
      const partition = at(random(4));
      const operation = change(random, `log${random(3)}`, i);
      const outcomes = [];
      for (const store of [memory, stores[random(2)]!]) {
        outcomes.push(await settle(store, { partition, operations: [operation] }));
      }
      expect(outcomes[1]).toEqual(outcomes[0]);
      if (i % 1500 === 700) {
        await stores[0]!.close();
        stores[0] = await open();
      }
      if (i % 2000 === 1100) await stores[1]!.trimChanges((await stores[1]!.readChanges('newest', 1)).cursor);
    }
    for (const store of stores) expect(await contents(store, 4)).toEqual(await contents(memory, 4));
  });
});

function change(random: (below: number) => number, log: string, i: number): Operation {
  const kind = random(100);
  if (kind < 80) return append(log, ...Array.from({ length: 1 + random(3) }, (_, j) => `${i}.${j}`));
  if (kind < 85) return { op: 'truncate', log, before: random(300) };
  if (kind < 90) return { op: 'truncate', log, after: random(300) };
  if (kind < 97) return { op: 'rewrite', log, seq: 1 + random(300), value: `${i}` };
  return kind < 99 ? { op: 'expire', at: i } : { op: 'drop' };
}

async function settle(store: Store, batch: Batch): Promise<unknown> {
  try {
    const { results } = await store.commit(batch);
    return results;
  } catch (error) {
    return isHoldfastError(error) ? error.message : error;
  }
}

describe('a transaction that fails in its middle', () => {
  test.for(['ABORT', 'FAIL', 'ROLLBACK'])(
    'fails its batch alone and leaves no trace in memory (%s)',
    async (how) => {
      const store = await open();
      await commit(store, at(0), append('log', 'first'), { op: 'put', kind: 'k', id: 'a', value: '0' });
      const db = new Sqlite(path);
      db.exec(`CREATE TRIGGER poison BEFORE INSERT ON entries WHEN NEW.value LIKE '%poison%'
             BEGIN SELECT RAISE(${how}, 'no space left'); END`);
      const values = Array.from({ length: 40 }, (_, i) => (i % 10 === 5 ? 'poison' : `v${i}`));
      const outcomes = await Promise.allSettled(
        values.map((value, i) =>
          commit(store, at(i % 2), append('log', value), { op: 'put', kind: 'k', id: 'a', value: `${i}` }),
        ),
      );
      expect(outcomes.map(({ status }) => status)).toEqual(
        values.map((value) => (value === 'poison' ? 'rejected' : 'fulfilled')),
      );
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason.code).toBe('store-unavailable');
      }
      db.exec('DROP TRIGGER poison');
      db.close();
      await commit(store, at(0), append('log', 'poison is harmless now'));
      const inMemory = await contents(store, 2);
      expect(await contents(await open(), 2)).toEqual(inMemory);
      const { entries } = await store.readLog(at(1), 'log', { limit: 100 });
      const good = values.filter((value, i) => i % 2 === 1 && value !== 'poison');
      expect(entries.map(({ seq, value }) => [seq, JSON.parse(value)])).toEqual(
        good.map((value, i) => [i + 1, value]),
      );
      const changes = (await store.readChanges('oldest', 1000)).changes;
      expect(changes.length).toBe(1 + 36 + 1);
    },
  );
});
