import {
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidInputError, StoreCorruptError } from '../../src/core/errors.ts';
import type { Entry, Operation, Store } from '../../src/core/store.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { Snapshot } from '../../src/stores/sqlite/snapshot.ts';

const PLACE = { tenant: 'default', type: 'session', id: 's' };
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  path = join(folder, 'store.db');
});
afterEach(() => rm(folder, { recursive: true }));

const commit = (store: Store, ...operations: Operation[]) => store.commit({ partition: PLACE, operations });
const append = (log: string, values: readonly unknown[], named = false): Operation => ({
  op: 'append',
  log,
  entries: values.map((value) => ({ value: JSON.stringify(value), ...(named && { id: `id ${value}` }) })),
});

/** A closed file of more than 32 MiB, with garbage in the middle of its log. */
async function writeDamaged(): Promise<void> {
  const store = await SqliteStore.open(path, { durability: 'normal' });
  for (let i = 0; i < 40; i++) await commit(store, append('log', Array(1000).fill('x'.repeat(1000))));
  await store.close();
  const file = await openFile(path, 'r+');
  const middle = Math.floor((await file.stat()).size / 2 / 4096) * 4096;
  await file.write(Buffer.alloc(65_536, 0xa5), 0, 65_536, middle);
  await file.close();
}

describe('a large file that turns out to be damaged', () => {
  test('is not written to any more, is read where it can be, and says in its health why', async () => {
    await writeDamaged();
    const before = await readFile(path);
    const store = await SqliteStore.open(path);
    await commit(store, append('log', ['before the damage is met']));
    expect((await store.health()).ok).toBe(true);

    await expect(store.readLog(PLACE, 'log', { after: 15_000, limit: 10_000 })).rejects.toThrow(
      StoreCorruptError,
    );

    const refused = expect.objectContaining({
      code: 'store-corrupt',
      message: expect.stringContaining('nothing is written any more'),
    });
    await expect(commit(store, append('other', [1]))).rejects.toThrow(refused);
    await expect(store.trimChanges((await store.readChanges('newest', 1)).cursor)).rejects.toThrow(refused);
    const { entries } = await store.readLog(PLACE, 'log', { limit: 1, reverse: true });
    expect(entries[0]?.value).toBe('"before the damage is met"');
    const { ok, problems } = await store.health();
    expect({ ok, problems }).toEqual({ ok: false, problems: [expect.stringContaining('is damaged')] });

    await store.close();
    expect((await readFile(path)).equals(before)).toBe(true);
    expect((await stat(`${path}-wal`)).size).toBeGreaterThan(0);
  });

  test('stops a whole group of commits when one of them meets the damage', async () => {
    await writeDamaged();
    const store = await SqliteStore.open(path);
    const outcomes = await Promise.allSettled([
      commit(store, append('other', [1])),
      commit(store, { op: 'truncate', log: 'log', after: 10 }),
      commit(store, append('other', [2])),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
    expect((await store.readLog(PLACE, 'other', { limit: 10 })).entries).toEqual([]);
    await store.close();
  });
});

test('a snapshot whose end fails is rolled back, and nothing is thrown where nobody can catch it', async () => {
  const db = new Sqlite(path);
  db.exec(`PRAGMA foreign_keys = 1; CREATE TABLE a (id INTEGER PRIMARY KEY);
    CREATE TABLE b (a INTEGER REFERENCES a DEFERRABLE INITIALLY DEFERRED)`);
  const failures: unknown[] = [];
  const orphan = () => db.exec('INSERT INTO b VALUES (7)');
  const snapshot = new Snapshot(db, orphan, (error) => failures.push(error));
  snapshot.enter();
  expect(db.inTransaction).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(db.inTransaction).toBe(false);
  expect(failures).toEqual([expect.objectContaining({ code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })]);
  db.close();
});

describe('a refused file', () => {
  test('has no files left beside it that were not there before', async () => {
    const store = await SqliteStore.open(path);
    for (let i = 0; i < 100; i++) await commit(store, append('log', [`${i}`.repeat(500)]));
    await store.close();
    const bytes = await readFile(path);
    const half = Math.floor(bytes.length / 2);
    await writeFile(path, bytes.fill(0xa5, half, half + 8192));
    await expect(SqliteStore.open(path)).rejects.toThrow(StoreCorruptError);
    expect(await readdir(folder)).toEqual(['store.db']);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  test('is known to be cut off when an empty log stands beside it', async () => {
    const store = await SqliteStore.open(path);
    for (let i = 0; i < 100; i++) await commit(store, append('log', [`${i}`.repeat(500)]));
    await store.close();
    await truncate(path, Math.floor((await stat(path)).size * 0.9));
    await writeFile(`${path}-wal`, '');
    await expect(SqliteStore.open(path)).rejects.toThrow(/cut off/);
  });
});

test('options that make no sense are refused, all at once, and no file is made', async () => {
  const bad = { durability: 'Full', lockTimeoutMs: -1, pollIntervalMs: 0, clock: 7, lockTimeout: 5 };
  const error = await SqliteStore.open(path, bad as never).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidInputError);
  expect((error as InvalidInputError).issues).toEqual([
    { path: 'lockTimeout', message: 'is unknown, did you mean lockTimeoutMs?' },
    { path: 'durability', message: 'expected one of full, normal; did you mean full?' },
    { path: 'lockTimeoutMs', message: 'expected a whole number from 0 to 2147483647, got -1' },
    { path: 'pollIntervalMs', message: 'expected a whole number from 1 to 2147483647, got 0' },
    { path: 'clock', message: 'expected a clock with now(), got number' },
  ]);
  expect(await readdir(folder)).toEqual([]);
});

/** Entries of two logs: close together, then far apart among a third one's; with ids, and without. */
async function fill(store: Store): Promise<void> {
  const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
  await commit(store, append('plain', numbers(1, 1000)), append('named', numbers(1, 1000), true));
  for (let i = 1001; i <= 1300; i++) {
    await commit(
      store,
      append('plain', [i]),
      append('named', [i], true),
      append('filler', Array(30).fill(0)),
    );
  }
  await commit(store, append('plain', numbers(1301, 700)), append('named', numbers(1301, 700), true));
}

test.for([
  [{ before: 1 }, 0],
  [{ before: 129 }, 128],
  [{ before: 1200 }, 1199],
  [{ after: 1150 }, 850],
  [{ after: 1990 }, 10],
  [{ before: 500, after: 1100 }, 1399],
  [{ after: 0 }, 2000],
] as const)('truncating with %j removes just those entries and their ids', async ([bounds, count]) => {
  const stores = [new MemoryStore(), await SqliteStore.open(path, { durability: 'normal' })];
  const seen: (readonly Entry[])[][] = [];
  for (const store of stores) {
    await fill(store);
    for (const log of ['plain', 'named']) {
      const { results } = await commit(store, { op: 'truncate', log, ...bounds });
      expect(results[0]?.count).toBe(count);
    }
    // An id that is gone may be given again; one that is still there is not appended.
    await commit(
      store,
      append(
        'named',
        Array.from({ length: 2000 }, (_, i) => i + 1),
        true,
      ),
    );
    const logs = ['plain', 'named', 'filler'];
    const pages = await Promise.all(logs.map((log) => store.readLog(PLACE, log, { limit: 10_000 })));
    seen.push(pages.map(({ entries }) => entries));
    await store.close();
  }
  expect(seen[1]).toEqual(seen[0]);
});
