import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { ErrorCode } from '../errors.ts';

/** What came of a tool's calls in this process, of one tenant. */
export interface ToolStats {
  calls: number;
  succeeded: number;
  failed: number;
  /** How many failed with each code. */
  failures: Partial<Record<ErrorCode, number>>;
  /** Calls that were given the result of an earlier one, or of one that was under way. */
  cached: number;
  /** How often the tool itself was called: more than `calls` where there were retries. */
  attempts: number;
  /** Calls that have not ended yet. */
  running: number;
  /** How long calls took, retries and waiting and all (milliseconds). All are 0 before the first. */
  durationMs: { min: number; mean: number; p50: number; p95: number; p99: number; max: number };
}

interface Ended {
  code: ErrorCode | undefined;
  cached: boolean;
  attempts: number;
  durationMs: number;
}

/** An hour: what takes longer counts as an hour. */
const MAX_MICROSECONDS = 3_600_000_000;

/** Counts the calls of a tool. */
export class CallCounts {
  running = 0;
  #succeeded = 0;
  #failed = 0;
  #cached = 0;
  #attempts = 0;
  readonly #failures: Partial<Record<ErrorCode, number>> = {};
  /** Of microseconds, to within 1 %: some 25 KB, which a tool that nobody calls does not cost. */
  #durations: RecordableHistogram | undefined;

  ended({ code, cached, attempts, durationMs }: Ended): void {
    if (code === undefined) this.#succeeded++;
    else {
      this.#failed++;
      this.#failures[code] = (this.#failures[code] ?? 0) + 1;
    }
    if (cached) this.#cached++;
    this.#attempts += attempts;
    this.#durations ??= createHistogram({ lowest: 1, highest: MAX_MICROSECONDS, figures: 2 });
    this.#durations.record(Math.min(MAX_MICROSECONDS, Math.max(1, Math.round(durationMs * 1000))));
  }

  stats(): ToolStats {
    const calls = this.#succeeded + this.#failed;
    const d = this.#durations;
    const percentile = (p: number) => (d ? d.percentile(p) / 1000 : 0);
    return {
      calls,
      succeeded: this.#succeeded,
      failed: this.#failed,
      failures: { ...this.#failures },
      cached: this.#cached,
      attempts: this.#attempts,
      running: this.running,
      durationMs: {
        min: d ? d.min / 1000 : 0,
        mean: d ? d.mean / 1000 : 0,
        p50: percentile(50),
        p95: percentile(95),
        p99: percentile(99),
        max: d ? d.max / 1000 : 0,
      },
    };
  }
}
