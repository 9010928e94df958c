/** A cluster that changes while the Redis store is at work. */
import { expect, type TestContext, test } from 'vitest';
import { onRedis } from '../../scripts/servers/redis.ts';
import { startRedisCluster } from '../../scripts/servers/redis-cluster.ts';
import type { Partition, Store } from '../../src/core/store.ts';
import { RedisStore } from '../../src/stores/redis/index.ts';
import { slotOf } from '../../src/stores/redis/keys.ts';
import { serverUrl } from '../support/servers.ts';

const SHARDS = 4;
const partition = (id: string): Partition => ({ tenant: 'default', type: 'session', id });

/** Each writer appends its numbers to a partition of its own and counts them, until it is stopped. */
async function write(
  store: Store,
  writer: number,
  stopped: () => boolean,
  acknowledged: number[],
): Promise<void> {
  for (let i = 1; !stopped(); i++) {
    await store.commit({
      partition: partition(`p${writer}`),
      operations: [
        { op: 'append', log: i % 5 === 0 ? `log${i}` : 'log', entries: [{ value: String(i) }] },
        { op: 'add', kind: 'count', id: 'c', deltas: { n: 1 } },
      ],
    });
    acknowledged[writer] = i;
  }
}

interface Node {
  readonly port: number;
  readonly id: string;
}

/** Moves a slot as redis-cli does: key by key, while it is in use. */
async function moveSlot(slot: number, from: Node, to: Node, others: readonly Node[]): Promise<number> {
  let moved = 0;
  const set = (node: Node, ...how: string[]) =>
    onRedis(node.port, (client) => client.sendCommand(['CLUSTER', 'SETSLOT', String(slot), ...how]));
  await set(to, 'IMPORTING', from.id);
  await set(from, 'MIGRATING', to.id);
  await onRedis(from.port, async (client) => {
    for (;;) {
      const keys = (await client.sendCommand(['CLUSTER', 'GETKEYSINSLOT', String(slot), '1'])) as string[];
      if (keys.length === 0) return;
      await client.sendCommand(['MIGRATE', '127.0.0.1', String(to.port), '', '0', '60000', 'KEYS', ...keys]);
      moved += keys.length;
    }
  });
  for (const node of [to, from, ...others]) await set(node, 'NODE', to.id);
  return moved;
}

async function startCluster(context: TestContext) {
  await serverUrl('redis-cluster', context);
  return startRedisCluster({ nodeTimeoutMs: 60_000 });
}

test('loses, doubles and halves nothing while slots move from node to node', async (context) => {
  await using cluster = await startCluster(context);
  const nodes = await Promise.all(
    cluster.nodes.map(async ({ port }) => ({
      port,
      id: await onRedis(port, (client) => client.clusterMyId()),
    })),
  );
  const ownerOf = async (slot: number) => {
    const answer = await onRedis(nodes[0]!.port, (client) => client.sendCommand(['CLUSTER', 'SLOTS']));
    const ranges = answer as unknown as [number, number, [string, number, string]][];
    return ranges.find(([start, end]) => start <= slot && slot <= end)![2][2];
  };
  const store = await RedisStore.open(cluster.url, { shards: SHARDS, timeoutMs: 60_000 });
  const acknowledged: number[] = [];
  let stopped = false;
  const writing = Promise.all(
    Array.from({ length: 8 }, (_, writer) => write(store, writer, () => stopped, acknowledged)),
  );
  await expect.poll(() => acknowledged.filter((count) => count > 5).length).toBe(8);
  for (let round = 0; round < 2; round++) {
    for (let shard = 0; shard < SHARDS; shard++) {
      const slot = slotOf(`holdfast:${shard}`);
      const owner = await ownerOf(slot);
      const from = nodes.find(({ id }) => id === owner)!;
      const [to, ...others] = nodes.filter((node) => node !== from);
      expect(await moveSlot(slot, from, to!, others)).toBeGreaterThan(0);
    }
  }
  const before = acknowledged.slice();
  await expect.poll(() => acknowledged.every((count, writer) => count > before[writer]!)).toBe(true);
  stopped = true;
  await writing;
  for (const [writer, count] of acknowledged.entries()) {
    const at = partition(`p${writer}`);
    const logs = await store.listLogs(at);
    const values = (await Promise.all(logs.map(({ log }) => store.readLog(at, log, { limit: 10_000 }))))
      .flatMap(({ entries }) => entries)
      .map(({ value }) => Number(value));
    expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    const [counter] = await store.getRecords([{ partition: at, kind: 'count', id: 'c' }]);
    expect(JSON.parse(counter!.value)).toEqual({ n: count });
  }
  // What is told of them is whole, too.
  let told = 0;
  for (let after = 'oldest'; ; ) {
    const { changes, cursor } = await store.readChanges(after, 10_000);
    told += changes.length;
    if (changes.length === 0) break;
    after = cursor;
  }
  expect(told).toBe(acknowledged.reduce((sum, count) => sum + count, 0));
  await store.close();
});

test('wakes who waits for shards that are on different nodes', async (context) => {
  await using cluster = await startCluster(context);
  const [store, other] = [await RedisStore.open(cluster.url), await RedisStore.open(cluster.url)];
  let { cursor } = await store.readChanges('newest', 1);
  for (let i = 0; i < 12; i++) {
    const waiting = store.waitForChanges(cursor);
    await other.commit({
      partition: partition(`p${i}`),
      operations: [{ op: 'append', log: 'log', entries: [{ value: '1' }] }],
    });
    await waiting;
    cursor = (await store.readChanges(cursor, 100)).cursor;
  }
  await Promise.all([store.close(), other.close()]);
});
