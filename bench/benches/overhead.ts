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
import type { Bench, Context, Row } from '../harness/types.ts';

const SESSIONS = 100;
const CONTENT = 'The quick brown fox jumps over the lazy dog, then writes home about it. '
  .repeat(3)
  .slice(0, 200);
const ids = Array.from({ length: SESSIONS }, (_, i) => `session-${i}`);
/** Many and short: what else a machine does then meets all cases alike. */
const ROUNDS = 31;
const TARGET = { atLeast: 0.95 } as const;

/** Messages of one round, by how many calls are under way at a time. */
const counts = { local: { 1: 4_000, 32: 12_000 }, served: { 1: 500, 32: 8_000 } };
type Concurrency = 1 | 32;

/** How an engine is watched. */
type Watch = 'off' | 'on' | 'on, with an OpenTelemetry SDK';

interface Watched {
  readonly watch: Watch;
  readonly engine: ContextEngine;
  /** Runs a round with what it takes in force. */
  around(work: () => Promise<number>): Promise<number>;
}

const plainly = (work: () => Promise<number>) => work();

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
async function openWithSdk(context: Context, url: string): Promise<Watched> {
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
    watch: 'on, with an OpenTelemetry SDK',
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
}

async function casesOn(
  context: Context,
  urlOf: (name: string) => string,
  concurrency: Concurrency,
): Promise<(Case & { watch: Watch })[]> {
  const count = counts[/^(file|memory):/.test(urlOf('')) ? 'local' : 'served'][concurrency];
  // First: engines that are open already would hear of the SDK as well.
  const sdk = await openWithSdk(context, urlOf('sdk'));
  const watched: Watched[] = [
    { watch: 'off', engine: await open(context, urlOf('off'), false), around: plainly },
    { watch: 'on', engine: await open(context, urlOf('on'), true), around: plainly },
    sdk,
  ];
  return watched.map(({ watch, engine, around }) => ({
    watch,
    name: `append, concurrency ${concurrency}, monitoring ${watch}`,
    run: () =>
      around(async () => {
        const rate = await perSecond(count, () => append(engine, count, concurrency));
        // What is counted after the append must not fall into another's time.
        await engine.messages.settled();
        return rate;
      }),
  }));
}

const bench: Bench = {
  name: 'overhead',
  summary: 'messages/s through the engine with monitoring on, and with an OpenTelemetry SDK, against off',

  async run(context): Promise<Row[]> {
    const folder = await context.temporaryFolder();
    const rows: Row[] = [];
    for (const [i, concurrency] of ([1, 32] as const).entries()) {
      const urlOf = (name: string) => context.store ?? `file:${join(folder, `${concurrency}-${name}.db`)}`;
      const cases = await casesOn(context, urlOf, concurrency);
      const rounds = await interleave(cases, {
        rounds: ROUNDS,
        progress: (done, total, what) => context.progress(done + i * total, total * 2, what),
      });
      const [off, ...on] = cases;
      for (const { name, watch } of on)
        rows.push(rounds.row(name, 'messages/s', off!.name, watch === 'on' ? TARGET : undefined));
    }
    return rows;
  },
};

export default bench;
