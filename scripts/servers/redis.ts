import { createClient } from 'redis';
import { findServer } from './find-server.ts';
import { freePort } from './free-port.ts';
import { serverFolder } from './run-folder.ts';
import { Server } from './server.ts';

export interface RedisOptions {
  /** `redis` unless said otherwise. */
  readonly kind?: 'redis' | 'valkey';
  /**
   * Keeps an append-only file, synced when the system likes to, every second or before each answer. Absent: nothing is
   * on disk, and a restart starts empty.
   */
  readonly appendOnly?: 'no' | 'everysec' | 'always';
  /** Further settings, as in `redis.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a Redis or Valkey server. */
export async function startRedis({
  kind = 'redis',
  appendOnly,
  settings,
}: RedisOptions = {}): Promise<Server> {
  const program = await findServer(kind);
  const port = await freePort();
  const folder = serverFolder(kind);
  const all = {
    bind: '127.0.0.1',
    port: `${port}`,
    dir: folder,
    save: '',
    appendonly: appendOnly ? 'yes' : 'no',
    ...(appendOnly && { appendfsync: appendOnly }),
    ...settings,
  };
  return Server.start({
    url: `redis://127.0.0.1:${port}`,
    port,
    folder,
    program,
    args: Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]),
    answers: () => onRedis(port, (client) => client.ping()),
  });
}

/** Connects to a server for as long as `use` takes. A server that is not there is not waited for. */
export async function onRedis<T>(port: number, use: (client: RedisClient) => Promise<T>): Promise<T> {
  const client = clientOf(port);
  // What goes wrong is told by the call that it goes wrong in.
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}

/** The driver builds its commands anew, in some 40 ms, for each new set of options; copies have them. */
const template = createClient({ RESP: 2 });
type RedisClient = typeof template;

function clientOf(port: number): RedisClient {
  return template.duplicate({ socket: { host: '127.0.0.1', port, reconnectStrategy: false } });
}
