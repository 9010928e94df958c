import { startPostgres } from '../../scripts/servers/postgres.ts';
import { ContextEngine } from '../../src/index.ts';
import type { Bench, Row } from '../harness/types.ts';
import { WorkerProcess } from '../harness/worker-process.ts';
import type { AppenderOptions } from './workers/appender.ts';
import { Ledger } from './workers/ledger.ts';
import { allMessages } from './workers/read.ts';

const PROCESSES = 10;
const ROUNDS = 5;
const ANSWERS = 10;
const worker = new URL('./workers/appender.ts', import.meta.url);

const drill: Bench = {
  name: 'ten-starts',
  summary: 'ten processes open an empty Postgres database at once, and append to one session',

  async run(context): Promise<Row[]> {
    const { url } = context.resources.use(await startPostgres());
    const folder = await context.temporaryFolder();
    const how: AppenderOptions = { lanes: 1, create: true };
    const ledger = { acknowledged: 0, found: 0, lost: 0, doubled: 0, misordered: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      context.progress(round, ROUNDS, 'starting ten processes');
      const empty = `${url}?schema=start_${round}`;
      await using crew = new AsyncDisposableStack();
      const started = Array.from({ length: PROCESSES }, (_, i) =>
        crew.use(new WorkerProcess(worker, [empty, 'drill', `${i}`, JSON.stringify(how)], folder)),
      );
      // They don't wait for one another: each says that it is ready when its store is open.
      await Promise.all(
        started.map(async (one) => {
          await one.heard(1);
          one.go();
          await one.heard(1 + ANSWERS);
          one.go();
          await one.ended();
        }),
      );
      await using engine = await ContextEngine.open(empty);
      const own = new Ledger();
      own.enter(
        started.flatMap(({ lines }) => lines.filter((line) => line.includes(' '))),
        await allMessages(engine, 'drill'),
      );
      for (const key of Object.keys(ledger) as (keyof typeof ledger)[]) ledger[key] += own[key];
    }
    const { acknowledged, found, ...faults } = ledger;
    const least = ROUNDS * PROCESSES * ANSWERS;
    return [
      { case: 'processes started', value: ROUNDS * PROCESSES, unit: 'processes' },
      { case: 'acknowledged', value: acknowledged, unit: 'messages', target: { atLeast: least } },
      { case: 'found', value: found, unit: 'messages', target: { atLeast: acknowledged } },
      ...Object.entries(faults).map(
        ([name, value]): Row => ({ case: name, value, unit: 'messages', target: { atMost: 0 } }),
      ),
    ];
  },
};

export default drill;
