import { join } from 'node:path';
import { interleave, median, type Rounds } from '../harness/rounds.ts';
import type { Bench, Row, Target } from '../harness/types.ts';
import { WorkerProcess } from '../harness/worker-process.ts';

/** Pairs of processes, each fresh: how well a process gets compiled is a matter of luck. */
const PAIRS = 12;
const ROUNDS = 10;
const WARMUPS = 4;

/**
 * Messages of one round, by how many calls are under way at a time: enough that a process which was idle while the other
 * had its turn is back at its pace.
 */
const counts = { local: { 1: 2_000, 32: 10_000 }, served: { 1: 500, 32: 5_000 } };

/** How an engine is watched. */
export type Watch = 'off' | 'on' | 'sdk';

/** Each is measured beside an engine that nobody watches. */
const WATCHES: readonly { watch: Watch; name: string; target?: Target }[] = [
  // How far two alike are apart: what is closer to 1 than that can't be told from it.
  { watch: 'off', name: 'off, once more' },
  { watch: 'on', name: 'on', target: { atLeast: 0.95 } },
  { watch: 'sdk', name: 'on, with an OpenTelemetry SDK' },
];

interface Pair {
  readonly id: number;
  readonly folder: string;
  readonly store: string | undefined;
  readonly watch: Watch;
  readonly concurrency: 1 | 32;
  progress(done: number, total: number): void;
}

/** Engines in processes of their own, as they are in life: what two share in one slows both, and not alike. */
async function runPair({ id, folder, store, watch, concurrency, progress }: Pair): Promise<Rounds> {
  await using workers = new AsyncDisposableStack();
  const caseOf = async (name: string, watch: Watch) => {
    const url = store ?? `file:${join(folder, `${id}-${name}.db`)}`;
    const count = counts[/^(file|memory):/.test(url) ? 'local' : 'served'][concurrency];
    const file = new URL('./workers/watched.ts', import.meta.url);
    const worker = workers.use(new WorkerProcess(file, [url, watch], folder));
    await worker.heard(1);
    return { name, run: async () => Number(await worker.ask(`${count} ${concurrency}`)) };
  };
  const cases = await Promise.all([caseOf('off', 'off'), caseOf('watched', watch)]);
  // Awaited here: the workers end with this function.
  return await interleave(cases, { rounds: ROUNDS, warmups: WARMUPS, progress });
}

const bench: Bench = {
  name: 'overhead',
  summary: 'messages/s through the engine with monitoring on, and with an OpenTelemetry SDK, against off',

  async run(context): Promise<Row[]> {
    const { store } = context;
    const folder = await context.temporaryFolder();
    const rows: Row[] = [];
    const all = ([1, 32] as const).flatMap((concurrency) => WATCHES.map((one) => ({ ...one, concurrency })));
    for (const [i, { watch, name, target, concurrency }] of all.entries()) {
      const title = `append, concurrency ${concurrency}, monitoring ${name}`;
      const pairs: Rounds[] = [];
      while (pairs.length < PAIRS) {
        const id = i * PAIRS + pairs.length;
        const progress = (done: number, total: number) =>
          context.progress(id + done / total, all.length * PAIRS, title);
        pairs.push(await runPair({ id, folder, store, watch, concurrency, progress }));
      }
      rows.push(rowOf(title, pairs, target));
    }
    return rows;
  },
};

function rowOf(title: string, pairs: readonly Rounds[], target: Target | undefined): Row {
  const ratio = median(pairs.map((pair) => median(pair.ratios('watched', 'off'))));
  return {
    case: title,
    value: median(pairs.map((pair) => pair.median('watched'))),
    unit: 'messages/s',
    baseline: median(pairs.map((pair) => pair.median('off'))),
    ratio,
    ...(target && { target }),
  };
}

export default bench;
