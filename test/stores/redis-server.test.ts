/** What only the Redis store has: its keys, its scripts, its connections, and what it says of its server. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, type TestContext, test } from 'vitest';
import { onRedis, type RedisOptions, startRedis } from '../../scripts/servers/redis.ts';
import { isHoldfastError } from '../../src/core/errors.ts';
import type { Operation, Partition, Store } from '../../src/core/store.ts';
import { RedisStore } from '../../src/stores/redis/index.ts';
import { serverUrl } from '../support/servers.ts';

const partition = (id: string): Partition => ({ tenant: 'default', type: 'session', id });
const append = (value: unknown, log = 'log'): Operation => ({
  op: 'append',
  log,
  entries: [{ value: JSON.stringify(value) }],
});
const put = (id: string, value: unknown): Operation => ({
  op: 'put',
  kind: 'note',
  id,
  value: JSON.stringify(value),
  indexes: [{ index: 'notes', key: 'k', order: 1 }],
});

/** A server of one test's own. */
async function ownServer(context: TestContext, options: RedisOptions) {
  await serverUrl('redis', context);
  return startRedis(options);
}

async function keysOf(port: number): Promise<string[]> {
  return onRedis(port, async (client) => (await client.keys('*')).sort());
}

async function valuesIn(store: Store, at: Partition): Promise<unknown[]> {
  const { entries } = await store.readLog(at, 'log', { limit: 10_000 });
  return entries.map(({ value }) => JSON.parse(value));
}

async function failure(promise: Promise<unknown>): Promise<Error & { code: string }> {
  const error = await promise.then(
    () => expect.fail('expected an error'),
    (reason: unknown) => reason,
  );
  if (!isHoldfastError(error)) throw error;
  return error;
}

test('leaves no key of a partition that was dropped', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(server.url);
  const at = partition('p');
  await store.commit({ id: 'b', partition: at, operations: [put('a', 1), put('b', 2), append(1)] });
  await store.commit({
    partition: at,
    operations: [
      { op: 'append', log: 'labelled', entries: [{ id: 'e', mark: 'm', value: '1' }] },
      { op: 'add', kind: 'count', id: 'c', deltas: { n: 1 } },
      { op: 'expire', at: 5 },
    ],
  });
  await store.commit({
    partition: at,
    operations: [{ op: 'rewrite', log: 'labelled', seq: 1, value: '2' }],
  });
  const full = await keysOf(server.port);
  expect(full.filter((key) => key.includes('default\0session\0p'))).toHaveLength(7);
  await store.commit({ partition: at, operations: [{ op: 'drop' }] });
  await store.close();
  const left = (await keysOf(server.port)).map((key) => key.replace(/^\{[^}]*\}/, '').replace(/:.*/, ''));
  expect([...new Set(left)].sort()).toEqual([
    'journal',
    'memo',
    'meta',
    'receipt-order',
    'receipts',
    'version',
  ]);
});

test('drops a partition that has got another log through another store meanwhile', async (context) => {
  await using server = await ownServer(context, {});
  const [store, other] = [await RedisStore.open(server.url), await RedisStore.open(server.url)];
  const at = partition('p');
  await store.commit({ partition: at, operations: [append(1)] });
  const writing = Array.from({ length: 20 }, (_, i) =>
    other.commit({ partition: at, operations: [append(i, `log${i}`)] }),
  );
  await store.commit({ partition: at, operations: [{ op: 'drop' }] });
  await Promise.all(writing);
  await store.commit({ partition: at, operations: [{ op: 'drop' }] });
  expect(await store.listLogs(at)).toEqual([]);
  expect((await keysOf(server.port)).filter((key) => key.includes('session'))).toEqual([]);
  await Promise.all([store.close(), other.close()]);
});

test('sets no time to live on any key but that of its last answer', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(server.url);
  await store.commit({
    partition: partition('p'),
    operations: [put('a', 1), append(1), { op: 'expire', at: 5 }],
  });
  await onRedis(server.port, async (client) => {
    for (const key of await client.keys('*')) {
      const ttl = await client.ttl(key);
      if (key.includes('}memo:')) expect(ttl).toBeGreaterThan(0);
      else expect(ttl).toBe(-1);
    }
  });
  await store.close();
});

test('goes on after the server forgot its scripts', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(server.url);
  await store.commit({ partition: partition('p'), operations: [append(1)] });
  await onRedis(server.port, (client) => client.scriptFlush());
  await Promise.all(
    [2, 3, 4].map((i) => store.commit({ partition: partition(`p${i}`), operations: [append(i)] })),
  );
  expect(await valuesIn(store, partition('p3'))).toEqual([3]);
  await onRedis(server.port, (client) => client.scriptFlush());
  expect(await valuesIn(store, partition('p'))).toEqual([1]);
  await store.close();
});

