import { setTimeout as delay } from 'node:timers/promises';
import { FaultProxy } from '../../scripts/servers/fault-proxy.ts';
import { startPostgres } from '../../scripts/servers/postgres.ts';
import { startRedis } from '../../scripts/servers/redis.ts';
import type { Bench, Context, Row } from '../harness/types.ts';
import { type Load, underLoad } from './workers/load.ts';

const LATENCY_MS = 50;
const RESETS = 10;
/** Calls give up, and are made again, well before the network is back. */
const TIMEOUT_MS = 1_000;
const AWAY_MS = 3_000;

async function suffer(proxy: FaultProxy, load: Load, progress: (what: string) => void): Promise<void> {
  await load.answered(10);
  progress('latency');
  proxy.setLatency(LATENCY_MS);
  await load.answered(10);
  proxy.setLatency(0);
  progress('resets');
  for (let i = 0; i < RESETS; i++) {
    proxy.reset();
    await load.answered(2);
  }
  for (const hole of [true, 'answers'] as const) {
    progress(hole === true ? 'a black hole' : 'answers get lost');
    proxy.blackHole(hole);
    await delay(AWAY_MS);
    // What comes out of the hole late must not be done again.
    proxy.blackHole(false);
    await load.answered(10);
    proxy.blackHole(hole);
    await delay(AWAY_MS);
    proxy.reset();
    proxy.blackHole(false);
    await load.answered(10);
  }
  progress('nobody listens');
  await proxy.refuse(true);
  proxy.reset();
  await delay(AWAY_MS);
  await proxy.refuse(false);
  await load.answered(10);
}

async function drillOn(
  context: Context,
  name: string,
  server: { url: string; port: number },
): Promise<Row[]> {
  const proxy = context.resources.use(await FaultProxy.start(server.port));
  let step = 0;
  const rows = await underLoad(
    context,
    { url: server.url, writersUrl: proxy.through(server.url), engine: { timeoutMs: TIMEOUT_MS } },
    (load) => suffer(proxy, load, (what) => context.progress(step++, 6, `${name}: ${what}`)),
  );
  return rows.map((row) => ({ ...row, case: `${name}: ${row.case}` }));
}

const drill: Bench = {
  name: 'network',
  summary: 'latency, resets, black holes and lost answers between four writers and their store',

  async run(context): Promise<Row[]> {
    const redis = context.resources.use(await startRedis({ appendOnly: 'everysec' }));
    const postgres = context.resources.use(await startPostgres());
    return [...(await drillOn(context, 'redis', redis)), ...(await drillOn(context, 'postgres', postgres))];
  },
};

export default drill;
