/** What becomes of cursors when a Redis server has lost the end of its journal, or its clock is behind. */
import { expect, type TestContext, test } from 'vitest';
import { onRedis, type RedisOptions, startRedis } from '../../scripts/servers/redis.ts';
import type { Change, Operation, Partition, Store } from '../../src/core/store.ts';
import { RedisStore } from '../../src/stores/redis/index.ts';
import { serverUrl } from '../support/servers.ts';

const at: Partition = { tenant: 'default', type: 'session', id: 'p' };
const append = (value: number): Operation => ({
  op: 'append',
  log: 'log',
  entries: [{ value: String(value) }],
});
const commit = (store: Store, value: number) => store.commit({ partition: at, operations: [append(value)] });

async function ownServer(context: TestContext, options: RedisOptions) {
  await serverUrl('redis', context);
  return startRedis(options);
}

const seqs = (changes: readonly Change[]) =>
  changes.map(({ operations: [first] }) => (first?.op === 'append' ? first.firstSeq : 0));

test('says that a cursor expired whose changes a server lost that went back to its last snapshot', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(server.url);
  await commit(store, 1);
  const saved = (await store.readChanges('oldest', 10)).cursor;
  await onRedis(server.port, (client) => client.sendCommand(['SAVE']));
  for (const value of [2, 3]) await commit(store, value);
  const page = await store.readChanges('oldest', 10);
  expect(page.changes).toHaveLength(3);
  await server.kill();
  await server.restart();
  for (const lost of [page.cursor, page.changes[1]!.cursor])
    await expect(store.readChanges(lost, 10)).rejects.toMatchObject({ code: 'cursor-expired' });
  for (const value of [4, 5, 6, 7]) await commit(store, value);
  for (const lost of [page.cursor, page.changes[1]!.cursor]) {
    await expect(store.readChanges(lost, 10)).rejects.toMatchObject({ code: 'cursor-expired' });
    await expect(store.readChanges(lost, 0)).rejects.toMatchObject({ code: 'cursor-expired' });
    await expect(store.waitForChanges(lost)).rejects.toMatchObject({ code: 'cursor-expired' });
    await expect(store.trimChanges(lost)).rejects.toMatchObject({ code: 'cursor-expired' });
  }
  expect(seqs((await store.readChanges(saved, 10)).changes)).toEqual([2, 3, 4, 5]);
  await store.close();
});

test('says that a cursor expired whose changes never came to the replica that took over', async (context) => {
  await using master = await ownServer(context, {});
  await using replica = await ownServer(context, {
    settings: { replicaof: `127.0.0.1 ${master.port}` },
  });
  await onRedis(master.port, (client) => client.configSet('repl-diskless-sync-delay', '0'));
  const linked = () =>
    onRedis(replica.port, async (client) => /master_link_status:up/.test(await client.info('replication')));
  await expect.poll(linked).toBe(true);
  const store = await RedisStore.open(master.url, { durability: 'replicated' });
  await commit(store, 1);
  await store.close();
  await onRedis(replica.port, (client) => client.sendCommand(['REPLICAOF', 'NO', 'ONE']));
  const ahead = await RedisStore.open(master.url);
  for (const value of [2, 3]) await commit(ahead, value);
  const { cursor } = await ahead.readChanges('oldest', 10);
  await ahead.close();
  const promoted = await RedisStore.open(replica.url);
  for (const value of [4, 5, 6]) await commit(promoted, value);
  await expect(promoted.readChanges(cursor, 10)).rejects.toMatchObject({ code: 'cursor-expired' });
  await promoted.close();
});

test('gives receipts whose cursors are good after the server lost what it was told last', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(server.url);
  await onRedis(server.port, (client) => client.sendCommand(['SAVE']));
  const elsewhere = Array.from({ length: 20 }, (_, i) =>
    store.commit({ partition: { ...at, id: `p${i}` }, operations: [append(i)] }),
  );
  await Promise.all(elsewhere);
  await server.kill();
  await server.restart();
  await commit(store, 1);
  const { cursor } = await commit(store, 2);
  await commit(store, 3);
  expect(seqs((await store.readChanges(cursor, 10)).changes)).toEqual([3]);
  await store.close();
});

test('tells commits in their order where the clock is behind the journal', async (context) => {
  await using server = await ownServer(context, {});
  const store = await RedisStore.open(`${server.url}?shards=1`);
  await commit(store, 1);
  const ahead = Date.now() * 1000 + 3_600_000_000;
  await onRedis(server.port, async (client) => {
    const [first] = (await client.xRange('{holdfast:0}journal', '-', '+')) ?? [];
    await client.xAdd('{holdfast:0}journal', `0-${ahead}`, first!.message);
  });
  const { cursor } = await store.readChanges('oldest', 2);
  await Promise.all([2, 3, 4].map((value) => commit(store, value)));
  const page = await store.readChanges(cursor, 10);
  expect(seqs(page.changes)).toEqual([2, 3, 4]);
  await store.trimChanges(page.changes[0]!.cursor);
  expect(seqs((await store.readChanges('oldest', 10)).changes)).toEqual([3, 4]);
  await store.close();
});