test('acknowledges every append once and in order while its connections are killed', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(server.url);
  const seqs: number[] = [];
  const write = async (writer: number) => {
    for (let i = 0; i < 40; i++) {
      const { results } = await store.commit({
        partition: partition('p'),
        operations: [append(`${writer}.${i}`)],
      });
      seqs.push(...results[0]!.seqs!);
    }
  };
  const writing = Promise.all(Array.from({ length: 5 }, (_, writer) => write(writer)));
  const kill = ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'];
  for (let done = 0; done < 180; done += 15) {
    await expect.poll(() => seqs.length, { interval: 1 }).toBeGreaterThan(done);
    await onRedis(server.port, (client) => client.sendCommand(kill));
  }
  await writing;
  const values = (await valuesIn(store, partition('p'))) as string[];
  expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  expect(new Set(values).size).toBe(200);
  for (let writer = 0; writer < 5; writer++) {
    const mine = values.filter((value) => value.startsWith(`${writer}.`));
    expect(mine).toEqual(Array.from({ length: 40 }, (_, i) => `${writer}.${i}`));
  }
  await store.close();
});

test('keeps what it acknowledged over the death of a server that syncs its file before each answer', async (context) => {
  // With `everysec` the server may put its write off while the disk is busy, and loses with its process what it holds.
  await using server = await ownServer(context, { appendOnly: 'always' });
  const store = await RedisStore.open(server.url, { timeoutMs: 60_000 });
  const acknowledged: number[] = [];
  const writing = (async () => {
    for (let i = 0; i < 200; i++) {
      await store.commit({ partition: partition('p'), operations: [append(i)] });
      acknowledged.push(i);
    }
  })();
  await expect.poll(() => acknowledged.length, { interval: 1 }).toBeGreaterThan(20);
  await server.kill();
  await server.restart();
  await writing;
  expect(await valuesIn(store, partition('p'))).toEqual(acknowledged);
  await store.close();
});

test('tells a server that does not answer from one that may have done a write', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(server.url, { timeoutMs: 2000 });
  await store.commit({ partition: partition('p'), operations: [append(1)] });
  await server.kill();
  const write = await failure(store.commit({ partition: partition('p'), operations: [append(2)] }));
  expect(write.code).toBe('store-unavailable');
  const read = await failure(store.readLog(partition('p'), 'log', { limit: 1 }));
  expect(read).toMatchObject({ code: 'store-unavailable', details: { inDoubt: false } });
  const opened = await failure(RedisStore.open(server.url, { timeoutMs: 200 }));
  expect(opened.code).toBe('store-unavailable');
  expect(await store.health()).toMatchObject({ ok: false });
  await store.close();
});

test('refuses to open a keyspace with another number of shards', async (context) => {
  const url = await serverUrl('redis', context);
  const prefix = `t-${randomUUID().slice(0, 8)}`;
  const store = await RedisStore.open(`${url}?prefix=${prefix}&shards=8`);
  await store.close();
  const error = await failure(RedisStore.open(`${url}?prefix=${prefix}`, { shards: 16 }));
  expect(error.code).toBe('config');
  expect(error.message).toContain('8');
  await (await RedisStore.open(url, { prefix })).close();
});

test('takes another keyspace for what it is: its cursors mean nothing here', async (context) => {
  const url = await serverUrl('redis', context);
  const stores = await Promise.all(
    [1, 2].map(() => RedisStore.open(url, { prefix: `t-${randomUUID().slice(0, 8)}` })),
  );
  const { cursor } = await stores[0]!.readChanges('newest', 1);
  expect((await failure(stores[1]!.readChanges(cursor, 1))).code).toBe('invalid-input');
  await Promise.all(stores.map((store) => store.close()));
});

test('warns of a server that keeps nothing on disk, and of one that throws keys away', async (context) => {
  await using server = await ownServer(context, {
    settings: { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' },
  });
  const store = await RedisStore.open(server.url);
  const { ok, problems } = await store.health();
  expect(ok).toBe(true);
  expect(problems.join('\n')).toMatch(/keeps nothing on disk.*allkeys-lru/s);
  await store.close();
});

test('says that the server has no memory left, and writes nothing then', async (context) => {
  await using server = await ownServer(context, { settings: { maxmemory: '1' } });
  const error = await failure(RedisStore.open(server.url));
  expect(error).toMatchObject({ code: 'store-unavailable', details: { redis: 'OOM' } });
  expect(await keysOf(server.port)).toEqual([]);
});

test('acknowledges nothing that no replica has where that is asked for', async (context) => {
  const url = await serverUrl('redis', context);
  const prefix = `t-${randomUUID().slice(0, 8)}`;
  await (await RedisStore.open(url, { prefix })).close();
  const error = await failure(RedisStore.open(url, { prefix, durability: 'replicated', timeoutMs: 2000 }));
  expect(error).toMatchObject({ code: 'store-unavailable', details: { inDoubt: true, found: 0 } });
});

test('acknowledges what a replica has', async (context) => {
  await using master = await ownServer(context, {});
  await using replica = await ownServer(context, {
    settings: { replicaof: `127.0.0.1 ${master.port}`, 'repl-diskless-sync-delay': '0' },
  });
  const linked = () =>
    onRedis(replica.port, async (client) => /master_link_status:up/.test(await client.info('replication')));
  await expect.poll(linked).toBe(true);
  const store = await RedisStore.open(master.url, { durability: 'replicated' });
  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      store.commit({ partition: partition(`p${i}`), operations: [append(i)] }),
    ),
  );
  await master.kill();
  await onRedis(replica.port, (client) => client.sendCommand(['REPLICAOF', 'NO', 'ONE']));
  const promoted = await RedisStore.open(replica.url);
  for (let i = 0; i < 50; i++) expect(await valuesIn(promoted, partition(`p${i}`))).toEqual([i]);
  await Promise.all([store.close(), promoted.close()]);
});

