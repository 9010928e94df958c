import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreCorruptError, StoreUnavailableError } from '../../src/core/errors.ts';
import { SqliteStore, type SqliteStoreOptions } from '../../src/stores/sqlite/store.ts';
import { PLACE, Worker } from './workers.ts';

let folder: string;
let path: string;
let opened: { close(): unknown }[];
let workers: Worker[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  path = join(folder, 'store.db');
  opened = [];
  workers = [];
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  for (const one of opened) await one.close();
  await chmod(folder, 0o700);
  await rm(folder, { recursive: true });
});

async function open(options?: SqliteStoreOptions): Promise<SqliteStore> {
  const store = await SqliteStore.open(path, options);
  opened.push(store);
  return store;
}

/** SQLite itself on the same file, beside the store. */
function beside(): Sqlite.Database {
  const db = new Sqlite(path);
  opened.push(db);
  return db;
}

async function start(options?: { uid: number }): Promise<Worker> {
  const worker = await Worker.start(path, options);
  workers.push(worker);
  return worker;
}

function append(store: SqliteStore, value: unknown, log = 'log') {
  const operation = { op: 'append', log, entries: [{ value: JSON.stringify(value) }] } as const;
  return store.commit({ partition: PLACE, operations: [operation] });
}

async function values(store: SqliteStore, log = 'log'): Promise<unknown[]> {
  const { entries } = await store.readLog(PLACE, log, { limit: 10_000 });
  return entries.map(({ value }) => JSON.parse(value));
}

/** A closed file with so much in it that damage in its middle hits something. */
async function writeFilled(): Promise<void> {
  const store = await SqliteStore.open(path);
  for (let i = 0; i < 100; i++) await append(store, `${i}`.repeat(500));
  await store.close();
}

describe('a file that can not be used', () => {
  async function expectRefused(error: unknown): Promise<void> {
    const before = await readFile(path);
    await expect(SqliteStore.open(path)).rejects.toThrow(error as Error);
    expect((await readFile(path)).equals(before)).toBe(true);
  }

  test('is refused and left as it is when a newer Holdfast wrote it', async () => {
    await writeFilled();
    const db = new Sqlite(path);
    db.pragma('user_version = 99');
    db.close();
    await expectRefused(expect.objectContaining({ code: 'store-newer-schema' }));
  });

  test("is refused and left as it is when it is another program's database", async () => {
    const db = new Sqlite(path);
    db.exec('CREATE TABLE recipes (name TEXT)');
    db.close();
    await expectRefused(expect.objectContaining({ message: expect.stringContaining('another program') }));
  });

  test.for([0.9, 0.5, 0.02])('is refused and left as it is when only %d of it is there', async (part) => {
    await writeFilled();
    const { length } = await readFile(path);
    await truncate(path, Math.floor(length * part));
    await expectRefused(expect.any(StoreCorruptError));
  });

  test('is refused and left as it is when there is garbage in its middle', async () => {
    await writeFilled();
    const bytes = await readFile(path);
    bytes.fill(0xa5, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 8192);
    await writeFile(path, bytes);
    await expectRefused(expect.any(StoreCorruptError));
  });

  test.for(['hello', 'not a database\n'.repeat(1000)])('is refused when it is a text', async (text) => {
    await writeFile(path, text);
    await expectRefused(expect.any(StoreCorruptError));
  });

  test('is refused when it is a folder', async () => {
    await mkdir(path);
    await expect(SqliteStore.open(path)).rejects.toThrow(StoreUnavailableError);
  });

  test('is not made in a folder that is read-only', async (context) => {
    await chmod(folder, 0o555);
    if (process.getuid?.() !== 0) {
      await expect(SqliteStore.open(path)).rejects.toThrow(StoreUnavailableError);
      return;
    }
    // Root may write everywhere: nobody tries it.
    const nobody = await start({ uid: 65534 }).catch(() => undefined);
    if (!nobody) return context.skip('no other user may run the source here');
    expect(await nobody.obey({ do: 'open' })).toBe('store-unavailable');
  });

  test('is damaged while it is open: that is said when the damage is met', async () => {
    const store = await open();
    for (let i = 0; i < 100; i++) await append(store, 'x'.repeat(1000));
    const db = beside();
    db.unsafeMode(true);
    db.exec("PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'garbage' WHERE name = 'entries'");
    db.close();
    const outcome = await open().catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(StoreCorruptError);
  });
});

describe('a fresh file', () => {
  test('is made once by processes that start at the same moment', async () => {
    for (let round = 0; round < 3; round++) {
      path = join(folder, `round${round}`, 'store.db');
      const crew = await Promise.all(Array.from({ length: 5 }, () => start()));
      expect(await Promise.all(crew.map((worker) => worker.obey({ do: 'open' })))).toEqual(
        Array(5).fill(true),
      );
      await Promise.all(
        crew.map((worker, i) => worker.obey({ do: 'append', log: 'log', from: i, count: 1 })),
      );
      const store = await open();
      expect((await values(store)).sort()).toEqual([0, 1, 2, 3, 4]);
      await Promise.all(crew.map((worker) => worker.kill()));
    }
  });

  test('is made with its folder, and an empty file is taken for one', async () => {
    path = join(folder, 'deep', 'er', 'store.db');
    await append(await open(), 1);
    path = join(folder, 'empty.db');
    await writeFile(path, '');
    await append(await open(), 1);
  });
});

