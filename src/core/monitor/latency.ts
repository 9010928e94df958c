/** Upper bounds of the buckets that Prometheus is given (seconds): from a tenth of a millisecond to ten seconds. */
export const BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;
const US_PER_MS = 1000;
/** A slot's bound is by this factor beyond the one before it: what is told is within one percent. */
const SLOTS_PER_E = 1 / Math.log(1.02);
/** From a microsecond to a quarter of an hour; what is longer is taken for that. */
const SLOTS = slotOf(15 * 60 * 1000) + 1;

/** Latencies in milliseconds; all 0 where nothing was recorded. Percentiles are within one percent. */
export interface LatencySummary {
  count: number;
  meanMs: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** How long something took: a histogram whose slots grow evenly, as those of HDR histograms and DDSketch do. */
export class Latency {
  readonly #slots = new Float64Array(SLOTS);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  /** @param weight how many it stands for */
  record(ms: number, weight = 1): void {
    this.#slots[Math.min(SLOTS - 1, slotOf(ms))]! += weight;
    this.#count += weight;
    this.#sumMs += ms * weight;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  get count(): number {
    return this.#count;
  }

  get sumMs(): number {
    return this.#sumMs;
  }

  /** How many took at most so long, for each of {@link BUCKETS}. */
  cumulative(): number[] {
    let slot = 0;
    let sum = 0;
    return BUCKETS.map((seconds) => {
      const last = slotOf(seconds * 1000);
      while (slot <= last) sum += this.#slots[slot++]!;
      return sum;
    });
  }

  percentile(percent: number): number {
    const wanted = (percent / 100) * this.#count;
    let sum = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      sum += this.#slots[slot]!;
      if (sum >= wanted && sum > 0) return Math.min(this.#maxMs, Math.exp(slot / SLOTS_PER_E) / US_PER_MS);
    }
    return 0;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      meanMs: this.#count === 0 ? 0 : this.#sumMs / this.#count,
      p50Ms: this.percentile(50),
      p95Ms: this.percentile(95),
      p99Ms: this.percentile(99),
      maxMs: this.#maxMs,
    };
  }
}

/** Latencies since the turn before the last one: what counts for how things are now. */
export class RecentLatency {
  #now = new Latency();
  #before = new Latency();

  record(ms: number, weight = 1): void {
    this.#now.record(ms, weight);
  }

  /** The worse of the two. */
  percentile(percent: number): number {
    return Math.max(this.#now.percentile(percent), this.#before.percentile(percent));
  }

  /** To be called once a minute: what was recorded before the last call is forgotten. */
  turn(): void {
    this.#before = this.#now;
    this.#now = new Latency();
  }
}

function slotOf(ms: number): number {
  const us = ms * US_PER_MS;
  return us <= 1 ? 0 : Math.round(Math.log(us) * SLOTS_PER_E);
}
