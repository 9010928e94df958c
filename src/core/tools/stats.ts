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
  /** Of microseconds, to within 1 %: some 25 KB. */
  readonly #durations: RecordableHistogram = createHistogram({
    lowest: 1,
    highest: MAX_MICROSECONDS,
    figures: 2,
  });

  ended({ code, cached, attempts, durationMs }: Ended): void {
    if (code === undefined) this.#succeeded++;
    else {
      this.#failed++;
      this.#failures[code] = (this.#failures[code] ?? 0) + 1;
    }
    if (cached) this.#cached++;
    this.#attempts += attempts;
    this.#durations.record(Math.min(MAX_MICROSECONDS, Math.max(1, Math.round(durationMs * 1000))));
  }

  stats(): ToolStats {
    const calls = this.#succeeded + this.#failed;
    const d = this.#durations;
    const ms = (microseconds: number) => (calls === 0 ? 0 : microseconds / 1000);
    return {
      calls,
      succeeded: this.#succeeded,
      failed: this.#failed,
      failures: { ...this.#failures },
      cached: this.#cached,
      attempts: this.#attempts,
      running: this.running,
      durationMs: {
        min: ms(d.min),
        mean: ms(d.mean),
        p50: ms(d.percentile(50)),
        p95: ms(d.percentile(95)),
        p99: ms(d.percentile(99)),
        max: ms(d.max),
      },
    };
  }
}
