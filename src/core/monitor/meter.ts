/** What is counted and timed while an engine works: numbers only, of all its tenants together. */
import { performance } from 'node:perf_hooks';
import type { Batch } from '../store.ts';
import { RecentLatency } from './latency.ts';
import { Rates } from './rates.ts';
import { Series } from './series.ts';
import type { StoreVerb } from './store-verbs.ts';

const TURN_MS = 5000;
/** Turns of what is recent: a minute. */
const RECENT_TURNS = 12;

/** Codes of errors that tell of a caller's mistake or of a lost race: nothing is wrong with the system. */
const CALLERS_OWN: ReadonlySet<string> = new Set([
  'invalid-input',
  'forbidden',
  'not-found',
  'conflict',
  'budget',
  'unsupported',
  'closed',
  'cursor-expired',
  'aborted',
  'config',
  'import',
]);

/** Calls that run a function of the caller's, or wait for one: what that throws says nothing of the system. */
const CALLERS_FUNCTIONS: ReadonlySet<string> = new Set([
  'concurrency.run',
  'concurrency.wait',
  'tasks.run',
  'tools.execute',
  'tools.chain',
]);

/** Whether an error's code tells of something that is wrong with the system, and not with what was asked of it. */
export function isFault(outcome: string): boolean {
  return outcome !== 'ok' && !CALLERS_OWN.has(outcome);
}

/** What a verb's calls are given and give, where that is counted. */
interface Note {
  given?(args: readonly unknown[]): void;
  gave?(result: unknown): void;
}

/** The counts and latencies of one engine. */
export class Meter implements Disposable {
  /** By `service.verb`. */
  readonly calls = new Map<string, Series>();
  readonly store = new Map<StoreVerb, Series>();
  /** Timed by users, by the name they gave. */
  readonly operations = new Map<string, Series>();
  readonly errors = new Map<string, number>();
  readonly recentCommits = new RecentLatency();
  /** Operations in the batches that were sent. */
  readonly batchOperations = { operations: 0, largest: 0 };
  /** As providers reported it. */
  readonly promptTokens = { input: 0, cached: 0 };
  /** Of `performance.now()`: a clock that is set does not change how long it has been. */
  readonly startedAt = performance.now();
  messages = 0;
  /** Hears of each call that finds the store away, or locked. */
  onUnavailable: (() => void) | undefined;
  readonly #notes: Readonly<Record<string, Note>> = {
    'messages.append': {
      gave: (result) => {
        this.messages += Array.isArray(result) ? result.length : 1;
      },
    },
    'window.reportUsage': { given: ([, report]) => this.#reported(report) },
  };
  #faults = 0;
  /** Calls of the store that found it away, or locked. */
  #unavailable = 0;
  #turns = 0;
  readonly rates = new Rates(() => this.#counters());
  readonly #timer = setInterval(() => this.#turn(), TURN_MS).unref();

  /** The series of a service's verb, made when it is first asked for. */
  call(service: string, verb: string): Series {
    const name = `${service}.${verb}`;
    const mayBeFault = !CALLERS_FUNCTIONS.has(name);
    const failure = (outcome: string) => {
      this.errors.set(outcome, (this.errors.get(outcome) ?? 0) + 1);
      if (mayBeFault && isFault(outcome)) this.#faults++;
      if (outcome === 'store-unavailable') this.onUnavailable?.();
    };
    return seriesIn(this.calls, name, () => new Series({ failure }));
  }

  /** What the calls of a verb tell besides how they end; undefined for most. */
  noteOf(service: string, verb: string): Note | undefined {
    return this.#notes[`${service}.${verb}`];
  }

  storeCall(verb: StoreVerb): Series {
    const failure = (outcome: string, weight: number) => {
      if (outcome !== 'store-unavailable') return;
      this.#unavailable += weight;
      this.onUnavailable?.();
    };
    const time = (ms: number, weight: number) => this.recentCommits.record(ms, weight);
    return seriesIn(this.store, verb, () => new Series({ failure, ...(verb === 'commit' && { time }) }));
  }

  operation(name: string): Series {
    return seriesIn(this.operations, name, () => new Series());
  }

  /** Commits that were not answered yet. */
  get commitsUnderWay(): number {
    return this.store.get('commit')?.underWay ?? 0;
  }

  /** Notes a batch that is sent. @param weight how many it stands for */
  sent({ operations }: Batch, weight: number): void {
    const { batchOperations } = this;
    const count = operations?.length ?? 0;
    batchOperations.operations += count * weight;
    if (count > batchOperations.largest) batchOperations.largest = count;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #reported(report: unknown): void {
    const { inputTokens, cachedTokens } = (report ?? {}) as Record<string, unknown>;
    if (Number.isFinite(inputTokens)) this.promptTokens.input += Number(inputTokens);
    if (Number.isFinite(cachedTokens)) this.promptTokens.cached += Number(cachedTokens);
  }

  #counters() {
    let calls = 0;
    for (const { started } of this.calls.values()) calls += started;
    const commits = this.store.get('commit')?.succeeded ?? 0;
    const { messages } = this;
    return { calls, faults: this.#faults, commits, messages, unavailable: this.#unavailable };
  }

  #turn(): void {
    this.rates.turn();
    for (const series of [...this.calls.values(), ...this.store.values()]) series.turn();
    if (++this.#turns % RECENT_TURNS === 0) this.recentCommits.turn();
  }
}

function seriesIn<K>(all: Map<K, Series>, name: K, make: () => Series): Series {
  const series = all.get(name) ?? make();
  all.set(name, series);
  return series;
}
