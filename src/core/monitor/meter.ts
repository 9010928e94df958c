/** What is counted and timed while an engine works: numbers only, of all its tenants together. */
import { channelOfLog, kinds } from '../partitions.ts';
import type { Batch, Receipt } from '../store.ts';
import type { CallObserver, Watcher } from './instrument.ts';
import type { StoreObserver, StoreVerb } from './instrumented-store.ts';
import { Latency, RecentLatency } from './latency.ts';
import { Rate } from './rates.ts';

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

/** Whether an error's code tells of something that is wrong with the system, and not with what was asked of it. */
export function isFault(outcome: string): boolean {
  return outcome !== 'ok' && !CALLERS_OWN.has(outcome);
}

/** One kind of call: how long it took, and how it ended. */
export class Series {
  readonly latency = new Latency();
  readonly outcomes = new Map<string, number>();

  add(durationMs: number, outcome: string): void {
    this.latency.record(durationMs);
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}

/** The counts and latencies of one engine. */
export class Meter {
  /** By `service.verb`. */
  readonly calls = new Map<string, Series>();
  readonly store = new Map<StoreVerb, Series>();
  /** Timed by users, by the name they gave. */
  readonly operations = new Map<string, Series>();
  readonly errors = new Map<string, number>();
  readonly rates = {
    calls: new Rate(),
    faults: new Rate(),
    commits: new Rate(),
    messages: new Rate(),
    /** Calls of the store that found it away, or locked. */
    unavailable: new Rate(),
  };
  readonly recentCommits = new RecentLatency();
  /** Operations in the batches that were committed. */
  readonly batchOperations = { batches: 0, operations: 0, largest: 0 };
  /** As providers reported it. */
  readonly promptTokens = { input: 0, cached: 0 };
  commitsUnderWay = 0;
  readonly startedAt = Date.now();

  /** Hears of service calls. */
  readonly onCall: CallObserver = (service, verb): Watcher => {
    const name = `${service}.${verb}`;
    return {
      ended: ({ durationMs, outcome }) => {
        seriesIn(this.calls, name).add(durationMs, outcome);
        this.rates.calls.add(1);
        if (outcome === 'ok') return;
        this.errors.set(outcome, (this.errors.get(outcome) ?? 0) + 1);
        if (isFault(outcome)) this.rates.faults.add(1);
      },
    };
  };

  /** Hears of the store. */
  readonly onStore: Required<Omit<StoreObserver, 'around'>> = {
    started: (verb) => {
      if (verb === 'commit') this.commitsUnderWay++;
    },
    ended: (verb, durationMs, outcome) => {
      seriesIn(this.store, verb).add(durationMs, outcome);
      if (outcome === 'store-unavailable') this.rates.unavailable.add(1);
      if (verb !== 'commit') return;
      this.commitsUnderWay--;
      this.recentCommits.record(durationMs);
      this.rates.commits.add(1);
    },
    committed: (batch, receipt) => this.#committed(batch, receipt),
  };

  #committed({ partition, operations }: Batch, { results, replayed }: Receipt): void {
    const { batchOperations } = this;
    batchOperations.batches++;
    batchOperations.operations += operations.length;
    if (operations.length > batchOperations.largest) batchOperations.largest = operations.length;
    if (replayed || partition.type !== 'session') return;
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i]!;
      if (operation.op === 'append') {
        if (channelOfLog(operation.log) !== undefined) this.rates.messages.add(results[i]?.count ?? 0);
      } else if (operation.op === 'add' && operation.kind === kinds.usage) {
        this.promptTokens.input += operation.deltas.inputTokens ?? 0;
        this.promptTokens.cached += operation.deltas.cachedTokens ?? 0;
      }
    }
  }
}

/** The series of a name, made when it is first asked for. */
export function seriesIn<K>(all: Map<K, Series>, name: K): Series {
  let series = all.get(name);
  if (!series) {
    series = new Series();
    all.set(name, series);
  }
  return series;
}
