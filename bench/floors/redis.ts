import { createClient, createCluster } from 'redis';

/** What is used of a client, of one server or of a cluster. */
interface Client {
  rPush(key: string, value: string): Promise<unknown>;
  close(): Promise<unknown>;
}

/** The driver alone: each message is pushed to its session's list, and nothing else is kept. */
export class RawLists {
  readonly #client: Client;
  readonly #sessions: readonly string[];

  static async open(url: string, sessions: readonly string[]): Promise<RawLists> {
    return new RawLists(await connect(url), sessions);
  }

  private constructor(client: Client, sessions: readonly string[]) {
    this.#client = client;
    this.#sessions = sessions;
  }

  /** `together` pushes go out in one write; the next ones when all are answered. */
  async push(message: string, count: number, together: number): Promise<void> {
    for (let i = 0; i < count; i += together)
      await Promise.all(Array.from({ length: together }, (_, j) => this.#push(message, i + j)));
  }

  /** So many callers, each pushing one message after the other. */
  async pushFrom(message: string, count: number, callers: number): Promise<void> {
    let next = 0;
    const caller = async () => {
      while (next < count) await this.#push(message, next++);
    };
    await Promise.all(Array.from({ length: callers }, caller));
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #push(message: string, i: number): Promise<unknown> {
    return this.#client.rPush(`raw:${this.#sessions[i % this.#sessions.length]}`, message);
  }
}

async function connect(url: string): Promise<Client> {
  if (!url.startsWith('redis-cluster:')) return createClient({ url }).connect();
  const { host } = new URL(url.replace('redis-cluster:', 'http:').split(',')[0]!);
  const cluster = createCluster({ rootNodes: [{ url: `redis://${host}` }] });
  // What goes wrong is told by the call that it goes wrong in.
  cluster.on('error', () => {});
  return cluster.connect();
}

/** The memory that the masters of a server or cluster use (bytes). */
export async function usedMemory(url: string): Promise<number> {
  const nodes = url
    .replace(/^redis(-cluster)?:\/\//, '')
    .split('?')[0]!
    .split(',');
  const used = await Promise.all(
    nodes.map(async (node) => {
      const client = await createClient({ url: `redis://${node}` }).connect();
      const info = await client.info('memory');
      await client.close();
      return Number(/^used_memory:(\d+)/m.exec(info)![1]);
    }),
  );
  return used.reduce((sum, bytes) => sum + bytes, 0);
}
