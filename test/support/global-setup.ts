/**
 * Starts each server at the first test that asks for it, once a run. A run that needs none starts none.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findServer, ServerMissingError } from '../../scripts/servers/find-server.ts';
import { findPgvector, startPgvector } from '../../scripts/servers/pgvector.ts';
import { startPostgres } from '../../scripts/servers/postgres.ts';
import { startRedis } from '../../scripts/servers/redis.ts';
import { startRedisCluster } from '../../scripts/servers/redis-cluster.ts';
import type { ServerAnswer, ServerName } from './server-names.ts';

type Start = () => Promise<AsyncDisposable & { readonly url: string }>;

/** Tests look for what a store gets wrong, not for what a disk forgets: nothing is synced. */
const starts: Readonly<Record<ServerName, Start>> = {
  redis: () => startRedis({ appendOnly: 'no' }),
  // Busy machines fall silent for seconds; nodes must not give each other up then.
  'redis-cluster': () => startRedisCluster({ nodeTimeoutMs: 60_000, appendOnly: 'no' }),
  valkey: () => startRedis({ kind: 'valkey', appendOnly: 'no' }),
  postgres: () => startPostgres({ fsync: false }),
  pgvector: startPgvector,
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Hundreds of tests start programs of hundreds of files: Node need not compile each of them each time.
  process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '../../node_modules/.cache/compiled');
  // Installing takes longer than a test may.
  await Promise.allSettled([
    findServer('redis'),
    findServer('postgres'),
    findServer('valkey'),
    findPgvector(),
  ]);
  const running = new AsyncDisposableStack();
  const answers = new Map<string, Promise<ServerAnswer>>();
  const door = createServer(async (request, response) => {
    const name = request.url!.slice(1);
    if (!answers.has(name)) answers.set(name, answer(starts[name as ServerName], running));
    response.setHeader('content-type', 'application/json').end(JSON.stringify(await answers.get(name)));
  });
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
  project.provide('servers', `http://127.0.0.1:${(door.address() as AddressInfo).port}/`);
  return async () => {
    door.close();
    door.closeAllConnections();
    await Promise.all(answers.values());
    await running.disposeAsync();
  };
}

async function answer(start: Start, running: AsyncDisposableStack): Promise<ServerAnswer> {
  try {
    return { url: running.use(await start()).url };
  } catch (error) {
    if (error instanceof ServerMissingError) return { missing: error.message };
    return { error: String(error) };
  }
}
