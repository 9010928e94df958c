import { setTimeout as delay } from 'node:timers/promises';
import { startPostgres } from '../../scripts/servers/postgres.ts';
import type { Bench, Row } from '../harness/types.ts';
import { underLoad } from './workers/load.ts';

const ROUNDS = 3;
const AWAY_MS = 2_000;

const drill: Bench = {
  name: 'postgres-restart',
  summary: 'Postgres is killed under load and started again, three times',

  async run(context): Promise<Row[]> {
    const server = context.resources.use(await startPostgres());
    return underLoad(context, { url: server.url }, async (load) => {
      for (let round = 0; round < ROUNDS; round++) {
        context.progress(round, ROUNDS, 'killing the server');
        await load.answered(20);
        await server.kill();
        await delay(AWAY_MS);
        await server.restart();
      }
      await load.answered(20);
    });
  },
};

export default drill;
