import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Operation, Partition, Store, TextMatches, TextQuery } from '../../src/core/store.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';

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
      fc.array(batch, { minLength: 1, maxLength: 25 }),
      fc.array(query, { minLength: 6, maxLength: 6 }),
      async (batches, queries) => {
        const model = new MemoryStore();
        const file = join(folder, `${files++}.db`);
        const stores = [await open(file), await open(file)] as const;
        for (const [i, one] of batches.entries()) {
          const { results } = await model.commit(one);
          expect((await stores[i % 2]!.commit(one)).results).toEqual(results);
        }
        for (const one of queries)
          for (const store of stores)
            expect(await store.searchText(one)).toEqual(await model.searchText(one));
        const db = beside(file);
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
  const pages = db.prepare('SELECT block FROM text_terms_data').pluck();
  const isLeft = () => (pages.all() as Buffer[]).some((page) => page.includes('secret'));
  await commit(store, P, { op: 'unindex', collection: 'texts', id: '1' });
  expect(isLeft()).toBe(true);
  await commit(store, Q, { op: 'drop' });
  expect(isLeft()).toBe(true);
  await commit(store, P, index('2', 'harmless'));
  expect(isLeft()).toBe(false);
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
