import fc from 'fast-check';
import pg from 'pg';
import { expect } from 'vitest';
import { onPostgres } from '../../scripts/servers/postgres.ts';
import type { Operation, Store, TextQuery } from '../../src/core/store.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { PostgresStore } from '../../src/stores/postgres/index.ts';
import { migrationsFrom } from '../../src/stores/postgres/schema.ts';
import { search, text } from '../../src/testing/texts.ts';
import { append, commit, partition, times } from '../../src/testing/words.ts';
import { createPlace, needs, removePlace } from '../support/servers.ts';

const { describe, it } = needs('postgres');

const WORDS = times(12, (i) => `w${i}`);
const at = fc.constantFrom(partition('p'), partition('q'), partition('p', 'other'));
const scope = fc.constantFrom('u', 'u', 'u', 'v');
const terms = fc.uniqueArray(fc.constantFrom(...WORDS), { maxLength: 8 });
const index = fc
  .record({ id: fc.integer({ min: 0, max: 99 }), terms, scope, order: fc.integer({ min: 0, max: 9 }) })
  .map(({ id, terms, scope, order }): Operation => text(`${id}`, terms.join(' '), { scope, order }));
const unindex = fc
  .integer({ min: 0, max: 99 })
  .map((id): Operation => ({ op: 'unindex', collection: 'texts', id: `${id}` }));
const operation = fc.oneof({ weight: 9, arbitrary: index }, { weight: 1, arbitrary: unindex });
const batch = fc.record({
  at,
  operations: fc.uniqueArray(operation, { minLength: 1, maxLength: 60, selector: (o) => 'id' in o && o.id }),
});
const query = fc.record({ terms, limit: fc.integer({ min: 0, max: 40 }), at, scope, byScope: fc.boolean() });

async function inPlace(body: (store: PostgresStore, schema: string, client: pg.Client) => Promise<void>) {
  const url = await createPlace('postgres');
  const client = new pg.Client({ connectionString: url.replace(/\?.*/, '') });
  await client.connect();
  const store = await PostgresStore.open(url, { durability: 'normal' });
  try {
    await body(store, new URL(url).searchParams.get('schema')!, client);
  } finally {
    await store.close();
    await client.end();
    await removePlace(url);
  }
}

async function blocks(client: pg.Client, schema: string): Promise<{ joined: boolean; terms: string }[]> {
  return (await client.query(`SELECT joined, terms::text FROM ${schema}.text_blocks`)).rows;
}

describe('texts in Postgres', () => {
  it('are found with the ranks and scores that the memory store finds, whatever was indexed before', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(batch, { minLength: 4, maxLength: 10 }),
        fc.array(query, { minLength: 10, maxLength: 20 }),
        (batches, queries) =>
          inPlace(async (store) => {
            const model = new MemoryStore();
            for (const { at, operations } of batches)
              for (const each of [store, model]) await commit(each, at, ...operations);
            for (const { terms, limit, at, scope, byScope } of queries) {
              const within = byScope ? { scope } : { partition: at };
              const asked = { tenant: at.tenant, collection: 'texts', within, terms, limit };
              const ask = (each: Store, query: TextQuery) => each.searchText(query);
              expect(await ask(store, asked)).toEqual(await ask(model, asked));
            }
          }),
      ),
      { numRuns: 12 },
    ));

  it('share a block where there are many, and leave nothing in it when they go', () =>
    inPlace(async (store, schema, client) => {
      await commit(store, partition(), ...times(40, (i) => text(`${i}`, `all word${i}`)));
      const joined = async () => (await blocks(client, schema)).filter((block) => block.joined);
      expect((await joined()).length).toBe(1);
      expect((await joined())[0]!.terms).toContain('word7');
      await commit(store, partition(), { op: 'unindex', collection: 'texts', id: '7' });
      expect((await joined())[0]!.terms).not.toContain('word7');
      await commit(store, partition(), text('8', 'other'));
      expect((await joined())[0]!.terms).not.toContain('word8');
      expect((await search(store, 'all word7 word8 word9 other')).counts).toEqual([38, 0, 0, 1, 1]);
      for (let i = 0; i < 40; i++)
        await commit(store, partition(), { op: 'unindex', collection: 'texts', id: `${i}` });
      expect(await blocks(client, schema)).toEqual([]);
    }));

  it('take more terms than one tsvector holds, and few with many terms each', () =>
    inPlace(async (store) => {
      const long = (n: number) => times(n, (i) => `${i}`.padStart(64, 'x'));
      await commit(store, partition(), text('0', long(20_000).join(' ')));
      await commit(store, partition(), ...times(40, (i) => text(`${i + 1}`, long(1000).join(' '))));
      const { counts, documents } = await search(store, `${long(1)[0]} ${long(20_000)[19_999]}`);
      expect([counts, documents]).toEqual([[41, 1], 41]);
    }));

  it('are kept in tables that were made before there was a full-text index', async () => {
    const url = await createPlace('postgres');
    const schema = new URL(url).searchParams.get('schema')!;
    await onPostgres(url.replace(/\?.*/, ''), (client) => client.query(migrationsFrom(0, schema)[0]!));
    const store = await PostgresStore.open(url, { durability: 'normal' });
    await commit(store, partition(), append([1]), text('1', 'x'));
    expect((await search(store, 'x')).documents).toBe(1);
    await commit(store, partition(), { op: 'drop' });
    expect((await search(store, 'x')).documents).toBe(0);
    await store.close();
    await removePlace(url);
  });
});
