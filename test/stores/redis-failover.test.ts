/** A Redis server that is replaced, is away, takes nobody else in, or is not what the URL says. */
import { type AddressInfo, connect as connectTo, createServer, type Server as NetServer } from 'node:net';
import { createClient } from 'redis';
import { expect, type TestContext, test } from 'vitest';
import { onRedis, type RedisOptions, startRedis } from '../../scripts/servers/redis.ts';
import { startRedisCluster } from '../../scripts/servers/redis-cluster.ts';
import type { Partition, Store } from '../../src/core/store.ts';
import { RedisStore } from '../../src/stores/redis/index.ts';
import { serverUrl } from '../support/servers.ts';

const at: Partition = { tenant: 'default', type: 'session', id: 'p' };
const commit = (store: Store, value: number) =>
  store.commit({
    partition: at,
    operations: [{ op: 'append', log: 'log', entries: [{ value: String(value) }] }],
  });

async function ownServer(context: TestContext, options: RedisOptions = {}) {
  await serverUrl('redis', context);
  return startRedis(options);
}

/** A name that leads to one server or another: connections stay where they were made. */
async function startName(target: () => number): Promise<{ url: string; server: NetServer }> {
  const server = createServer((client) => {
    const upstream = connectTo(target(), '127.0.0.1');
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

test('follows a name to the new master when two servers change roles', async (context) => {
  await using first = await ownServer(context);
  await using second = await ownServer(context, { settings: { replicaof: `127.0.0.1 ${first.port}` } });
  const linked = () =>
    onRedis(second.port, async (client) => /master_link_status:up/.test(await client.info('replication')));
  await expect.poll(linked).toBe(true);
  let master = first.port;
  const name = await startName(() => master);
  const store = await RedisStore.open(name.url, { timeoutMs: 20_000 });
  await commit(store, 1);
  await onRedis(second.port, (client) => client.sendCommand(['REPLICAOF', 'NO', 'ONE']));
  await onRedis(first.port, (client) => client.sendCommand(['REPLICAOF', '127.0.0.1', String(second.port)]));
  master = second.port;
  for (const value of [2, 3]) await commit(store, value);
  const { entries } = await store.readLog(at, 'log', { limit: 10 });
  expect(entries.map(({ value }) => value)).toContain('3');
  await store.close();
  name.server.close();
});

test('takes a server that lets nobody else in for one that is away', async (context) => {
  await using server = await ownServer(context);
  const clients = Array.from({ length: 4 }, () =>
    createClient({ url: server.url, socket: { reconnectStrategy: false } }).on('error', () => {}),
  );
  await Promise.all(clients.map((client) => client.connect()));
  await clients[0]!.configSet('maxclients', '4');
  await expect(RedisStore.open(server.url, { timeoutMs: 300 })).rejects.toMatchObject({
    code: 'store-unavailable',
    details: { inDoubt: false },
  });
  for (const client of clients) if (client.isOpen) client.destroy();
});

test('fails at once while the server is known to be away, and works once it is back', async (context) => {
  await using server = await ownServer(context, { appendOnly: 'no' });
  const store = await RedisStore.open(server.url, { timeoutMs: 2000 });
  await commit(store, 1);
  await server.kill();
  await expect(commit(store, 2)).rejects.toMatchObject({ code: 'store-unavailable' });
  for (let i = 0; i < 50; i++) {
    await expect(commit(store, 3)).rejects.toThrow('a moment ago');
    await expect(store.readLog(at, 'log', { limit: 1 })).rejects.toThrow('a moment ago');
  }
  expect(await store.health()).toMatchObject({ ok: false });
  await server.restart();
  await expect
    .poll(() =>
      commit(store, 4).then(
        () => 'done',
        () => 'away',
      ),
    )
    .toBe('done');
  await store.close();
});

test('fails nothing on the other masters of a cluster while one is away', async (context) => {
  await serverUrl('redis-cluster', context);
  await using cluster = await startRedisCluster({
    nodeTimeoutMs: 60_000,
    settings: { 'cluster-require-full-coverage': 'no' },
  });
  const store = await RedisStore.open(cluster.url, { timeoutMs: 3000 });
  const into = (i: number) =>
    store
      .commit({
        partition: { ...at, id: `p${i}` },
        operations: [{ op: 'append', log: 'log', entries: [{ value: '1' }] }],
      })
      .then(
        () => 'done',
        (error: Error) => (error.message.includes('a moment ago') ? 'at once' : 'late'),
      );
  const all = () => Promise.all(Array.from({ length: 60 }, (_, i) => into(i)));
  expect(new Set(await all())).toEqual(new Set(['done']));
  await cluster.nodes[2]!.kill();
  const first = await all();
  expect(new Set(first)).toEqual(new Set(['done', 'late']));
  const second = await all();
  expect(second).toEqual(first.map((outcome) => (outcome === 'late' ? 'at once' : outcome)));
  await store.close();
});

test('says which scheme a URL has to have for a cluster, and for a single server', async (context) => {
  await serverUrl('redis-cluster', context);
  await using cluster = await startRedisCluster({ nodeTimeoutMs: 60_000 });
  await using server = await ownServer(context);
  for (const { port } of cluster.nodes) {
    await expect(RedisStore.open(`redis://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'config',
      hint: expect.stringContaining('redis-cluster://'),
    });
  }
  await expect(RedisStore.open(`redis-cluster://127.0.0.1:${server.port}`)).rejects.toMatchObject({
    code: 'config',
    hint: expect.stringContaining('redis://'),
  });
});
