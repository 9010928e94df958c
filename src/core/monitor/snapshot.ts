/** What `engine.monitor` gives. Times are epoch milliseconds, durations end in `Ms`, sizes in `Bytes`. */
import type { WorkCounts } from '../concurrency/tally.ts';
import type { Totals } from './census.ts';
import type { Lags } from './lags.ts';
import type { LatencySummary } from './latency.ts';
import type { ProcessFacts } from './process.ts';
import type { Recommendation } from './recommendations.ts';
import type { Score } from './score.ts';

/** A kind of call since the engine was opened. */
export interface CallSummary extends LatencySummary {
  /** How many ended how: `ok`, or an error's code. */
  outcomes: Record<string, number>;
}

/** How often something happened, a second, over the last minute. */
export interface Rates {
  callsPerSecond: number;
  /** Calls that failed with what is no caller's mistake. */
  faultsPerSecond: number;
  commitsPerSecond: number;
  messagesPerSecond: number;
}

export interface GroupSummary {
  groups: number;
  meanBatches: number;
  largestBatches: number;
  /** How many groups had at most so many batches, and more than the one before; the last has no bound. */
  sizes: { upTo?: number; groups: number }[];
}

export interface StoreSummary {
  name: string;
  /** By method of the port. */
  calls: Record<string, CallSummary>;
  /** Operations in a batch. */
  operations: { batches: number; mean: number; largest: number };
  /** How batches went together; absent where the store does not say. */
  groups?: GroupSummary;
}

/** What is under way or waits, right now. */
export interface Queues {
  /** Commits that were not answered yet. */
  commits: number;
  /** Those of them that wait for their group to go out. */
  waitingCommits: number;
  /** Stretches of the tenant's logs whose tokens are to be counted. */
  tokens: number;
  /** Partitions whose texts are to be indexed, as far as is known. */
  index: number;
  /** Work in the background, and users' jobs, by kind. */
  background: Record<string, Pick<WorkCounts, 'running' | 'queued'>>;
}

/** Hits of a cache. */
export interface CacheSummary {
  hits: number;
  misses: number;
  /** 0 to 1. */
  hitRate: number;
}

/** How an engine is doing. `totals`, `lags.consumers` and `queues.tokens` are the tenant's, all else the engine's. */
export interface MonitorSnapshot {
  at: number;
  tenant: string;
  /** Since the engine was opened: what is counted is counted from there. */
  openForMs: number;
  /** Absent until they have been counted. */
  totals?: Totals;
  rates: Rates;
  /** By `service.verb`. A call that a service makes of another one counts, too. */
  calls: Record<string, CallSummary>;
  /** What was timed with `operationTimer`, by name. */
  operations: Record<string, CallSummary>;
  store: StoreSummary;
  /** Of input tokens that were reported with `window.reportUsage`; absent where none were. */
  promptCache?: { inputTokens: number; cachedTokens: number; hitRate: number };
  /** Results of tools; absent where no tool has a cache that was asked. */
  toolCache?: CacheSummary;
  queues: Queues;
  /** Absent while the store can't be read. */
  lags?: Lags;
  process: ProcessFacts;
  /** How many calls failed, by the error's code. */
  errors: Record<string, number>;
  health: Score;
  recommendations: Recommendation[];
}

/** One point of the history. */
export interface MonitorSample {
  at: number;
  score: number;
  rates: Rates;
  /** Of the last one to two minutes. */
  commitP50Ms: number;
  commitP99Ms: number;
  queued: number;
  /** Absent where the store could not be read. */
  lagMs?: number;
  rssBytes: number;
  heapUsedBytes: number;
  eventLoopDelayP99Ms: number;
}
