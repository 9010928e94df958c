/** How texts are searched in Redis: by walking them, in steps. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, type TestContext, test } from 'vitest';
import { onRedis, startRedis } from '../../scripts/servers/redis.ts';
import type { Operation, Partition, Store, TextQuery } from '../../src/core/store.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { RedisStore } from '../../src/stores/redis/index.ts';
import { serverUrl } from '../support/servers.ts';

const partition = (id: string): Partition => ({ tenant: 'default', type: 'session', id });

function text(id: number, words: string, scope = 'u'): Operation {
  const terms = words.split(' ');
  return { op: 'index', collection: 'texts', id: String(id), scope, terms, value: `{"of":${id}}`, order: id };
}

function embed(id: number, model: string, ...values: string[]): Operation {
  const vectors = values.map((value, i) => ({ key: String(i), values: value }));
  return { op: 'embed', collection: 'texts', id: String(id), model, vectors };
}

function search(store: Store, words: string, within: TextQuery['within'], more: Partial<TextQuery> = {}) {
  const terms = words.split(' ');
  return store.searchText({ tenant: 'default', collection: 'texts', within, terms, limit: 5, ...more });
}

async function open(context: TestContext): Promise<RedisStore> {
  const url = await serverUrl('redis', context);
  return RedisStore.open(url, { prefix: `t-${randomUUID().slice(0, 8)}` });
}

async function ownServer(context: TestContext) {
  await serverUrl('redis', context);
  return startRedis({});
}

test('walks a large place in several short calls', async (context) => {
  await using server = await ownServer(context);
  const store = await RedisStore.open(server.url);
  const operations = Array.from({ length: 1000 }, (_, i) => text(i, i % 100 === 0 ? 'all rare' : 'all'));
  await store.commit({ partition: partition('p'), operations });
  await onRedis(server.port, (client) => client.sendCommand(['CONFIG', 'RESETSTAT']));
  const found = await search(store, 'rare all', { partition: partition('p') });
  expect([found.documents, found.counts]).toEqual([1000, [10, 1000]]);
  expect(found.hits.map(({ id }) => id)).toEqual(['900', '800', '700', '600', '500']);
  const stats = await onRedis(server.port, (client) => client.info('commandstats'));
  expect(Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])).toBeGreaterThanOrEqual(4);
  await store.close();
});

test('stops sooner where documents are large', async (context) => {
  const store = await open(context);
  const many = Array.from({ length: 20_000 }, (_, i) => `long${String(i).padStart(30, '0')}`).join(' ');
  for (let i = 0; i < 70; i++)
    await store.commit({ partition: partition('p'), operations: [text(i, `${many} n${i}`)] });
  const found = await search(store, 'n3 n69', { partition: partition('p') }, { limit: 2 });
  expect([found.documents, found.counts]).toEqual([70, [1, 1]]);
  expect(found.hits.map(({ id }) => id)).toEqual(['69', '3']);
  await store.close();
});

test('finds what a scope has in thousands of partitions', async (context) => {
  const store = await open(context);
  await Promise.all(
    Array.from({ length: 2500 }, (_, i) =>
      store.commit({ partition: partition(`p${i}`), operations: [text(i, `all n${i}`)] }),
    ),
  );
  const found = await search(store, 'n7 all n2400', { scope: 'u' }, { limit: 3 });
  expect([found.documents, found.counts]).toEqual([2500, [1, 2500, 1]]);
  expect(found.hits.map((hit) => hit.partition.id)).toEqual(['p2400', 'p7', 'p2499']);
  await store.close();
});

test('reads no more of a place that is small than it has to', async (context) => {
  await using server = await ownServer(context);
  const store = await RedisStore.open(server.url);
  await store.commit({ partition: partition('p'), operations: [text(1, 'a'), text(2, 'b')] });
  await onRedis(server.port, (client) => client.sendCommand(['CONFIG', 'RESETSTAT']));
  const { hits } = await search(store, 'a', { partition: partition('p') });
  expect(hits.map(({ value }) => value)).toEqual(['{"of":1}', '{"of":2}']);
  const stats = await onRedis(server.port, (client) => client.info('commandstats'));
  expect(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]).toBe('1');
  await store.close();
});

test('leaves nothing of documents and vectors that went, one by one or with their partition', async (context) => {
  await using server = await ownServer(context);
  const store = await RedisStore.open(server.url);
  const at = partition('p');
  const left = () =>
    onRedis(server.port, async (client) => {
      const texts = (await client.keys('*}t:*')).length;
      const [index] = await client.keys('*}index');
      const members = index === undefined ? [] : await client.zRange(index, 0, -1);
      return [texts, members.filter((member) => member.startsWith('\0\0')).length];
    });
  const all = [text(1, 'a'), text(2, 'b', 'v'), embed(1, 'm', 'AAAAAA=='), embed(1, 'n', 'AAAAAA==')];
  await store.commit({ partition: at, operations: [{ op: 'expire', at: 5 }] });
  await store.commit({ partition: at, operations: all });
  expect(await left()).toEqual([1, 2]);
  await store.commit({ partition: at, operations: [{ op: 'unindex', collection: 'texts', id: '2' }] });
  expect(await left()).toEqual([1, 1]);
  await store.commit({ partition: at, operations: [{ op: 'unindex', collection: 'texts' }] });
  expect(await left()).toEqual([0, 0]);
  await store.commit({ partition: at, operations: all });
  await store.commit({ partition: at, operations: [{ op: 'drop' }] });
  expect(await left()).toEqual([0, 0]);
  expect(await onRedis(server.port, (client) => client.keys('*default*'))).toEqual([]);
  await store.close();
});

test('finds what the store in memory finds, whatever came and went', async (context) => {
  const word = fc.constantFrom('a', 'ab', 'abc', 'b', '1', '12', '2', 'aba', 'b1');
  const words = fc.uniqueArray(word, { maxLength: 5 });
  const id = fc.constantFrom('1', '2', '3', '10');
  const where = { collection: fc.constantFrom('c', 'd'), id };
  const operation: fc.Arbitrary<Operation> = fc.oneof(
    fc.record({
      op: fc.constant('index' as const),
      ...where,
      scope: fc.constantFrom('u', 'v'),
      terms: words,
      value: fc.integer().map(String),
      order: fc.integer({ min: -3, max: 3 }),
    }),
    fc.record({ op: fc.constant('unindex' as const), ...where }, { requiredKeys: ['op', 'collection'] }),
    fc.record({
      op: fc.constant('embed' as const),
      ...where,
      model: fc.constantFrom('m', 'Abc'),
      vectors: fc.array(fc.record({ key: id, values: fc.constantFrom('AAAAAA==', 'AACAPw==') }), {
        maxLength: 2,
      }),
    }),
    fc.constant({ op: 'drop' as const }),
  );
  const at = fc.constantFrom('p', 'q', 'r').map(partition);
  const query = fc.record({
    tenant: fc.constant('default'),
    collection: where.collection,
    within: fc.oneof(
      at.map((found) => ({ partition: found })),
      fc.constantFrom('u', 'v').map((scope) => ({ scope })),
    ),
    terms: words,
    limit: fc.integer({ min: 0, max: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ partition: at, operation }), { maxLength: 25 }),
      fc.array(query, { minLength: 1, maxLength: 4 }),
      async (writes, queries) => {
        const stores = [await open(context), new MemoryStore()];
        const found = await Promise.all(
          stores.map(async (store) => {
            const results = [];
            for (const { partition: to, operation: one } of writes)
              results.push((await store.commit({ partition: to, operations: [one] })).results);
            const answers = await Promise.all(queries.map((asked) => store.searchText(asked)));
            await store.close();
            return { results, answers };
          }),
        );
        expect(found[0]).toEqual(found[1]);
      },
    ),
    { numRuns: 60 },
  );
});
