import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Upper bounds of the buckets that Prometheus is given (seconds): from a tenth of a millisecond to ten seconds. */
export const BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;
const US_PER_MS = 1000;
/** Longer than this is taken for this: a quarter of an hour, in microseconds. */
const MOST_US = 15 * 60 * 1e6;

/** Latencies in milliseconds; all 0 where nothing was recorded. Percentiles are within one percent. */
export interface LatencySummary {
  count: number;
  meanMs: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** How long something took, from when it was made on. Recording costs well under a microsecond. */
export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: MOST_US, figures: 2 });
  /** How many were recorded up to each bound and beyond the one before; the last one is beyond all bounds. */
  readonly #buckets = new Float64Array(BUCKETS.length + 1);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  record(ms: number): void {
    const us = Math.round(ms * US_PER_MS);
    this.#histogram.record(us < 1 ? 1 : us > MOST_US ? MOST_US : us);
    this.#count++;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
    const seconds = ms / 1000;
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > BUCKETS[bucket]!) bucket++;
    this.#buckets[bucket]!++;
  }

  get count(): number {
    return this.#count;
  }

  get sumMs(): number {
    return this.#sumMs;
  }

  /** How many took at most so long, for each of {@link BUCKETS}. */
  cumulative(): number[] {
    let sum = 0;
    return BUCKETS.map((_, i) => {
      sum += this.#buckets[i]!;
      return sum;
    });
  }

  summary(): LatencySummary {
    const at = (percentile: number) =>
      Math.min(this.#maxMs, this.#histogram.percentile(percentile) / US_PER_MS);
    return this.#count === 0
      ? { count: 0, meanMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0, maxMs: 0 }
      : {
          count: this.#count,
          meanMs: this.#sumMs / this.#count,
          p50Ms: at(50),
          p95Ms: at(95),
          p99Ms: at(99),
          maxMs: this.#maxMs,
        };
  }
}

/** Latencies of the last one to two minutes: what counts for how things are now. */
export class RecentLatency {
  static readonly SPAN_MS = 60_000;
  #now = new Latency();
  #before = new Latency();
  #since = performance.now();

  record(ms: number): void {
    this.#turn();
    this.#now.record(ms);
  }

  /** Of the minute before and this one, the worse; their counts together. */
  summary(): Pick<LatencySummary, 'count' | 'p50Ms' | 'p99Ms'> {
    this.#turn();
    const [now, before] = [this.#now.summary(), this.#before.summary()];
    return {
      count: now.count + before.count,
      p50Ms: Math.max(now.p50Ms, before.p50Ms),
      p99Ms: Math.max(now.p99Ms, before.p99Ms),
    };
  }

  #turn(): void {
    const passed = performance.now() - this.#since;
    if (passed < RecentLatency.SPAN_MS) return;
    this.#before = passed < 2 * RecentLatency.SPAN_MS ? this.#now : new Latency();
    this.#now = new Latency();
    this.#since = performance.now();
  }
}
