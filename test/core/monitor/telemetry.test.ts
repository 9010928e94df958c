import { context, diag, metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { EngineOptions } from '../../../src/core/engine-options.ts';
import { COUNTERS, GAUGES } from '../../../src/core/monitor/figures.ts';
import { Telemetry } from '../../../src/core/monitor/telemetry.ts';
import { ContextEngine } from '../../../src/index.ts';
import { inMemory, newSession } from '../../support/engines.ts';

const CANARY = 'canary-7f3a';
let spans: InMemorySpanExporter;
let points: InMemoryMetricExporter;
let meters: MeterProvider;

beforeEach(() => {
  spans = new InMemorySpanExporter();
  points = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const spanProcessors = [new SimpleSpanProcessor(spans)];
  meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter: points })] });
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
  metrics.setGlobalMeterProvider(meters);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});

afterEach(async () => {
  trace.disable();
  metrics.disable();
  context.disable();
  await meters.shutdown();
});

function span(name: string): ReadableSpan {
  const found = spans.getFinishedSpans().filter((one) => one.name === name);
  expect(found).not.toEqual([]);
  return found.at(-1)!;
}

interface Point {
  attributes: Record<string, unknown>;
  value: unknown;
}

async function pointsOf(name: string): Promise<Point[]> {
  await meters.forceFlush();
  const last = points.getMetrics().at(-1);
  const all = (last?.scopeMetrics ?? []).flatMap((scope) => scope.metrics);
  return all
    .filter(({ descriptor }) => descriptor.name === name)
    .flatMap(({ dataPoints }) => dataPoints as Point[]);
}

test('a call is a span with its ids, and the commits that it makes are its children', async () => {
  const engine = await inMemory();
  const id = await newSession(engine);
  spans.reset();
  await engine.tenant('acme').sessions.create({ id: 's2', userId: 'ada' });
  await engine.messages.append(id, { role: 'user', content: 'hi' });
  const append = span('holdfast.messages.append');
  expect(append.attributes).toMatchObject({ 'holdfast.session.id': id, 'holdfast.tenant': 'default' });
  expect(append.status.code).toBe(SpanStatusCode.UNSET);
  const commit = span('holdfast.store.commit');
  expect(commit.kind).toBe(SpanKind.CLIENT);
  expect(commit.parentSpanContext?.spanId).toBe(append.spanContext().spanId);
  expect(commit.attributes).toMatchObject({
    'db.system.name': 'holdfast.memory',
    'db.operation.name': 'commit',
    'holdfast.session.id': id,
  });
  expect(span('holdfast.sessions.create').attributes).toMatchObject({
    'holdfast.tenant': 'acme',
    'holdfast.user.id': 'ada',
  });
});

test('the views of a thousand tenants have one watcher of a verb, and their spans tell which tenant it was', async () => {
  const { onCall } = new Telemetry(() => 'memory');
  expect(onCall('sessions', 'get')).toBe(onCall('sessions', 'get'));
  expect(onCall('sessions', 'get')).not.toBe(onCall('sessions', 'list'));
  const engine = await inMemory();
  const tenants = ['acme', 'zeta'];
  await Promise.all(tenants.map((name) => engine.tenant(name).sessions.create({ id: name, userId: 'ada' })));
  const told = spans.getFinishedSpans().filter(({ name }) => name === 'holdfast.sessions.create');
  expect(told.map(({ attributes: of }) => [of['holdfast.tenant'], of['holdfast.session.id']]).sort()).toEqual(
    tenants.map((name) => [name, name]),
  );
});

test('a span of the caller is the parent of the calls that it makes', async () => {
  const engine = await inMemory();
  const tracer = trace.getTracer('test');
  await tracer.startActiveSpan('agent', async (agent) => {
    await newSession(engine);
    agent.end();
  });
  const parent = span('agent').spanContext();
  expect(span('holdfast.sessions.create').parentSpanContext?.spanId).toBe(parent.spanId);
});

test('a call that fails is a span with the code of its error, and no message', async () => {
  const engine = await inMemory();
  await expect(engine.sessions.get('nobody')).rejects.toThrow();
  const failed = span('holdfast.sessions.get');
  expect(failed.status).toEqual({ code: SpanStatusCode.ERROR });
  expect(failed.attributes['error.type']).toBe('not-found');
  expect(failed.events).toEqual([]);
});

test('a call of a tool that fails is a span with the code of its failure', async () => {
  const { tools } = await inMemory();
  await tools.execute('none');
  const { status, attributes } = span('holdfast.tools.execute');
  expect(status).toEqual({ code: SpanStatusCode.ERROR });
  expect(attributes).toMatchObject({ 'error.type': 'not-found' });
  const calls = await pointsOf('holdfast.call.duration');
  expect(calls.map((point) => point.attributes)).toContainEqual({
    'holdfast.service': 'tools',
    'holdfast.verb': 'execute',
    'error.type': 'not-found',
  });
});

test('durations of calls, of the store and of timed operations are histograms', async () => {
  const engine = await inMemory();
  await newSession(engine);
  {
    using _timer = engine.monitor.operationTimer('plan');
  }
  const calls = await pointsOf('holdfast.call.duration');
  const create = calls.filter(({ attributes }) => attributes['holdfast.verb'] === 'create');
  expect(create).toMatchObject([{ attributes: { 'holdfast.service': 'sessions' }, value: { count: 1 } }]);
  const stores = await pointsOf('db.client.operation.duration');
  expect(stores.map(({ attributes }) => attributes['db.operation.name'])).toContain('commit');
  expect(await pointsOf('holdfast.operation.duration')).toMatchObject([
    { attributes: { 'holdfast.operation.name': 'plan' } },
  ]);
  expect(span('holdfast.operation').attributes).toEqual({ 'holdfast.operation.name': 'plan' });
});

