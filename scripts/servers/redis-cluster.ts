import { setTimeout as delay } from 'node:timers/promises';
import { onRedis, type RedisOptions, startRedis } from './redis.ts';
import type { Server } from './server.ts';

const SLOTS = 16_384;
const READY_MS = 30_000;

export interface RedisClusterOptions extends RedisOptions {
  /** 3 unless said otherwise; Redis needs 3 to agree on a failover. */
  readonly masters?: number;
  /** 0 unless said otherwise. */
  readonly replicasPerMaster?: number;
}

export interface RedisCluster extends AsyncDisposable {
  /** `redis-cluster://127.0.0.1:…,127.0.0.1:…`, with all nodes. */
  readonly url: string;
  /** The masters, and then their replicas in the same order, as they were at the start. */
  readonly nodes: readonly Server[];
}

/** Starts a cluster whose slots are spread evenly. A failed master is noticed after two seconds. */
export async function startRedisCluster({
  masters = 3,
  replicasPerMaster = 0,
  settings,
  ...options
}: RedisClusterOptions = {}): Promise<RedisCluster> {
  const clustered = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': '2000',
    // Otherwise a master waits five seconds for more replicas before it serves the first.
    'repl-diskless-sync-delay': '0',
    ...settings,
  };
  await using started = new AsyncDisposableStack();
  const starting = Array.from({ length: masters * (1 + replicasPerMaster) }, async () =>
    started.use(await startRedis({ ...options, settings: clustered })),
  );
  const nodes = await allOf(starting);
  await join(nodes, masters);
  const all = started.move();
  return {
    url: `redis-cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Like `Promise.all`, but waits for all of them also when one fails: what was started must not be forgotten. */
async function allOf<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

async function join(nodes: readonly Server[], masters: number): Promise<void> {
  const [first] = nodes;
  await Promise.all(nodes.slice(0, masters).map((node, index) => giveSlots(node, index, masters)));
  for (const { port } of nodes) await tell(first!, 'CLUSTER', 'MEET', '127.0.0.1', `${port}`);
  await Promise.all(nodes.map((node) => until(node, 'CLUSTER', `cluster_known_nodes:${nodes.length}`)));
  const ids = await Promise.all(nodes.slice(0, masters).map((node) => tell(node, 'CLUSTER', 'MYID')));
  const replicas = nodes.slice(masters);
  await Promise.all(replicas.map((node, index) => tell(node, 'CLUSTER', 'REPLICATE', ids[index % masters]!)));
  await Promise.all(nodes.map((node) => until(node, 'CLUSTER', 'cluster_state:ok')));
  await Promise.all(replicas.map((node) => until(node, 'INFO', 'master_link_status:up')));
}

/** Each master has its own configuration epoch from the start: nodes that find they share one take time to part. */
async function giveSlots(node: Server, index: number, masters: number): Promise<void> {
  const bounds = [index, index + 1].map((place) => Math.round((place * SLOTS) / masters)) as [number, number];
  await tell(node, 'CLUSTER', 'ADDSLOTSRANGE', `${bounds[0]}`, `${bounds[1] - 1}`);
  await tell(node, 'CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`);
}

async function until(node: Server, topic: 'CLUSTER' | 'INFO', fact: string): Promise<void> {
  const question = topic === 'INFO' ? ['INFO', 'replication'] : ['CLUSTER', 'INFO'];
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const answer = await tell(node, ...question);
    if (answer.split('\r\n').includes(fact)) return;
    if (Date.now() > deadline) throw new Error(`port ${node.port} does not get to ${fact}:\n${answer}`);
    await delay(20);
  }
}

async function tell(node: Server, ...command: string[]): Promise<string> {
  return onRedis(node.port, async (client) => String(await client.sendCommand(command)));
}
