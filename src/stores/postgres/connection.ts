import { Database } from './database.ts';
import { type PostgresStoreOptions, type Settings, settingsOf, splitUrl } from './options.ts';
import { createPool, ignoreError, type PostgresClient, type PostgresPool } from './pool.ts';

/** A store's way to its server. */
export interface Connection {
  readonly database: Database;
  readonly settings: Settings;
  /** Gives the connection on which to listen; undefined where that is not wanted. */
  readonly listenSource: PostgresPool | undefined;
  /** Waits for what is under way; ends the pools that are our own. */
  close(): Promise<void>;
}

/** Makes the pools, and connects to nothing yet. @throws InvalidInputError, ConfigError, MissingPackageError */
export async function connect(
  source: string | PostgresPool,
  options: PostgresStoreOptions,
): Promise<Connection> {
  if (typeof source !== 'string') return overPool(source, settingsOf(options));
  const { url, options: inUrl } = splitUrl(source);
  const settings = settingsOf({ ...inUrl, ...options });
  const { maxConnections, timeoutMs, listen } = settings;
  const pool = await createPool(url, maxConnections, timeoutMs);
  const listenPool =
    listen === false ? undefined : await createPool(listen === 'auto' ? url : listen, 1, timeoutMs);
  return connectionOf(pool, listenPool, settings, [pool, ...(listenPool ? [listenPool] : [])]);
}

async function overPool(pool: PostgresPool, settings: Settings): Promise<Connection> {
  const { listen, timeoutMs } = settings;
  if (listen === 'auto') return connectionOf(pool, mayKeepOne(pool) ? pool : undefined, settings, []);
  const listenPool = listen === false ? undefined : await createPool(listen, 1, timeoutMs);
  return connectionOf(pool, listenPool, settings, listenPool ? [listenPool] : []);
}

/** Whether a pool has room for a connection that listens, beside those that work. */
function mayKeepOne(pool: PostgresPool): boolean {
  const { options } = pool as { options?: { max?: number } };
  return (options?.max ?? 10) > 2;
}

function connectionOf(
  pool: PostgresPool,
  listenSource: PostgresPool | undefined,
  settings: Settings,
  own: readonly PostgresPool[],
): Connection {
  const database = new Database(pool, settings.timeoutMs);
  const pools = new Set([pool, ...(listenSource ? [listenSource] : [])]);
  for (const each of pools) {
    each.on('error', ignoreError);
    // A new connection can be cut before whoever asked for it has got it.
    each.on('connect', ignoreErrorsOf);
  }
  return {
    database,
    settings,
    listenSource,
    async close() {
      await database.close();
      await Promise.all(own.map((each) => each.end()));
      for (const each of pools) {
        if (own.includes(each)) continue;
        each.removeListener('error', ignoreError);
        each.removeListener('connect', ignoreErrorsOf);
      }
    },
  };
}

function ignoreErrorsOf(client: PostgresClient): void {
  client.on('error', ignoreError);
}
