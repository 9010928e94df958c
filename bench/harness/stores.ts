/** What `--store` may say instead of a URL: a server of our own, started for the run and gone with it. */
import { startPostgres } from '../../scripts/servers/postgres.ts';
import { startRedis } from '../../scripts/servers/redis.ts';
import { startRedisCluster } from '../../scripts/servers/redis-cluster.ts';

type Started = AsyncDisposable & { readonly url: string };

/** Servers are run as their documentation tells one to: what they answered survives their death. */
const servers: Readonly<Record<string, () => Promise<Started>>> = {
  redis: () => startRedis({ appendOnly: 'everysec' }),
  valkey: () => startRedis({ kind: 'valkey', appendOnly: 'everysec' }),
  cluster: () => startRedisCluster({ appendOnly: 'everysec' }),
  postgres: () => startPostgres(),
};

export const storeNames = ['sqlite', 'memory', ...Object.keys(servers)];

/** The URL of a store that is given by its name or its URL; undefined is the bench's own default, SQLite. */
export async function storeUrl(
  given: string | undefined,
  resources: AsyncDisposableStack,
): Promise<string | undefined> {
  if (given === 'memory') return 'memory:';
  if (given === 'sqlite') return undefined;
  const start = given === undefined ? undefined : servers[given];
  return start ? resources.use(await start()).url : given;
}
