import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Operation, Partition, Store, TextMatches, TextQuery } from '../../src/core/store.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { TextCleaner } from '../../src/stores/sqlite/text-cleaner.ts';

const P: Partition = { tenant: 'default', type: 'session', id: 'p' };
const Q: Partition = { ...P, id: 'q' };
let folder: string;
let path: string;
let opened: { close(): unknown }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  path = join(folder, 'store.db');
  opened = [];
});

afterEach(async () => {
  for (const one of opened) await one.close();
  await rm(folder, { recursive: true });
});

async function open(file = path): Promise<SqliteStore> {
  const store = await SqliteStore.open(file);
  opened.push(store);
  return store;
}

function beside(file = path): Sqlite.Database {
  const db = new Sqlite(file);
  opened.push(db);
  return db;
}

function index(id: string, words: string, more: Partial<Operation & { op: 'index' }> = {}): Operation {
  const terms = words.split(' ').filter((word) => word !== '');
  return { op: 'index', collection: 'texts', id, scope: 'u', terms, value: '{}', order: 0, ...more };
}

function search(store: Store, words: string, more: Partial<TextQuery> = {}): Promise<TextMatches> {
  const terms = words.split(' ');
  const within = { partition: P };
  return store.searchText({ tenant: 'default', collection: 'texts', within, terms, limit: 100, ...more });
}

const commit = (store: Store, partition: Partition, ...operations: Operation[]) =>
  store.commit({ partition, operations });

/** How many texts are taken out that the index was not cleared of yet. */
const countAside = (db: Sqlite.Database) =>
  db.prepare('SELECT count(*) FROM texts WHERE place < 0').pluck().get() as number;

function cleared(db: Sqlite.Database): Promise<void> {
  return vi.waitFor(() => expect(countAside(db)).toBe(0), { interval: 5 });
}

/** Whether any page of the index has that in it. */
const isInIndex = (db: Sqlite.Database, part: string) =>
  (db.prepare('SELECT block FROM text_terms_data').pluck().all() as Buffer[]).some((page) =>
    page.includes(part),
  );

/** Directions that no rounding mistakes for one another. */
const direction = fc.integer({ min: 0, max: 11 }).map((hour) => {
  const angle = (hour / 12) * Math.PI;
  return Buffer.from(new Float32Array([Math.cos(angle), Math.sin(angle)]).buffer).toString('base64');
});
const id = fc.constantFrom('1', '2', '3', '4', '5');
const collection = fc.constantFrom('texts', 'notes');
const scope = fc.constantFrom('u', 'v');
const terms = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', '1a'), { maxLength: 6 });
const model = fc.constantFrom('m', 'n');
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('index' as const),
      collection,
      id,
      scope,
      terms,
      value: fc.integer().map(String),
      order: fc.integer({ min: -2, max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      { op: fc.constant('unindex' as const), collection, id },
      { requiredKeys: ['op', 'collection'] },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('embed' as const),
      collection,
      id,
      model,
      vectors: fc.array(fc.record({ key: fc.constantFrom('0', '1'), values: direction }), { maxLength: 2 }),
    }),
  },
);
const targetOf = ({ op, ...rest }: Operation) =>
  'collection' in rest ? [op, rest.collection, 'id' in rest ? rest.id : '', 'model' in rest].join() : op;
const batch = fc.record({
  partition: fc.constantFrom(P, Q, { ...P, tenant: 'other' }),
  operations: fc.oneof(
    { weight: 8, arbitrary: fc.uniqueArray(operation, { minLength: 1, maxLength: 8, selector: targetOf }) },
    { weight: 1, arbitrary: fc.constant<Operation[]>([{ op: 'drop' }]) },
  ),
});
/** Whether to wait until the index is cleared of what a batch has taken out. */
const clearing = fc.oneof(
  { weight: 7, arbitrary: fc.constant(false) },
  { weight: 1, arbitrary: fc.constant(true) },
);
const query: fc.Arbitrary<TextQuery> = fc
  .record(
    {
      partition: fc.constantFrom(P, Q),
      scope: fc.option(scope),
      collection,
      terms,
      limit: fc.integer({ min: 0, max: 6 }),
      near: fc.record({ model, values: direction }),
    },
    { requiredKeys: ['partition', 'scope', 'collection', 'terms', 'limit'] },
  )
  .map(({ partition, scope, ...rest }) => {
    const within = scope === null ? { partition } : { scope };
    return { tenant: 'default', within, ...rest };
  });

