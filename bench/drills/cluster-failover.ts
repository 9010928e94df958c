import { setTimeout as delay } from 'node:timers/promises';
import { startRedisCluster } from '../../scripts/servers/redis-cluster.ts';
import type { Bench, Row } from '../harness/types.ts';
import { underLoad } from './workers/load.ts';

/** Long enough for the others to give the master up and let its replica take over. */
const AWAY_MS = 8_000;

const drill: Bench = {
  name: 'cluster-failover',
  summary: 'a master of a Redis Cluster is killed under load, and its replica takes over',

  async run(context): Promise<Row[]> {
    const cluster = context.resources.use(
      await startRedisCluster({ masters: 3, replicasPerMaster: 1, appendOnly: 'always' }),
    );
    let failoverMs = 0;
    const rows = await underLoad(
      context,
      // An acknowledged write survives a failover where a replica has it, and only there.
      { url: cluster.url, engine: { durability: 'replicated', timeoutMs: 30_000 } },
      async (load) => {
        await load.answered(20);
        context.progress(1, 3, 'killing a master');
        await cluster.nodes[0]!.kill();
        const killed = performance.now();
        await delay(AWAY_MS);
        // The new master has no replica that could have a write as well, until the old one is back as its replica.
        await cluster.nodes[0]!.restart();
        await load.answered(1);
        failoverMs = performance.now() - killed;
        context.progress(2, 3, 'going on');
        await load.answered(50);
      },
    );
    return [
      ...rows,
      { case: 'from the kill until every session was written to again', value: failoverMs, unit: 'ms' },
    ];
  },
};

export default drill;
