/**
 * A process with an engine that appends as it is told: `node watched.ts URL WATCH`, where WATCH is how the engine is watched.
 * It says `ready`, and answers each line `COUNT CONCURRENCY` with how many messages a second it appended.
 */
import { createInterface } from 'node:readline';
import { context as contexts, metrics, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ContextEngine } from '../../../src/index.ts';
import { perSecond } from '../../harness/rounds.ts';
import type { Watch } from '../overhead.ts';

const CONTENT = 'The quick brown fox jumps over the lazy dog, then writes home about it. '
  .repeat(3)
  .slice(0, 200);
const ids = Array.from({ length: 100 }, (_, i) => `session-${i}`);

const [url, watch] = process.argv.slice(2) as [string, Watch];
if (watch === 'sdk') registerSdk();
const durability = url.startsWith('file:') ? ({ durability: 'normal' } as const) : {};
await using engine = await ContextEngine.open(url, { ...durability, monitor: { enabled: watch !== 'off' } });
for (const id of ids) await engine.sessions.getOrCreate({ id, userId: 'bench' });
console.log('ready');
for await (const line of createInterface(process.stdin)) {
  const [count, concurrency] = line.split(' ').map(Number) as [number, number];
  const rate = await perSecond(count, () => append(count, concurrency));
  // What is counted after the append must not fall into another round's time.
  await engine.messages.settled();
  console.log(rate);
}

async function append(count: number, concurrency: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count)
      await engine.messages.append(ids[next++ % ids.length]!, { role: 'user', content: CONTENT });
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}

/** An SDK that samples everything, and throws it away. */
function registerSdk(): void {
  const exporter = {
    export: (_: unknown, done: (result: { code: number }) => void) => done({ code: 0 }),
    shutdown: async () => {},
  };
  const reader = new PeriodicExportingMetricReader({
    exporter: new InMemoryMetricExporter(AggregationTemporality.DELTA),
    exportIntervalMillis: 60_000,
  });
  const spanProcessors = [new BatchSpanProcessor(exporter, { maxQueueSize: 4096 })];
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  contexts.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}