test('what Prometheus is told besides, OpenTelemetry is told as gauges and counters', async () => {
  const engine = await inMemory();
  const id = await newSession(engine);
  await engine.messages.append(id, { role: 'user', content: 'hi' });
  await expect(engine.sessions.get('nobody')).rejects.toThrow();
  expect(await pointsOf('holdfast.sessions')).toMatchObject([{ value: 1 }]);
  expect(await pointsOf('holdfast.messages.appended')).toMatchObject([{ value: 1 }]);
  expect(await pointsOf('holdfast.errors')).toMatchObject([
    { attributes: { 'error.type': 'not-found' }, value: 1 },
  ]);
  const queues = (await pointsOf('holdfast.queue.depth')).map((point) => point.attributes['holdfast.queue']);
  expect(queues).toEqual(expect.arrayContaining(['commits', 'tokens', 'index']));
  await engine.messages.settled();
  const { text } = await engine.monitor.prometheus();
  for (const { name } of [...GAUGES, ...COUNTERS]) {
    const isTold = new RegExp(
      `^${name.replaceAll('.', '_')}(_seconds|_bytes|_ratio)?(_total)?[{ ]`,
      'm',
    ).test(text);
    expect([name, (await pointsOf(name)).length > 0]).toEqual([name, isTold]);
  }
});

test('an engine that is closed is asked for no more gauges', async () => {
  const error = vi.fn();
  const ignored = () => undefined;
  diag.setLogger({ error, warn: ignored, info: ignored, debug: ignored, verbose: ignored });
  const engine = await ContextEngine.open('memory:');
  expect(await pointsOf('holdfast.health.score')).toMatchObject([{ value: expect.any(Number) }]);
  await engine.close();
  await meters.forceFlush();
  diag.disable();
  expect(error).not.toHaveBeenCalled();
});

test('neither spans nor metrics nor logs nor the snapshot tell anything of what is stored', async () => {
  const lines: unknown[] = [];
  const log = (fields: unknown, text: unknown) => void lines.push([fields, text]);
  const logger = { trace: log, debug: log, info: log, warn: log, error: log, level: 'trace' };
  const engine = await inMemory({ logger } as unknown as EngineOptions);
  const session = engine.session(await newSession(engine));
  await session.messages.append({ role: 'user', content: CANARY, metadata: { note: CANARY } });
  await session.state.set('key', CANARY);
  await session.memory.add({ content: `likes ${CANARY}`, tags: [CANARY] });
  await session.messages.search(CANARY);
  await session.memory.search(CANARY);
  await session.memory.searchByTags([CANARY]);
  await session.update({ metadata: { about: CANARY } });
  await session.window.build({ maxTokens: 1000, query: CANARY });
  await session.messages.append({ role: 'wrong', content: CANARY } as never).catch(() => undefined);
  const told = [
    spans
      .getFinishedSpans()
      .map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
    await pointsOf('holdfast.call.duration'),
    await pointsOf('db.client.operation.duration'),
    lines,
    await engine.monitor.snapshot(),
    await engine.monitor.prometheus(),
  ];
  expect(JSON.stringify(told)).not.toContain(CANARY);
  expect(spans.getFinishedSpans().length).toBeGreaterThan(10);
});

test('an SDK that is registered after the engine was opened hears of its spans from then on', async () => {
  trace.disable();
  const engine = await inMemory();
  await newSession(engine);
  expect(spans.getFinishedSpans()).toEqual([]);
  const spanProcessors = [new SimpleSpanProcessor(spans)];
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
  await engine.sessions.get('s');
  span('holdfast.sessions.get');
});

test.for(['onStart', 'onEnd'] as const)(
  'an SDK whose %s throws fails no call, and OpenTelemetry hears of it',
  async (hook) => {
    const done = async () => {};
    const well = { onStart() {}, onEnd() {}, forceFlush: done, shutdown: done };
    const fails = () => {
      throw new Error('the exporter is out of order');
    };
    trace.disable();
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [{ ...well, [hook]: fails }] }));
    const error = vi.fn();
    const ignored = () => undefined;
    diag.setLogger({ error, warn: ignored, info: ignored, debug: ignored, verbose: ignored });
    const engine = await inMemory();
    const id = await newSession(engine);
    await engine.messages.append(id, { role: 'user', content: 'hi' });
    await expect(engine.sessions.get('nobody')).rejects.toMatchObject({ code: 'not-found' });
    engine.monitor.operationTimer('plan').stop();
    expect((await engine.messages.list(id)).map(({ content }) => content)).toEqual(['hi']);
    diag.disable();
    expect(error).toHaveBeenCalledWith('holdfast: the OpenTelemetry SDK has failed', expect.any(Error));
  },
);

test('an engine without monitoring makes no spans', async () => {
  await using engine = await ContextEngine.open('memory:', { monitor: { enabled: false } });
  await newSession(engine);
  expect(spans.getFinishedSpans()).toEqual([]);
});
