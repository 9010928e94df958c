import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { onPostgres, startPostgres } from '../../scripts/servers/postgres.ts';
import { onRedis, type RedisOptions, startRedis } from '../../scripts/servers/redis.ts';
import { startRedisCluster } from '../../scripts/servers/redis-cluster.ts';
import { serverUrl } from '../support/servers.ts';

async function redis(options: RedisOptions) {
  const server = await startRedis(options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

const get = (port: number, key: string) => onRedis(port, (client) => client.get(key));

test('a killed Redis comes back on its port with what its append-only file has', async (context) => {
  await serverUrl('redis', context);
  const server = await redis({ appendOnly: 'always' });
  const { port, pid } = server;
  await onRedis(port, (client) => client.set('a', '1'));
  await server.kill();
  await expect(get(port, 'a')).rejects.toThrow('ECONNREFUSED');
  await server.restart();
  expect(server.port).toBe(port);
  expect(server.pid).not.toBe(pid);
  expect(await get(port, 'a')).toBe('1');
});

test('a Redis without an append-only file comes back empty', async (context) => {
  await serverUrl('redis', context);
  const server = await redis({ settings: { maxmemory: '64mb' } });
  const { port } = server;
  await onRedis(port, async (client) => {
    await client.set('a', '1');
    expect(await client.configGet('maxmemory')).toMatchObject({ maxmemory: `${64 * 1024 * 1024}` });
  });
  await server.restart();
  expect(await get(port, 'a')).toBeNull();
});

test('a frozen server is silent until it goes on, and can be stopped', async (context) => {
  await serverUrl('redis', context);
  const server = await redis({});
  await onRedis(server.port, async (client) => {
    await server.kill('SIGSTOP');
    let answered = false;
    const ping = client.ping().finally(() => (answered = true));
    const other = await redis({});
    await get(other.port, 'a');
    expect(answered).toBe(false);
    await server.kill('SIGCONT');
    expect(await ping).toBe('PONG');
  });
});

test('a setting that a server does not know is told with what the server says', async (context) => {
  await serverUrl('redis', context);
  await expect(startRedis({ settings: { nonsense: 'x' } })).rejects.toThrow(/does not start[\s\S]*nonsense/);
});

test('a killed Postgres comes back with what was committed', async (context) => {
  await serverUrl('postgres', context);
  const server = await startPostgres({ settings: { log_connections: 'on' } });
  onTestFinished(() => server[Symbol.asyncDispose]());
  await onPostgres(server.url, async (client) => {
    await client.query('CREATE TABLE one (id int); INSERT INTO one VALUES (1)');
    expect((await client.query('SHOW log_connections')).rows).toEqual([{ log_connections: 'on' }]);
  });
  await server.kill();
  await server.restart();
  expect(await onPostgres(server.url, async (client) => (await client.query('TABLE one')).rows)).toEqual([
    { id: 1 },
  ]);
});

test('a replica takes the place of a master that was killed', async (context) => {
  await serverUrl('redis', context);
  const cluster = await startRedisCluster({ replicasPerMaster: 1, nodeTimeoutMs: 5000 });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const [master, , , replica] = cluster.nodes;
  const key = 'foo{06S}';
  const slotOwner = () =>
    onRedis(replica!.port, async (client) => {
      await client.readonly();
      return client.set(key, 'x').then(String, String);
    });
  expect(await slotOwner()).toMatch(new RegExp(`MOVED 0 127.0.0.1:${master!.port}`));
  await master!.kill();
  await expect.poll(slotOwner, { interval: 100 }).toBe('OK');
});

test.for(['SIGKILL', 'SIGINT', 'process.exit'])(
  'servers and their folder are gone after their process ended by %s',
  async (end, context) => {
    await serverUrl('redis', context);
    const code = `
      import { startRedis } from ${JSON.stringify(new URL('../../scripts/servers/redis.ts', import.meta.url))};
      const { port, folder } = await startRedis({ appendOnly: 'always' });
      process.stdin.once('data', () => process.exit());
      console.log(JSON.stringify({ port, folder }));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface(child.stdout), 'line');
    const { port, folder } = JSON.parse(line) as { port: number; folder: string };
    await get(port, 'a');
    if (end === 'process.exit') child.stdin.write('now\n');
    else child.kill(end as NodeJS.Signals);
    await once(child, 'exit');
    await expect.poll(() => existsSync(folder)).toBe(false);
    // One that was in the middle of a sync is gone a moment later.
    await expect.poll(() => get(port, 'a').catch(String)).toContain('ECONNREFUSED');
  },
);
