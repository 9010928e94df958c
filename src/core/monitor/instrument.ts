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

/** Hears of calls. What it throws is nobody's business but its own: it must not throw. */
export interface CallObserver {
  /** Runs the call, so that something can be in force while it runs (a span). Absent: it just runs. */
  around?<T>(call: CallStart, run: () => T): T;
  ended?(call: ServiceCall): void;
}

/** Methods that belong to a service's life, not to its work. */
const LIFE = new Set(['constructor', 'close', 'start', 'stop']);

/**
 * Lets observers hear of every call of the services' public methods, also of those that one service makes of another.
 * A generator counts as a call that is over as soon as it is given.
 * @param services by name; a new service is taken in by naming it here
 */
export function instrument(
  services: Readonly<Record<string, object>>,
  { tenant, observers }: { tenant: string; observers: readonly CallObserver[] },
): void {
  if (observers.length === 0) return;
  const around = observers.flatMap((observer) => (observer.around ? [observer.around.bind(observer)] : []));
  const ended = observers.flatMap((observer) => (observer.ended ? [observer.ended.bind(observer)] : []));
  for (const [service, instance] of Object.entries(services)) {
    for (const [verb, method] of methodsOf(instance)) {
      const watched = watch({ service, verb, tenant, method: method.bind(instance), around, ended });
      Object.defineProperty(instance, verb, { value: watched, configurable: true, writable: true });
    }
  }
}

type Method = (...args: unknown[]) => unknown;

interface Watched {
  readonly service: string;
  readonly verb: string;
  readonly tenant: string;
  readonly method: Method;
  readonly around: readonly NonNullable<CallObserver['around']>[];
  readonly ended: readonly NonNullable<CallObserver['ended']>[];
}

function watch({ service, verb, tenant, method, around, ended }: Watched): Method {
  const read = idsOf(service, verb);
  return (...args) => {
    const call: CallStart = { service, verb, tenant, ids: read(args) };
    const startedAt = Date.now();
    const start = performance.now();
    const end = (outcome: string) => {
      const told: ServiceCall = {
        service,
        verb,
        tenant,
        ids: call.ids,
        startedAt,
        durationMs: performance.now() - start,
        outcome,
      };
      for (const tell of ended) tell(told);
    };
    let run = () => method(...args);
    for (const wrap of around) {
      const inner = run;
      run = () => wrap(call, inner);
    }
    return settled(run, end);
  };
}

/** Runs something, and tells how it ended. What it gives is given on as it is: nobody waits longer. */
export function settled<T>(run: () => T, end: (outcome: string) => void): T {
  let result: T;
  try {
    result = run();
  } catch (error) {
    end(outcomeOf(error));
    throw error;
  }
  if (result instanceof Promise) {
    result.then(
      () => end('ok'),
      (error: unknown) => end(outcomeOf(error)),
    );
  } else end('ok');
  return result;
}

/** The code of an error, which says what went wrong without saying with what. */
export function outcomeOf(error: unknown): string {
  return isHoldfastError(error) ? error.code : 'internal';
}

/** The public methods of an instance, those of the classes that its class extends as well. */
function* methodsOf(instance: object): Generator<[string, Method]> {
  const seen = new Set<string>(LIFE);
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
