import { setTimeout as delay } from 'node:timers/promises';
import { onRedis, type RedisOptions, startRedis } from './redis.ts';
import type { Server } from './server.ts';

const SLOTS = 16_384;
const READY_MS = 60_000;

export interface RedisClusterOptions extends RedisOptions {
  /** 3 unless said otherwise; Redis needs 3 to agree on a failover. */
  readonly masters?: number;
  /** 0 unless said otherwise. */
  readonly replicasPerMaster?: number;
  /** How long a node may be silent before the others take it for dead (milliseconds; 2,000). */
  readonly nodeTimeoutMs?: number;
}

export interface RedisCluster extends AsyncDisposable {
  /** `redis-cluster://127.0.0.1:…,127.0.0.1:…`, with all nodes. */
  readonly url: string;
  /** The masters, and then their replicas in the same order, as they were at the start. */
  readonly nodes: readonly Server[];
}

/** Starts a cluster whose slots are spread evenly, and waits until all its nodes are of use. */
export async function startRedisCluster({
  masters = 3,
  replicasPerMaster = 0,
  nodeTimeoutMs = 2000,
  settings,
  ...options
}: RedisClusterOptions = {}): Promise<RedisCluster> {
  const clustered = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': `${nodeTimeoutMs}`,
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
  const replicas = nodes.slice(masters);
  await Promise.all(nodes.map((node, index) => prepare(node, index, masters)));
  await Promise.all(nodes.map((node) => introduce(node, nodes)));
  // A node has a made-up name while it is shaken hands with.
  const met = (lines: string[]) =>
    lines.length === nodes.length && lines.every((line) => !line.includes('handshake'));
  await Promise.all(nodes.map((node) => until(node, ['CLUSTER', 'NODES'], met)));
  if (replicas.length > 0) await follow(replicas, nodes.slice(0, masters));
  const works = (lines: string[]) => lines.includes('cluster_state:ok');
  await Promise.all(nodes.map((node) => until(node, ['CLUSTER', 'INFO'], works)));
  const linked = (lines: string[]) => lines.includes('master_link_status:up');
  await Promise.all(replicas.map((node) => until(node, ['INFO', 'replication'], linked)));
}

/** Gives a node its epoch, which it takes only while it knows no other, and a master its slots. */
async function prepare({ port }: Server, index: number, masters: number): Promise<void> {
  const boundary = (place: number) => Math.round((place * SLOTS) / masters);
  await onRedis(port, async (client) => {
    // Nodes that find that they share a configuration epoch take time to part.
    await client.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`]);
    if (index < masters) {
      await client.clusterAddSlotsRange({ start: boundary(index), end: boundary(index + 1) - 1 });
    }
  });
}

/** Gives a node everybody else's address: to wait for gossip takes longer. */
async function introduce(node: Server, nodes: readonly Server[]): Promise<void> {
  await onRedis(node.port, async (client) => {
    for (const { port } of nodes) if (port !== node.port) await client.clusterMeet('127.0.0.1', port);
  });
}

async function follow(replicas: readonly Server[], masters: readonly Server[]): Promise<void> {
  const ids = await Promise.all(masters.map(({ port }) => onRedis(port, (client) => client.clusterMyId())));
  await Promise.all(
    replicas.map(({ port }, index) =>
      onRedis(port, (client) => client.clusterReplicate(ids[index % ids.length]!)),
    ),
  );
}

/** Asks a node until its answer, by lines, is the right one. */
async function until(
  { port }: Server,
  question: readonly string[],
  isRight: (lines: string[]) => boolean,
): Promise<void> {
  const deadline = performance.now() + READY_MS;
  await onRedis(port, async (client) => {
    for (;;) {
      const answer = String(await client.sendCommand(question));
      if (isRight(answer.trim().split(/\r?\n/))) return;
      if (performance.now() > deadline)
        throw new Error(`the cluster does not form; port ${port} says:\n${answer}`);
      await delay(20);
    }
  });
}
