/** What is counted and timed while an engine works: numbers only, of all its tenants together. */
import { channelOfLog, kinds } from '../partitions.ts';
import type { Batch, Receipt } from '../store.ts';
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
  readonly startedAt = Date.now();
  messages = 0;
  /** Hears of each call that finds the store away, or locked. */
  onUnavailable: (() => void) | undefined;
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
    };
    return seriesIn(this.calls, name, () => new Series({ failure }));
  }

  storeCall(verb: StoreVerb): Series {
    const failure = (outcome: string) => {
      if (outcome !== 'store-unavailable') return;
      this.#unavailable++;
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
    const commits = this.store.get('commit');
    if (!commits) return 0;
    return commits.started - commits.succeeded - failuresOf(commits);
  }

  /**
   * Notes a batch that is sent.
   * @returns what hears of its receipt; undefined where nothing of that is counted
   */
  sent({ partition, operations }: Batch): ((receipt: Receipt) => void) | undefined {
    const { batchOperations } = this;
    batchOperations.operations += operations.length;
    if (operations.length > batchOperations.largest) batchOperations.largest = operations.length;
    if (partition.type !== 'session') return undefined;
    let messages = 0;
    let others = 0;
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i]!;
      if (operation.op === 'append') {
        if (operation.log === 'messages' || channelOfLog(operation.log) !== undefined) messages++;
        else others++;
      } else if (operation.op === 'add' && operation.kind === kinds.usage) this.#reported(operation.deltas);
    }
    if (messages === 0) return undefined;
    return others === 0 ? this.appended : (receipt) => this.#countMessages(operations, receipt);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Hears of receipts of batches that append messages and nothing else: one function for all of them. */
  readonly appended = ({ results, replayed }: Receipt): void => {
    if (replayed) return;
    for (let i = 0; i < results.length; i++) if (results[i]!.seqs) this.messages += results[i]!.count ?? 0;
  };

  #countMessages(operations: Batch['operations'], { results, replayed }: Receipt): void {
    if (replayed) return;
    for (const [i, operation] of operations.entries())
      if (operation.op === 'append' && channelOfLog(operation.log) !== undefined)
        this.messages += results[i]?.count ?? 0;
  }

  #reported({ inputTokens = 0, cachedTokens = 0 }: Readonly<Record<string, number>>): void {
    this.promptTokens.input += inputTokens;
    this.promptTokens.cached += cachedTokens;
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

function failuresOf({ failures }: Series): number {
  return [...failures.values()].reduce((sum, count) => sum + count, 0);
}

function seriesIn<K>(all: Map<K, Series>, name: K, make: () => Series): Series {
  const series = all.get(name) ?? make();
  all.set(name, series);
  return series;
}
