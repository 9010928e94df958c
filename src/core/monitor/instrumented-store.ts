import { performance } from 'node:perf_hooks';
import type { Batch, Store } from '../store.ts';
import type { Meter } from './meter.ts';
import { type Method, outcomeOf } from './series.ts';
import { whenSettled } from './settled.ts';
import { STORE_VERBS, type StoreVerb } from './store-verbs.ts';

/** Hears of each call of a store while it is on. It is told no keys and no values, and must not throw. */
export interface StoreObserver {
  isOn(): boolean;
  /** Runs the call, so that something can be in force while it runs (a span). */
  around<T>(verb: StoreVerb, batch: Batch | undefined, run: () => T): T;
  /** @param outcome `ok`, or the error's code */
  ended(verb: StoreVerb, durationMs: number, outcome: string): void;
}

/**
 * A store whose calls are counted and watched, of very many of one kind a sample. It does what the store does, at the
 * store's own pace: what the store gives is given on as it is.
 */
export function instrumented(store: Store, meter: Meter, observer?: StoreObserver): Store {
  const watched = Object.fromEntries(
    STORE_VERBS.map((verb) => [verb, watch({ store, verb, meter, observer })]),
  );
  return {
    ...(watched as unknown as Pick<Store, StoreVerb>),
    get name() {
      return store.name;
    },
    get features() {
      return store.features;
    },
    get groups() {
      return store.groups;
    },
    get recovery() {
      return store.recovery;
    },
    waitForChanges: (after, signal) => store.waitForChanges(after, signal),
    health: () => store.health(),
    close: () => store.close(),
  };
}

interface Watched {
  readonly store: Store;
  readonly verb: StoreVerb;
  readonly meter: Meter;
  readonly observer: StoreObserver | undefined;
}

function watch({ store, verb, meter, observer }: Watched): Method {
  const series = meter.storeCall(verb);
  return (...args) => {
    // Looked up at each call: a store may change what it does.
    const method = store[verb] as Method;
    const observed = observer?.isOn() ? observer : undefined;
    const weight = series.begin(observed !== undefined);
    // To wait for each of very many commits would cost as much as all the rest.
    if (weight === 0) return method.apply(store, args);
    const batch = verb === 'commit' ? (args[0] as Batch) : undefined;
    if (batch) meter.sent(batch, weight);
    series.underWay += weight;
    const start = performance.now();
    const run = () => method.apply(store, args);
    return whenSettled(observed ? () => observed.around(verb, batch, run) : run, (error) => {
      const durationMs = performance.now() - start;
      const outcome = error === undefined ? 'ok' : outcomeOf(error);
      series.underWay -= weight;
      series.count(outcome, weight);
      series.time(durationMs, weight);
      observed?.ended(verb, durationMs, outcome);
    });
  };
}
