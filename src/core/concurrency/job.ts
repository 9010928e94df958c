import { HoldfastError } from '../errors.ts';
import { onAbort } from './on-abort.ts';
import type { Submission } from './options.ts';
import type { Outcome, Piece } from './tally.ts';

/** A function that was submitted, from then to its end: what comes first of its result, its time and a cancelling counts. */
export class Job {
  readonly id: string;
  readonly result: Promise<unknown>;
  outcome: Outcome | undefined;
  /** When it ended (milliseconds of performance.now()). */
  endedAt = 0;
  readonly #submission: Submission;
  readonly #piece: Piece;
  readonly #onEnded: (job: Job) => void;
  readonly #stopping = new AbortController();
  readonly #leaving = new AbortController();
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;
  #isRunning = false;
  #timer: NodeJS.Timeout | undefined;
  #graceMs = 0;
  #free: () => void = () => undefined;
  #unlisten: () => void = () => undefined;

  /** @param onEnded hears when there is a result: once, before those who wait for it */
  constructor(id: string, submission: Submission, piece: Piece, onEnded: (job: Job) => void) {
    this.id = id;
    this.#submission = submission;
    this.#piece = piece;
    this.#onEnded = onEnded;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Nobody need wait for it.
    this.result.catch(() => undefined);
    const { signal } = submission;
    if (signal) this.#unlisten = onAbort(signal, () => this.stop('cancelled', signal.reason));
  }

  get isQueued(): boolean {
    return this.outcome === undefined && !this.#isRunning;
  }

  /** Aborted when it ends without having started. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /**
   * Runs the function.
   * @param onFree called once, when the slot may go to another job: when the function has ended, or has gone on for
   * `graceMs` after its job had ended
   */
  start(graceMs: number, onFree: () => void): void {
    this.#isRunning = true;
    this.#graceMs = graceMs;
    this.#free = () => {
      this.#free = () => undefined;
      onFree();
    };
    this.#piece.started();
    const { fn, timeoutMs } = this.#submission;
    if (timeoutMs !== undefined)
      // It holds the process as long as somebody may wait for the result, as that of `timed` does.
      this.#timer = setTimeout(() => this.stop('timedOut', tooLong(this.id, timeoutMs)), timeoutMs);
    const context = { id: this.id, signal: this.#stopping.signal };
    new Promise((resolve) => resolve(fn(context))).then(
      (value) => this.#returned('completed', value),
      (error: unknown) => this.#returned('failed', error),
    );
  }

  /** Ends it, whatever its function does. @returns false where it has ended already */
  stop(outcome: 'cancelled' | 'timedOut', error: unknown): boolean {
    if (this.outcome) return false;
    const wasRunning = this.#isRunning;
    this.#end(outcome, error);
    if (wasRunning) {
      this.#timer = setTimeout(() => this.#free(), this.#graceMs);
      this.#timer.unref();
      this.#stopping.abort(error);
    } else this.#leaving.abort(error);
    return true;
  }

  #returned(outcome: 'completed' | 'failed', value: unknown): void {
    if (this.outcome) {
      clearTimeout(this.#timer);
      this.#piece.left();
    } else this.#end(outcome, value);
    this.#isRunning = false;
    this.#free();
  }

  #end(outcome: Outcome, value: unknown): void {
    clearTimeout(this.#timer);
    this.#unlisten();
    this.outcome = outcome;
    this.endedAt = performance.now();
    const lingers = outcome !== 'completed' && outcome !== 'failed' && this.#isRunning;
    this.#piece.ended(outcome, { error: value, lingers });
    this.#onEnded(this);
    if (outcome === 'completed') this.#resolve(value);
    else this.#reject(value);
  }
}

function tooLong(id: string, timeoutMs: number): HoldfastError {
  return new HoldfastError('timeout', `the job took longer than ${timeoutMs} ms`, {
    hint: 'Give it more time (timeoutMs), or less to do.',
    details: { id, timeoutMs },
  });
}
