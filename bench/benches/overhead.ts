import { join } from 'node:path';
import { context as contexts, metrics, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ContextEngine } from '../../src/index.ts';
import { type Case, interleave, perSecond } from '../harness/rounds.ts';
import type { Bench, Context, Row, Target } from '../harness/types.ts';

const SESSIONS = 100;
const CONTENT = 'The quick brown fox jumps over the lazy dog, then writes home about it. '
  .repeat(3)
  .slice(0, 200);
const ids = Array.from({ length: SESSIONS }, (_, i) => `session-${i}`);
/** Many and short, so that what else a machine does meets both of a pair alike. */
const ROUNDS = 101;

/** Messages of one round, by how many calls are under way at a time. */
const counts = { local: { 1: 500, 32: 3_000 }, served: { 1: 200, 32: 2_000 } };
interface Watched {
  readonly engine: ContextEngine;
  /** Runs a round with what it takes in force. */
  around(work: () => Promise<number>): Promise<number>;
}

type Open = (context: Context, url: string) => Promise<Watched>;

async function append(engine: ContextEngine, count: number, concurrency: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count)
      await engine.messages.append(ids[next++ % SESSIONS]!, { role: 'user', content: CONTENT });
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}

async function open(context: Context, url: string, enabled: boolean): Promise<ContextEngine> {
  const durability = url.startsWith('file:') ? ({ durability: 'normal' } as const) : {};
  const engine = await ContextEngine.open(url, { ...durability, monitor: { enabled } });
  context.resources.use(engine);
  for (const id of ids) await engine.sessions.getOrCreate({ id, userId: 'bench' });
  return engine;
}

/** An engine whose spans and metrics go to an SDK that throws them away; other engines of the process don't see it. */
const openWithSdk: Open = async (context, url) => {
  const exporter = {
    export: (_: unknown, done: (result: { code: number }) => void) => done({ code: 0 }),
    shutdown: async () => {},
  };
  const tracers = new BasicTracerProvider({
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 4096 })],
  });
  const reader = new PeriodicExportingMetricReader({
    exporter: new InMemoryMetricExporter(AggregationTemporality.DELTA),
    exportIntervalMillis: 60_000,
  });
  const meters = new MeterProvider({ readers: [reader] });
  context.resources.defer(async () => {
    await tracers.shutdown();
    await meters.shutdown();
  });
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(meters);
  const engine = await open(context, url, true);
  trace.disable();
  metrics.disable();
  const manager = new AsyncLocalStorageContextManager();
  return {
    engine,
    around: async (work) => {
      contexts.setGlobalContextManager(manager.enable());
      try {
        return await work();
      } finally {
        contexts.disable();
      }
    },
  };
};

const openWatched =
  (enabled: boolean): Open =>
  async (context, url) => ({ engine: await open(context, url, enabled), around: (work) => work() });

/** Each is measured beside an engine of its own that nobody watches: what one leaves behind is no other's to clear away. */
const WATCHES: readonly { watch: string; open: Open; target?: Target }[] = [
  { watch: 'on', open: openWatched(true), target: { atLeast: 0.95 } },
  { watch: 'on, with an OpenTelemetry SDK', open: openWithSdk },
];

async function caseOf(
  name: string,
  watched: Promise<Watched>,
  count: number,
  concurrency: number,
): Promise<Case> {
  const { engine, around } = await watched;
  const run = async () => {
    const rate = await perSecond(count, () => append(engine, count, concurrency));
    // What is counted after the append must not fall into another's time.
    await engine.messages.settled();
    return rate;
  };
  return { name, run: () => around(run) };
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
    for (const [i, { watch, open, target, concurrency }] of pairs.entries()) {
      const urlOf = (name: string) => context.store ?? `file:${join(folder, `${i}-${name}.db`)}`;
      const count = counts[/^(file|memory):/.test(urlOf('')) ? 'local' : 'served'][concurrency];
      const name = (watch: string) => `append, concurrency ${concurrency}, monitoring ${watch}`;
      const cases = [
        await caseOf(name('off'), openWatched(false)(context, urlOf('off')), count, concurrency),
        await caseOf(name(watch), open(context, urlOf('on')), count, concurrency),
      ];
      const rounds = await interleave(cases, {
        rounds: ROUNDS,
        warmups: 5,
        progress: (done, total, what) => context.progress(done + i * total, total * pairs.length, what),
      });
      rows.push(rounds.row(name(watch), 'messages/s', name('off'), target));
    }
    return rows;
  },
};

export default bench;
