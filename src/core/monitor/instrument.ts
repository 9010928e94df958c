/**
 * The one point that sees every call of an engine's services. Each public method of a service instance gets an own
 * property in front of it that tells observers of the call; the services know nothing of it.
 */
import { performance } from 'node:perf_hooks';
import { isHoldfastError } from '../errors.ts';
import { type CallIds, idsOf } from './call-ids.ts';

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
  /** Runs the call, so that something can be in force while it runs (a span). Absent: it just runs. */
  around?<T>(call: CallStart, run: () => T): T;
  ended?(call: ServiceCall): void;
}

/** Gives a watcher for each verb, once; none where it is not interested. */
export type CallObserver = (service: string, verb: string) => Watcher | undefined;

/** Methods that belong to a service's life, not to its work. */
const LIFE = ['constructor', 'close', 'start', 'stop'];

/**
 * Lets observers hear of every call of the services' public methods, also of those that one service makes of another.
 * A generator counts as a call that is over as soon as it is given.
 * @param services by name; a new service is taken in by naming it here
 */
export function instrument(
  services: Readonly<Record<string, object>>,
  { tenant, observers }: { tenant: string; observers: readonly CallObserver[] },
): void {
  for (const [service, instance] of Object.entries(services)) {
    for (const [verb, method] of methodsOf(instance)) {
      const watchers = observers.flatMap((observer) => observer(service, verb) ?? []);
      if (watchers.length === 0) continue;
      const value = watch({ service, verb, tenant, method: method.bind(instance), watchers });
      Object.defineProperty(instance, verb, { value, configurable: true, writable: true });
    }
  }
}

type Method = (...args: unknown[]) => unknown;

interface Watched {
  readonly service: string;
  readonly verb: string;
  readonly tenant: string;
  readonly method: Method;
  readonly watchers: readonly Watcher[];
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
  readonly #read: (args: readonly unknown[]) => CallIds;

  constructor(
    { service, verb, tenant }: Watched,
    args: readonly unknown[],
    read: (args: readonly unknown[]) => CallIds,
  ) {
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

function watch(watched: Watched): Method {
  const { service, verb, method, watchers } = watched;
  const read = idsOf(service, verb);
  const wraps = watchers.flatMap((watcher) => (watcher.around ? [watcher.around.bind(watcher)] : []));
  const hears = watchers.flatMap((watcher) => (watcher.ended ? [watcher.ended.bind(watcher)] : []));
  return (...args) => {
    const call = new Call(watched, args, read);
    const run = wraps.reduce(
      (inner, wrap) => () => wrap(call, inner),
      () => method(...args),
    );
    return whenSettled(run, (error) => {
      call.end(error === undefined ? 'ok' : outcomeOf(error));
      for (const hear of hears) hear(call);
    });
  };
}

/**
 * Runs something, and tells when it has ended, and how. What it gives is given on as it is: nobody waits longer for it.
 * @param end is told what went wrong, `undefined` where nothing did, and what came of it
 */
export function whenSettled<T>(run: () => T, end: (error: unknown, result?: Awaited<T>) => void): T {
  let given: T;
  try {
    given = run();
  } catch (error) {
    end(error ?? NOTHING);
    throw error;
  }
  if (given instanceof Promise) {
    given.then(
      (result: Awaited<T>) => end(undefined, result),
      (error: unknown) => end(error ?? NOTHING),
    );
  } else end(undefined, given as Awaited<T>);
  return given;
}

/** Stands for an error that somebody threw as `undefined`. */
const NOTHING = 'nothing';

/** The code of an error, which says what went wrong without saying with what. */
export function outcomeOf(error: unknown): string {
  return isHoldfastError(error) ? error.code : 'internal';
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