test('finds what the memory store finds, whatever came and went, through whichever opened store', async () => {
  let files = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(batch, clearing), { minLength: 1, maxLength: 25 }),
      fc.array(query, { minLength: 6, maxLength: 6 }),
      async (batches, queries) => {
        const model = new MemoryStore();
        const file = join(folder, `${files++}.db`);
        const stores = [await open(file), await open(file)] as const;
        const db = beside(file);
        const compare = async () => {
          for (const one of queries)
            for (const store of stores)
              expect(await store.searchText(one)).toEqual(await model.searchText(one));
        };
        for (const [i, [one, clears]] of batches.entries()) {
          const { results } = await model.commit(one);
          expect((await stores[i % 2]!.commit(one)).results).toEqual(results);
          if (clears) await cleared(db);
        }
        await compare();
        await cleared(db);
        await compare();
        db.exec("INSERT INTO text_terms (text_terms) VALUES ('integrity-check')");
        const kept = db.prepare('SELECT count(*) FROM text_vectors WHERE text NOT IN (SELECT pk FROM texts)');
        expect(kept.pluck().get()).toBe(0);
        for (const one of opened.splice(0)) await one.close();
      },
    ),
    { numRuns: 60 },
  );
});

test('keeps no word of a text that was taken out, changed or dropped', async () => {
  const store = await open();
  const others = Array.from({ length: 40 }, (_, i) => index(`o${i}`, `harmless words n${i}`));
  await commit(store, P, ...others, index('1', 'mysecret harmless'));
  await commit(store, P, index('2', 'mysecret harmless', { scope: 'private' }));
  await commit(store, Q, index('1', 'mysecret', { scope: 'private' }));
  const db = beside();
  await commit(store, P, { op: 'unindex', collection: 'texts', id: '1' });
  await cleared(db);
  expect(isInIndex(db, 'secret')).toBe(true);
  await commit(store, Q, { op: 'drop' });
  await cleared(db);
  expect(isInIndex(db, 'secret')).toBe(true);
  await commit(store, P, index('2', 'harmless'));
  expect(isInIndex(db, 'secret')).toBe(false);
  expect(db.prepare('SELECT scope FROM text_places').pluck().all()).toEqual(['u']);
  expect((await search(store, 'harmless')).documents).toBe(41);
});

test('adds only what is new of a text that has grown', async () => {
  const store = await open();
  const words = Array.from({ length: 400 }, (_, i) => `w${i}`);
  await commit(store, P, index('1', words.join(' ')));
  const db = beside();
  const bytes = db.prepare('SELECT sum(length(block)) FROM text_terms_data').pluck();
  const before = bytes.get() as number;
  for (let i = 0; i < 10; i++) {
    words.push(`more${i}`);
    await commit(store, P, index('1', words.join(' ')));
  }
  expect(bytes.get() as number).toBeLessThan(before * 1.5);
  expect((await search(store, 'w0 w399 more0 more9')).counts).toEqual([1, 1, 1, 1]);
});

test('takes a key that is free again when the last ones of a partition are used up', async () => {
  const store = await open();
  await commit(store, P, index('1', 'one'), index('2', 'two'), index('3', 'three'));
  await commit(store, P, { op: 'unindex', collection: 'texts', id: '2' });
  const db = beside();
  await cleared(db);
  const last = db.prepare('SELECT partition * 1048576 + 1048575 FROM texts').pluck().get();
  db.prepare("INSERT INTO texts SELECT ?, partition, 'x', 'x', place, 0, '', '' FROM texts LIMIT 1").run(
    last,
  );
  await commit(store, P, index('4', 'four'));
  const found = await search(store, 'one two three four', { limit: 1 });
  expect(found.counts).toEqual([1, 0, 1, 1]);
  expect(found.documents).toBe(3);
});

