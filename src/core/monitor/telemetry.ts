/**
 * Spans and metrics by OpenTelemetry's API: nothing happens where no SDK is registered. Names and attributes follow the
 * semantic conventions for databases where these fit (https://opentelemetry.io/docs/specs/semconv/database/).
 */
import {
  type Attributes,
  context,
  createNoopMeter,
  diag,
  type Histogram,
  isSpanContextValid,
  type Meter,
  metrics,
  ProxyTracerProvider,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Batch } from '../store.ts';
import type { CallIds } from './call-ids.ts';
import type { CallObserver, CallStart, ServiceCall, Watcher } from './instrument.ts';
import type { StoreObserver } from './instrumented-store.ts';
import { BUCKETS } from './latency.ts';
import { outcomeReader, type ReadOutcome } from './outcome.ts';
import { whenSettled } from './settled.ts';
import type { StoreVerb } from './store-verbs.ts';

const SCOPE = 'holdfast';
/** What stands in for a tracer provider until an SDK registers one. */
const NOBODY = new ProxyTracerProvider().getDelegate();
const NOOP_METER = createNoopMeter();
/** How our stores' databases are called there. */
const SYSTEMS: Readonly<Record<string, string>> = {
  postgres: 'postgresql',
  'redis-cluster': 'redis',
  memory: 'holdfast.memory',
};
const ID_ATTRIBUTES: Readonly<Record<keyof CallIds, string>> = {
  sessionId: 'holdfast.session.id',
  userId: 'holdfast.user.id',
  channel: 'holdfast.channel',
  messageId: 'holdfast.message.id',
  memoryId: 'holdfast.memory.id',
  taskId: 'holdfast.task.id',
  tool: 'holdfast.tool.name',
};

/** Hears of the services' calls and of the store's, and tells OpenTelemetry. */
export class Telemetry {
  readonly #provider = trace.getTracerProvider();
  readonly #tracer: Tracer = this.#provider.getTracer(SCOPE);
  readonly #meter: Meter = metrics.getMeter(SCOPE);
  readonly #isAlwaysOn = !(this.#provider instanceof ProxyTracerProvider) || this.#meter !== NOOP_METER;
  readonly #calls = this.#durations('holdfast.call.duration', 'How long calls of services took.');
  readonly #store = this.#durations('db.client.operation.duration', 'How long calls of the store took.');
  readonly #operations = this.#durations('holdfast.operation.duration', 'How long timed operations took.');
  readonly #system: () => string;
  readonly #watchers = new Map<string, Watcher>();

  /** @param storeName the store's name, which may change while it is looked for */
  constructor(storeName: () => string) {
    this.#system = () => SYSTEMS[storeName()] ?? storeName();
  }

  /** Whether an SDK listens. One for metrics has to be registered before the engine is opened. */
  readonly isOn = (): boolean => {
    return this.#isAlwaysOn || (this.#provider as ProxyTracerProvider).getDelegate() !== NOBODY;
  };

  /** Of a verb, the same for the views of all tenants: there may be a thousand. */
  readonly onCall: CallObserver = (service, verb) => {
    const name = `holdfast.${service}.${verb}`;
    const watcher = this.#watchers.get(name) ?? this.#watcherOf(name, service, verb);
    this.#watchers.set(name, watcher);
    return watcher;
  };

  #watcherOf(name: string, service: string, verb: string): Watcher {
    const options = {
      kind: SpanKind.INTERNAL,
      attributes: { 'holdfast.service': service, 'holdfast.verb': verb },
    };
    const outcome = outcomeReader(service, verb);
    return {
      isOn: this.isOn,
      around: (call, run) => {
        const span = harmlessly(() => this.#tracer.startSpan(name, options));
        return inSpan(span, run, { attributes: () => attributesOf(call), outcome });
      },
      ended: ({ durationMs, outcome }: ServiceCall) =>
        record(this.#calls, durationMs, { ...options.attributes, ...errorType(outcome) }),
    };
  }

  readonly onStore: StoreObserver = {
    isOn: () => this.isOn(),
    around: (verb, batch, run) => {
      const options = { kind: SpanKind.CLIENT, attributes: this.#storeAttributes(verb) };
      const span = harmlessly(() => this.#tracer.startSpan(`holdfast.store.${verb}`, options));
      return inSpan(span, run, {
        attributes: () => batchAttributes(batch),
        outcome: outcomeReader('store', verb),
      });
    },
    ended: (verb, durationMs, outcome) =>
      record(this.#store, durationMs, { ...this.#storeAttributes(verb), ...errorType(outcome) }),
  };

  /** A span of a user's own operation, and its end. */
  startOperation(name: string): (durationMs: number, outcome: string) => void {
    const attributes = { 'holdfast.operation.name': name };
    const span = harmlessly(() => this.#tracer.startSpan('holdfast.operation', { attributes }));
    return (durationMs, outcome) => {
      if (span) finish(span, outcome);
      record(this.#operations, durationMs, { ...attributes, ...errorType(outcome) });
    };
  }

  /** Where gauges are observed. */
  get meter(): Meter {
    return this.#meter;
  }

  #storeAttributes(verb: StoreVerb): Attributes {
    return { 'db.system.name': this.#system(), 'db.operation.name': verb };
  }

  #durations(name: string, description: string) {
    const advice = { explicitBucketBoundaries: [...BUCKETS] };
    return this.#meter.createHistogram(name, { description, unit: 's', advice });
  }
}

/** Runs something with a span in force, so that spans that are begun meanwhile are its children. */
function inSpan<T>(
  span: Span | undefined,
  run: () => T,
  { attributes, outcome }: { attributes: () => Attributes; outcome: ReadOutcome },
): T {
  // Nobody listens: the rest would be for nothing.
  if (!span || !isSpanContextValid(span.spanContext())) return run();
  if (span.isRecording()) harmlessly(() => span.setAttributes(attributes()));
  return whenSettled(
    () => context.with(trace.setSpan(context.active(), span), run),
    (error, result) => finish(span, outcome(error, result)),
  );
}

/** An error is told by its code: its message may be somebody else's, and may quote anything. */
function finish(span: Span, outcome: string): void {
  harmlessly(() => {
    if (outcome !== 'ok') {
      span.setAttributes(errorType(outcome));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  });
}

function record(histogram: Histogram, durationMs: number, attributes: Attributes): void {
  harmlessly(() => histogram.record(durationMs / 1000, attributes));
}

/** An SDK whose processors or readers throw must not fail what it watches: OpenTelemetry's own log is told. */
function harmlessly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    diag.error('holdfast: the OpenTelemetry SDK has failed', error);
    return undefined;
  }
}

function errorType(outcome: string): Attributes {
  return outcome === 'ok' ? {} : { 'error.type': outcome };
}

function attributesOf({ tenant, ids }: CallStart): Attributes {
  const attributes: Attributes = { 'holdfast.tenant': tenant };
  for (const [name, value] of Object.entries(ids)) attributes[ID_ATTRIBUTES[name as keyof CallIds]] = value;
  return attributes;
}

function batchAttributes(batch: Batch | undefined): Attributes {
  if (!batch) return {};
  const { partition, operations } = batch;
  return {
    'db.operation.batch.size': operations.length,
    'holdfast.partition.type': partition.type,
    'holdfast.tenant': partition.tenant,
    ...(partition.type === 'session' && { 'holdfast.session.id': partition.id }),
  };
}
