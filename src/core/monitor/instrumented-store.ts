import { performance } from 'node:perf_hooks';
import type { Batch, Receipt, Store } from '../store.ts';
import { outcomeOf, whenSettled } from './instrument.ts';

/** The calls of the port that are watched. Waiting for changes is not work, and closing comes once. */
export const STORE_VERBS = [
  'commit',
  'getRecords',
  'listRecords',
  'listLogs',
  'readLog',
  'queryIndex',
  'readChanges',
  'trimChanges',
  'searchText',
] as const satisfies readonly (keyof Store)[];

export type StoreVerb = (typeof STORE_VERBS)[number];

/** Hears of calls of a store. It is told no keys and no values, and must not throw. */
export interface StoreObserver {
  /** Runs the call, so that something can be in force while it runs (a span). Absent: it just runs. */
  around?<T>(verb: StoreVerb, batch: Batch | undefined, run: () => T): T;
  started?(verb: StoreVerb): void;
  /** @param outcome `ok`, or the error's code */
  ended?(verb: StoreVerb, durationMs: number, outcome: string): void;
  /** After `ended`, where a batch was committed. */
  committed?(batch: Batch, receipt: Receipt): void;
}

/**
 * A store whose calls are watched. It does what the store does, at the store's own pace: what the store gives is given on
 * as it is.
 */
export function instrumented(store: Store, observer: StoreObserver): Store {
  const watched = Object.fromEntries(STORE_VERBS.map((verb) => [verb, watch(store, verb, observer)]));
  return {
    ...(watched as Pick<Store, StoreVerb>),
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

type Method = (...args: unknown[]) => Promise<unknown>;

function watch(store: Store, verb: StoreVerb, observer: StoreObserver): Method {
  return (...args) => {
    const batch = verb === 'commit' ? (args[0] as Batch) : undefined;
    // Looked up at each call: a store may change what it does.
    const run = () => (store[verb] as Method).apply(store, args);
    observer.started?.(verb);
    const start = performance.now();
    return whenSettled(observer.around ? () => observer.around!(verb, batch, run) : run, (error, result) => {
      observer.ended?.(verb, performance.now() - start, error === undefined ? 'ok' : outcomeOf(error));
      if (batch && error === undefined) observer.committed?.(batch, result as Receipt);
    });
  };
}