test('tells no password, and what to do about a wrong one', async (context) => {
  await using server = await ownServer(context, {});
  await onRedis(server.port, (client) => client.configSet('requirepass', 'right'));
  const errors = await Promise.all([
    failure(RedisStore.open(`redis://:s3cret@127.0.0.1:${server.port}`)),
    failure(RedisStore.open('redis://:s3cret@127.0.0.1:1', { timeoutMs: 200 })),
    failure(RedisStore.open('redis://user:s3cret@127.0.0.1:x/?shard=1&s3cret=s3cret', { timeoutMs: 200 })),
    failure(RedisStore.open(`redis://127.0.0.1:${server.port}`)),
  ]);
  expect(errors.map(({ code }) => code)).toEqual(['config', 'store-unavailable', 'config', 'config']);
  for (const error of errors.slice(0, 2)) {
    expect(`${error.message}${JSON.stringify(error)}${String(error.cause)}`).not.toContain('s3cret');
  }
  const store = await RedisStore.open(`redis://:right@127.0.0.1:${server.port}`);
  expect(JSON.stringify(await store.health())).not.toContain('right');
  await store.close();
});

test('needs no more rights than the documentation lists, and says that some are missing', async (context) => {
  await using server = await ownServer(context, {});
  const docs = await readFile(new URL('../../docs/redis.md', import.meta.url), 'utf8');
  const [, , name, ...rules] = /^ACL SETUSER .*$/m.exec(docs)![0].split(' ');
  const setUser = (...more: string[]) =>
    onRedis(server.port, (client) => client.sendCommand(['ACL', 'SETUSER', name!, ...rules, ...more]));
  await setUser();
  const url = `redis://${name}:PASSWORD@127.0.0.1:${server.port}`;
  const store = await RedisStore.open(url);
  const at = partition('p');
  await store.commit({ id: 'b', partition: at, operations: [put('a', 1), append(1)] });
  await store.commit({ partition: at, operations: [append(2)] });
  expect(await valuesIn(store, at)).toEqual([1, 2]);
  const document = { collection: 'texts', id: '1', scope: 'u', terms: ['a'], value: '1', order: 1 };
  await store.commit({ partition: at, operations: [{ op: 'index', ...document }] });
  const query = { tenant: 'default', collection: 'texts', within: { scope: 'u' }, terms: ['a'], limit: 1 };
  expect(await store.searchText(query)).toMatchObject({ documents: 1, counts: [1] });
  const { cursor } = await store.readChanges('oldest', 1);
  await store.waitForChanges(cursor);
  await store.trimChanges(cursor);
  expect(await store.health()).toMatchObject({ ok: true, facts: { role: 'master' } });
  await store.commit({ partition: at, operations: [{ op: 'drop' }] });
  expect(await onRedis(server.port, (client) => client.sendCommand(['ACL', 'LOG']))).toEqual([]);
  await setUser('-time');
  const error = await failure(store.commit({ partition: at, operations: [append(3)] }));
  expect(error.code).toBe('config');
  await store.close();
});

test('names every option and parameter that is unknown or wrong', async () => {
  const error = await failure(
    RedisStore.open('redis://localhost?shard=3&prefix=a%20b', {
      shards: 0,
      timeoutMs: -1,
      replica: 1,
    } as object),
  );
  for (const name of ['url.shard', 'shards', 'prefix', 'timeoutMs', 'replica'])
    expect(error.message).toContain(name);
});

test('wakes who waits soon, also through another store', async (context) => {
  const url = await serverUrl('redis', context);
  const prefix = `t-${randomUUID().slice(0, 8)}`;
  const [store, other] = [await RedisStore.open(url, { prefix }), await RedisStore.open(url, { prefix })];
  const { cursor } = await store.readChanges('newest', 1);
  await store.commit({ partition: partition('p'), operations: [append(0)] });
  let after = cursor;
  for (let i = 1; i < 20; i++) {
    await store.waitForChanges(after);
    after = (await store.readChanges(after, 100)).cursor;
    const waiting = store.waitForChanges(after);
    await other.commit({ partition: partition('p'), operations: [append(i)] });
    await waiting;
  }
  await Promise.all([store.close(), other.close()]);
});
