import { performance } from 'node:perf_hooks';
import { isHoldfastError } from '../errors.ts';
import { Latency } from './latency.ts';

/** So many calls between two turns are all timed; of those beyond, one in {@link SAMPLE}. */
const ALL_TIMED = 1000;
const SAMPLE = 32;

/** The code of an error, which says what went wrong without saying with what. */
export function outcomeOf(error: unknown): string {
  return isHoldfastError(error) ? error.code : 'internal';
}

/**
 * One kind of call: how many there were, how they ended, and how long they took. All are counted; a look at the clock
 * costs more than that, so that of very many calls a sample is timed.
 */
export class Series {
  readonly latency = new Latency();
  /** By error code. */
  readonly failures = new Map<string, number>();
  started = 0;
  succeeded = 0;
  /** Of calls of which a sample is watched: those that have not ended. */
  underWay = 0;
  #sinceTurn = 0;
  /** Calls that the next one that is timed stands for. */
  #untimed = 0;
  readonly #onFailure: ((outcome: string, weight: number) => void) | undefined;
  readonly #onTime: ((ms: number, weight: number) => void) | undefined;

  constructor(
    on: {
      failure?: (outcome: string, weight: number) => void;
      time?: (ms: number, weight: number) => void;
    } = {},
  ) {
    this.#onFailure = on.failure;
    this.#onTime = on.time;
  }

  /** The same functions for all calls: one for each call would cost as much as all the rest. */
  readonly ok = (): void => this.count('ok');
  readonly failed = (error: unknown): void => this.count(outcomeOf(error));

  /**
   * How many calls the one that begins now stands for; 0 where it is not to be timed.
   * @param isWatched it is timed in any case
   */
  begin(isWatched = false): number {
    this.started++;
    const weight = this.#untimed + 1;
    const isTimed = ++this.#sinceTurn <= ALL_TIMED || weight >= SAMPLE || isWatched;
    this.#untimed = isTimed ? 0 : weight;
    return isTimed ? weight : 0;
  }

  /** Counts an end. @param weight how many ended like that */
  count(outcome: string, weight = 1): void {
    if (outcome === 'ok') {
      this.succeeded += weight;
      return;
    }
    this.failures.set(outcome, (this.failures.get(outcome) ?? 0) + weight);
    this.#onFailure?.(outcome, weight);
  }

  time(ms: number, weight: number): void {
    this.latency.record(ms, weight);
    this.#onTime?.(ms, weight);
  }

  /** To be called every few seconds. */
  turn(): void {
    this.#sinceTurn = 0;
  }

  /** How many ended how. */
  outcomes(): Record<string, number> {
    return { ...(this.succeeded > 0 && { ok: this.succeeded }), ...Object.fromEntries(this.failures) };
  }
}

export type Method = (...args: unknown[]) => unknown;

/**
 * Calls a method and counts the call. What it gives is given on as it is: nobody waits longer for it.
 * @param ok hears of the result, in place of the series
 */
export function counted(
  series: Series,
  method: Method,
  self: object,
  args: unknown[],
  ok: (result: never) => void = series.ok,
): unknown {
  const weight = series.begin();
  const start = weight > 0 ? performance.now() : 0;
  let given: unknown;
  try {
    given = method.apply(self, args);
  } catch (error) {
    series.failed(error);
    throw error;
  }
  if (!(given instanceof Promise)) {
    ok(given as never);
    if (weight > 0) series.time(performance.now() - start, weight);
  } else if (weight === 0) given.then(ok as (result: unknown) => void, series.failed);
  else followTimed(given, series, { start, weight, ok });
  return given;
}

function followTimed(
  given: Promise<unknown>,
  series: Series,
  { start, weight, ok }: { start: number; weight: number; ok: (result: never) => void },
): void {
  given.then(
    (result) => {
      series.time(performance.now() - start, weight);
      ok(result as never);
    },
    (error: unknown) => {
      series.time(performance.now() - start, weight);
      series.failed(error);
    },
  );
}