describe('several processes on one file', () => {
  test("see each other's commits, and wake for them", async () => {
    const [one, other] = await Promise.all([start(), start()]);
    const store = await open();
    await Promise.all([one.obey({ do: 'open' }), other.obey({ do: 'open' })]);
    const woken = other.obey({ do: 'wait' });
    await other.heard(1);
    const { cursor } = await store.readChanges('newest', 1);
    const here = store.waitForChanges(cursor);
    await one.obey({ do: 'append', log: 'log', from: 7, count: 1 });
    await here;
    expect(await woken).toBe(1);
    expect(await values(store)).toEqual([7]);
    const again = one.obey({ do: 'wait' });
    await one.heard(2);
    await append(store, 8);
    expect(await again).toBe(1);
  });

  test('lose nothing that was acknowledged when one is killed in the middle of appending', async () => {
    const store = await open();
    for (let round = 0; round < 3; round++) {
      const [worker, survivor] = await Promise.all([start(), start()]);
      await Promise.all([worker.obey({ do: 'open' }), survivor.obey({ do: 'open' })]);
      const log = `log${round}`;
      worker.obey({ do: 'append', log, from: 0, count: 100_000 }).catch(() => {});
      const meanwhile = survivor.obey({ do: 'append', log: `own${round}`, from: 0, count: 100 });
      await worker.heard(50);
      await worker.kill();
      expect(await meanwhile).toBe(true);
      const kept = await values(store, log);
      // One more may have been committed whose acknowledgement was not heard any more.
      expect(kept.length).toBeGreaterThanOrEqual(worker.acknowledged.length);
      expect(kept).toEqual(kept.map((_, i) => i));
      expect((await values(store, `own${round}`)).length).toBe(100);
      await append(store, 'next', log);
      expect((await values(store, log)).length).toBe(kept.length + 1);
    }
    expect(beside().pragma('integrity_check', { simple: true })).toBe('ok');
  });
});

describe("another process's lock", () => {
  test('stops no read and no timer while a commit waits for it', async () => {
    const store = await open();
    await append(store, 'first');
    const db = beside();
    db.exec('BEGIN IMMEDIATE');
    let settled = false;
    const waiting = append(store, 'second').then(() => {
      settled = true;
    });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    while (ticks < 10)
      expect(await values(store)).toEqual(await new Promise((r) => setImmediate(r, ['first'])));
    clearInterval(timer);
    expect(settled).toBe(false);
    db.exec('COMMIT');
    await waiting;
    expect(await values(store)).toEqual(['first', 'second']);
  });

  test('fails a commit that waited for too long, and the next one goes on rightly', async () => {
    const store = await open({ lockTimeoutMs: 60 });
    await append(store, 1);
    const db = beside();
    db.exec('BEGIN IMMEDIATE');
    const outcome = await append(store, 'late').catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(StoreUnavailableError);
    expect((outcome as StoreUnavailableError).hint).toContain('lockTimeoutMs');
    db.exec('COMMIT');
    expect((await append(store, 2)).results[0]?.seqs).toEqual([2]);
    expect(await values(store)).toEqual([1, 2]);
  });

  test('does not stop a store from being closed once it is gone', async () => {
    const store = await open();
    const db = beside();
    db.exec('BEGIN IMMEDIATE');
    const waiting = append(store, 1);
    await new Promise((resolve) => setImmediate(resolve));
    const closing = store.close();
    db.exec('COMMIT');
    await closing;
    await waiting;
    expect(await values(await open())).toEqual([1]);
  });
});

describe('a full disk', () => {
  test('fails commits with a hint, loses nothing acknowledged, and goes on once there is space', async (context) => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]);
    if (mounted.status !== 0) return context.skip('a small disk can not be mounted here');
    try {
      await writeFile(join(disk, 'ballast'), Buffer.alloc(1024 * 1024));
      path = join(disk, 'store.db');
      const store = await SqliteStore.open(path);
      const acknowledged: unknown[] = [];
      let failure: unknown;
      for (let i = 0; failure === undefined; i++) {
        const texts = Array.from({ length: 8 }, (_, j) => `${i}.${j}${'x'.repeat(8192)}`);
        const outcomes = await Promise.allSettled(texts.map((text) => append(store, text)));
        outcomes.forEach((outcome, j) => {
          if (outcome.status === 'fulfilled') acknowledged.push(texts[j]);
          else failure = outcome.reason;
        });
      }
      expect(failure).toBeInstanceOf(StoreUnavailableError);
      expect((failure as StoreUnavailableError).hint).toContain('disk is full');
      expect(await values(store)).toEqual(acknowledged);
      await rm(join(disk, 'ballast'));
      await append(store, 'after');
      expect(await values(store)).toEqual([...acknowledged, 'after']);
      await store.close();
      const again = await SqliteStore.open(path);
      expect(await values(again)).toEqual([...acknowledged, 'after']);
      await again.close();
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  });
});
