/**
 * The one point that sees every call of an engine's services. Each public method of a service instance gets an own
 * property in front of it that tells observers of the call; the services know nothing of it.
 */
import { performance } from 'node:perf_hooks';
import { type CallIds, idsOf, type ReadIds } from './call-ids.ts';
import type { Meter } from './meter.ts';
import { outcomeReader } from './outcome.ts';
import { counted, type Method, type Series } from './series.ts';
import { whenSettled } from './settled.ts';

/** A call as it begins. Its ids are all that is told of its arguments: never content. */
export interface CallStart {
  readonly service: string;
  readonly verb: string;
  readonly tenant: string;
  /** Read from the arguments when asked for. */
  readonly ids: CallIds;
}

/** A call that has ended. */
export interface ServiceCall extends CallStart {
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** `ok`, or the code of the error: `internal` for one that is none of ours. */
  readonly outcome: string;
}

/** Hears of the calls of one verb of one service. It must not throw. */
export interface Watcher {
  /** Whether it listens just now. Absent: always. */
  isOn?(): boolean;
  /** Runs the call, so that something can be in force while it runs (a span). Absent: it just runs. */
  around?<T>(call: CallStart, run: () => T): T;
  ended?(call: ServiceCall): void;
}

/** Gives a watcher for each verb, once; none where it is not interested. */
export type CallObserver = (service: string, verb: string) => Watcher | undefined;

export interface Watch {
  readonly tenant: string;
  /** Counts all calls; absent where nothing is to be counted. */
  readonly meter?: Meter | undefined;
  readonly observers: readonly CallObserver[];
}

/** Methods that belong to a service's life, not to its work. */
const LIFE = ['constructor', 'close', 'start', 'stop'];

/**
 * Counts every call of the services' public methods, and lets observers hear of it; also of those that one service makes
 * of another. A generator counts as a call that is over as soon as it is given.
 * @param services by name; a new service is taken in by naming it here
 */
export function instrument(
  services: Readonly<Record<string, object>>,
  { tenant, meter, observers }: Watch,
): void {
  for (const [service, instance] of Object.entries(services)) {
    for (const [verb, method] of methodsOf(instance)) {
      const watchers = observers.flatMap((observer) => observer(service, verb) ?? []);
      if (watchers.length === 0 && !meter) continue;
      const value = watch({ service, verb, tenant, instance, method, watchers, meter });
      Object.defineProperty(instance, verb, { value, configurable: true, writable: true });
    }
  }
}

interface Watched {
  readonly service: string;
  readonly verb: string;
  readonly tenant: string;
  readonly instance: object;
  readonly method: Method;
  readonly watchers: readonly Watcher[];
  readonly meter: Meter | undefined;
}

/** One call, from its start to its end. */
class Call implements ServiceCall {
  readonly service: string;
  readonly verb: string;
  readonly tenant: string;
  durationMs = 0;
  outcome = 'ok';
  readonly #start = performance.now();
  readonly #args: readonly unknown[];
  readonly #read: ReadIds;

  constructor({ service, verb, tenant }: Watched, args: readonly unknown[], read: ReadIds) {
    this.service = service;
    this.verb = verb;
    this.tenant = tenant;
    this.#args = args;
    this.#read = read;
  }

  get ids(): CallIds {
    return this.#read(this.#args);
  }

  get startedAt(): number {
    return performance.timeOrigin + this.#start;
  }

  end(outcome: string): void {
    this.durationMs = performance.now() - this.#start;
    this.outcome = outcome;
  }
}

const listens = (watcher: Watcher): boolean => watcher.isOn?.() ?? true;

function watch(watched: Watched): Method {
  const { service, verb, instance, method, watchers, meter } = watched;
  const read = idsOf(service, verb);
  const outcomeOf = outcomeReader(service, verb);
  const { given, gave } = meter?.noteOf(service, verb) ?? {};
  const ok = (result: unknown) => {
    series?.count(outcomeOf(undefined, result));
    gave?.(result);
  };
  let series: Series | undefined;
  return (...args) => {
    series ??= meter?.call(service, verb);
    if (given) given(args);
    if (!watchers.some(listens))
      return series ? counted(series, method, instance, args, ok) : method.apply(instance, args);
    const weight = series?.begin(true) ?? 1;
    const call = new Call(watched, args, read);
    const on = watchers.filter(listens);
    const run = on.reduce(
      (inner, watcher) => (watcher.around ? () => watcher.around!(call, inner) : inner),
      () => method.apply(instance, args),
    );
    return whenSettled(run, (error, result) => {
      call.end(outcomeOf(error, result));
      series?.time(call.durationMs, weight);
      if (call.outcome === 'ok') ok(result);
      else series?.count(call.outcome);
      for (const watcher of on) watcher.ended?.(call);
    });
  };
}

/** The public methods of an instance, those of the classes that its class extends as well. */
function* methodsOf(instance: object): Generator<[string, Method]> {
  const seen = new Set(LIFE);
  for (
    let prototype = Object.getPrototypeOf(instance) as object | null;
    prototype && prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype) as object | null
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (seen.has(name) || typeof value !== 'function') continue;
      seen.add(name);
      yield [name, value as Method];
    }
  }
}