test('numbers no partition so that its texts are taken for those of another', async () => {
  const store = await open();
  const partitions = Array.from({ length: 3000 }, (_, i) => ({ ...P, id: `p${i}` }));
  // Keys go beyond 32 bits.
  await Promise.all(partitions.map((one, i) => commit(store, one, index('1', i % 2 ? 'odd' : 'even'))));
  const within = (partition: Partition) => ({ within: { partition } });
  expect((await search(store, 'odd even', within(partitions[2999]!))).counts).toEqual([1, 0]);
  expect((await search(store, 'odd even', within(partitions[2998]!))).counts).toEqual([0, 1]);
  const all = await search(store, 'odd even', { within: { scope: 'u' } });
  expect([all.documents, all.counts]).toEqual([3000, [1500, 1500]]);
});

test('finds by terms alone where sqlite-vec is not installed, and says so', async () => {
  const values = Buffer.from(new Float32Array([1, 0]).buffer).toString('base64');
  await commit(await open(), P, index('1', 'x'), {
    op: 'embed',
    collection: 'texts',
    id: '1',
    model: 'm',
    vectors: [{ key: '0', values }],
  });
  const missing = `import { registerHooks } from 'node:module';
    registerHooks({ resolve(name, context, next) {
      if (name !== 'sqlite-vec') return next(name, context);
      throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' });
    } });`;
  const program = `import { SqliteStore } from './src/stores/sqlite/index.ts';
    const store = await SqliteStore.open(process.argv[1]);
    const within = { partition: ${JSON.stringify(P)} };
    const query = { tenant: 'default', collection: 'texts', within, terms: ['x'], limit: 0 };
    const near = { model: 'm', values: '${values}' };
    const { hits } = await store.searchText({ ...query, near });
    const found = await store.searchText({ ...query, near, limit: 1 });
    const { facts } = await store.health();
    console.log(JSON.stringify([store.features.vectorSearch, facts.vectorSearch, hits, found.hits[0].vectors]));
    await store.close();`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(missing)}`];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...args, '--input-type=module', '-e', program, path],
    { encoding: 'utf8' },
  );
  expect(JSON.parse(stdout || stderr)).toEqual([
    false,
    'sqlite-vec is not installed',
    [],
    [{ key: '0', values }],
  ]);
});

describe('texts that are taken out', () => {
  const many = (count: number, words: string) =>
    Array.from({ length: count }, (_, i) => index(`${i}`, `${words} n${i}`, { order: i }));
  const scope = { within: { scope: 'u' } };
  const dropped: [string, Operation][] = [
    ['by a drop', { op: 'drop' }],
    ['by their collection', { op: 'unindex', collection: 'texts' }],
  ];

  test.for(dropped)('%s are cleared away after the commit, a few at a time', async ([_, operation]) => {
    const store = await open();
    await commit(store, P, ...many(100, 'apple'));
    await commit(store, Q, index('1', 'apple'));
    const db = beside();
    const left = db.prepare('SELECT count(*) FROM texts').pluck();
    await commit(store, P, operation);
    // No document is cleared away in the commit itself.
    expect([left.get(), countAside(db)]).toEqual([101, 100]);
    expect((await store.health()).facts.textsToClear).toBe(100);
    expect(await search(store, 'apple n7')).toEqual({ documents: 0, counts: [0, 0], hits: [] });
    const found = await search(store, 'apple n7', scope);
    expect([found.documents, found.counts, found.hits.length]).toEqual([1, [1, 0], 1]);
    const steps = [100];
    await vi.waitFor(
      () => {
        if (countAside(db) < steps.at(-1)!) steps.push(countAside(db));
        expect(steps.at(-1)).toBe(0);
      },
      { interval: 1 },
    );
    expect(steps.length).toBeGreaterThan(10);
    expect(left.get()).toBe(1);
    expect((await store.health()).facts.textsToClear).toBe(0);
  });

  test('do not stand in the way of others under their names', async () => {
    const store = await open();
    await commit(store, P, ...many(50, 'apple'));
    const db = beside();
    await commit(store, P, { op: 'drop' });
    await commit(store, P, ...many(50, 'pear'));
    await commit(store, P, { op: 'unindex', collection: 'texts' });
    await commit(store, P, index('3', 'pear plum', { scope: 'v' }), index('4', 'plum'));
    expect(countAside(db)).toBeGreaterThan(40);
    for (const wait of [async () => {}, () => cleared(db)]) {
      await wait();
      const found = await search(store, 'apple pear plum n3');
      expect([found.documents, found.counts]).toEqual([2, [0, 1, 2, 0]]);
      const inScope = await search(store, 'apple pear plum n4', scope);
      expect([inScope.documents, inScope.counts]).toEqual([1, [0, 0, 1, 0]]);
    }
    expect(isInIndex(db, 'apple')).toBe(false);
    expect(db.prepare('SELECT count(*) FROM text_places').pluck().get()).toBe(2);
    db.exec("INSERT INTO text_terms (text_terms) VALUES ('integrity-check')");
  });

  test('are cleared away when the file is opened again after a kill', async () => {
    const program = `import { SqliteStore } from './src/stores/sqlite/index.ts';
      const store = await SqliteStore.open(process.argv[1]);
      const commit = (...operations) => store.commit({ partition: ${JSON.stringify(P)}, operations });
      await commit(...${JSON.stringify(many(60, 'mysecret'))});
      await commit({ op: 'drop' });
      process.kill(process.pid, 'SIGKILL');`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program, path]);
    expect(signal).toBe('SIGKILL');
    const db = beside();
    expect(countAside(db)).toBe(60);
    expect(isInIndex(db, 'secret')).toBe(true);
    const store = await open();
    expect((await search(store, 'mysecret', scope)).counts).toEqual([0]);
    await cleared(db);
    expect(isInIndex(db, 'secret')).toBe(false);
  });

  test('are cleared away as far as it is soon done when the file is closed', async () => {
    const store = await open();
    await commit(store, P, ...many(200, 'apple'));
    await commit(store, Q, ...many(8, 'apple'));
    await commit(store, Q, { op: 'drop' });
    await store.close();
    const db = beside();
    expect(countAside(db)).toBe(0);
    const again = await open();
    await commit(again, P, { op: 'drop' });
    await again.close();
    expect(countAside(db)).toBeGreaterThan(100);
    // The scope keeps its number while terms have it before them: texts that come back need not be indexed anew.
    expect(db.prepare('SELECT scope FROM text_places').pluck().all()).toEqual(['u']);
  });

  test('stay where somebody only looks at the file for a moment', async () => {
    const store = await open();
    await commit(store, P, ...many(200, 'apple'));
    await commit(store, P, { op: 'drop' });
    await store.close();
    const db = beside();
    const before = countAside(db);
    const onlooker = await open();
    expect((await onlooker.health()).facts.textsToClear).toBe(before);
    await onlooker.close();
    expect(countAside(db)).toBe(before);
  });

  test('are cleared away when another process is done with its long write', async () => {
    await open();
    const [writer, db] = [beside(), beside()];
    db.pragma('busy_timeout = 1');
    writer.exec('BEGIN IMMEDIATE');
    const tries: string[] = [];
    const cleaner = new TextCleaner(() => {
      tries.push('failed');
      db.exec('BEGIN IMMEDIATE; COMMIT');
      tries.push('cleared');
      return false;
    });
    cleaner.committed();
    await vi.waitFor(() => expect(tries.length).toBeGreaterThan(1));
    writer.exec('COMMIT');
    await vi.waitFor(() => expect(tries).toContain('cleared'));
    await cleaner.close();
  });
});
