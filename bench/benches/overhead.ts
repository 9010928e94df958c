import { join } from 'node:path';
import { type Case, interleave } from '../harness/rounds.ts';
import type { Bench, Context, Row, Target } from '../harness/types.ts';
import { WorkerProcess } from '../harness/worker-process.ts';

/** Many and short, so that what else a machine does meets both of a pair alike. */
const ROUNDS = 105;
/** Pairs of processes that take turns: how well a process gets compiled is a matter of luck. */
const PAIRS = 5;
const WARMUPS = 10 * PAIRS;

/** Messages of one round, by how many calls are under way at a time. */
const counts = { local: { 1: 500, 32: 3_000 }, served: { 1: 200, 32: 2_000 } };

/** How an engine is watched. */
export type Watch = 'off' | 'on' | 'sdk';

/** Each is measured beside an engine of its own that nobody watches. */
const WATCHES: readonly { watch: Watch; name: string; target?: Target }[] = [
  { watch: 'on', name: 'on', target: { atLeast: 0.95 } },
  { watch: 'sdk', name: 'on, with an OpenTelemetry SDK' },
];

/** An engine in a process of its own, as it is in life: what two engines share in one slows both, and not alike. */
async function workerOf(context: Context, url: string, watch: Watch): Promise<WorkerProcess> {
  const file = new URL('./workers/watched.ts', import.meta.url);
  const worker = new WorkerProcess(file, [url, watch], await context.temporaryFolder());
  context.resources.use(worker);
  await worker.heard(1);
  return worker;
}

const bench: Bench = {
  name: 'overhead',
  summary: 'messages/s through the engine with monitoring on, and with an OpenTelemetry SDK, against off',

  async run(context): Promise<Row[]> {
    const folder = await context.temporaryFolder();
    const rows: Row[] = [];
    const pairs = ([1, 32] as const).flatMap((concurrency) =>
      WATCHES.map((one) => ({ ...one, concurrency })),
    );
    for (const [i, { watch, name, target, concurrency }] of pairs.entries()) {
      const caseOf = async (watch: Watch, name: string): Promise<Case> => {
        const url = context.store ?? `file:${join(folder, `${i}-${watch}.db`)}`;
        const count = counts[/^(file|memory):/.test(url) ? 'local' : 'served'][concurrency];
        const workers = await Promise.all(
          Array.from({ length: PAIRS }, (_, pair) =>
            workerOf(context, url.startsWith('file:') ? `${url}.${pair}` : url, watch),
          ),
        );
        let round = 0;
        const run = async () => Number(await workers[round++ % PAIRS]!.ask(`${count} ${concurrency}`));
        return { name: `append, concurrency ${concurrency}, monitoring ${name}`, run };
      };
      const [off, on] = [await caseOf('off', 'off'), await caseOf(watch, name)];
      const rounds = await interleave([off, on], {
        rounds: ROUNDS,
        warmups: WARMUPS,
        progress: (done, total, what) => context.progress(done + i * total, total * pairs.length, what),
      });
      rows.push(rounds.row(on.name, 'messages/s', off.name, target));
    }
    return rows;
  },
};

export default bench;
