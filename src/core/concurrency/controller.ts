import { AsyncResource } from 'node:async_hooks';
import PQueue from 'p-queue';
import { ClosedError, ConflictError, HoldfastError, NotFoundError, OverloadedError } from '../errors.ts';
import { newId } from '../ids.ts';
import { parseId, parseInput } from '../input.ts';
import { before } from '../search/waiting.ts';
import { TookTooLong, timed } from '../timed.ts';
import { type Applicant, Applicants } from './applicants.ts';
import { Job } from './job.ts';
import { onAbort } from './on-abort.ts';
import {
  type ConcurrencyOptions,
  type ConcurrencySettings,
  concurrencySchema,
  concurrencySettings,
  type JobFunction,
  readSubmission,
  type Submission,
  type SubmitOptions,
  type WaitOptions,
  waitSchema,
} from './options.ts';
import { type KindStats, Tally, type WorkCounts } from './tally.ts';

/** What runs, what waits, and what came of the rest. The engine's own work is counted as well. */
export interface ConcurrencyStats extends WorkCounts {
  /** Of jobs: the engine's own work has slots of its own. */
  maxConcurrent: number;
  maxQueued: number;
  paused: boolean;
  kinds: Record<string, KindStats>;
}

/** A job that has ended, as `waitAll` tells of it. */
export type EndedJob = { id: string } & PromiseSettledResult<unknown>;

/** What is kept of a job. */
type EndedResult = Pick<Job, 'result' | 'endedAt' | 'stop'>;

/**
 * Runs jobs, so many at a time: by priority, then in the order they came. Of a job that is over its time, or cancelled,
 * callers hear at once; its function is told by its signal, and keeps its slot for `graceMs` if it goes on.
 */
export class ConcurrencyController implements AsyncDisposable {
  readonly #settings: ConcurrencySettings;
  readonly #tally: Tally;
  readonly #queue: PQueue;
  /** Queued and running, by id. */
  readonly #live = new Map<string, Job>();
  /** Those that have ended, the oldest first. */
  readonly #ended = new Map<string, EndedResult>();
  readonly #applicants = new Applicants();
  /** Those that are closed with this one. */
  readonly #pools = new Set<ConcurrencyController>();
  /** Jobs that are queued, and slots that are held. */
  #places = 0;
  #closing: Promise<void> | undefined;
  #onClosed: () => void = () => undefined;

  /** @param tally where several count together */
  constructor(options: ConcurrencyOptions = {}, tally = new Tally()) {
    this.#settings = concurrencySettings(parseInput(concurrencySchema, options, 'concurrency'));
    this.#tally = tally;
    this.#queue = new PQueue({ concurrency: this.#settings.maxConcurrent });
  }

  /**
   * Accepts a job, which runs when it is its turn. Its result is for {@link wait}; nobody need wait.
   * @returns its id
   * @throws OverloadedError where there is no room, and `waitForRoom` is not set; ConflictError for the id of a job that
   * is queued or running; ClosedError; the signal's reason where that is aborted before it was accepted
   */
  submit(fn: JobFunction<unknown>, options?: SubmitOptions): Promise<string>;
  submit(id: string | undefined, fn: JobFunction<unknown>, options?: SubmitOptions): Promise<string>;
  async submit(...given: unknown[]): Promise<string> {
    const submission = readSubmission('concurrency.submit', given, this.#settings.timeoutMs);
    return (await this.#enter(submission, true)).id;
  }

  /** Submits a job and waits for its result, which is not kept. @throws what it throws, and what {@link submit} throws */
  run<T>(fn: JobFunction<T>, options?: SubmitOptions): Promise<T>;
  run<T>(id: string | undefined, fn: JobFunction<T>, options?: SubmitOptions): Promise<T>;
  async run(...given: unknown[]): Promise<unknown> {
    const submission = readSubmission('concurrency.run', given, this.#settings.timeoutMs);
    return (await this.#enter(submission, false)).result;
  }

  /**
   * The result of a job, once it has ended. A job must not wait for another one of the same controller: that may be
   * waiting for its slot.
   * @throws what the job throws; HoldfastError `aborted` for a cancelled one (or its signal's reason), `timeout` where
   * its time was over, or that of this waiting; NotFoundError for one that is unknown, or ended too long ago
   */
  async wait<T = unknown>(id: string, options: WaitOptions = {}): Promise<T> {
    parseId(id, 'concurrency.wait: id');
    const { timeoutMs } = parseInput(waitSchema, options, 'concurrency.wait');
    const { result } = this.#known(id) as { result: Promise<T> };
    return timeoutMs === undefined ? result : waitAtMost(timeoutMs, result);
  }

  /** Waits for all jobs that are queued or running now, however they end. @throws HoldfastError `timeout` */
  async waitAll(options: WaitOptions = {}): Promise<EndedJob[]> {
    const { timeoutMs } = parseInput(waitSchema, options, 'concurrency.waitAll');
    const jobs = [...this.#live.values()];
    const ended = Promise.allSettled(jobs.map(({ result }) => result));
    const results = await (timeoutMs === undefined ? ended : waitAtMost(timeoutMs, ended));
    return results.map((result, i) => ({ id: jobs[i]!.id, ...result }));
  }

  /**
   * Cancels a job: a queued one never starts, of a running one the signal is aborted. Who waits for it hears at once.
   * @returns false where it had ended already
   * @throws NotFoundError
   */
  async cancel(id: string): Promise<boolean> {
    parseId(id, 'concurrency.cancel: id');
    return this.#known(id).stop('cancelled', cancelled(id, 'the job was cancelled'));
  }

  stats(): ConcurrencyStats {
    const { maxConcurrent, maxQueued } = this.#settings;
    const paused = this.#queue.isPaused;
    return { ...this.#tally.totals(), maxConcurrent, maxQueued, paused, kinds: this.#tally.kinds() };
  }

  /** Starts no more jobs until {@link resume}; what runs goes on. The engine's own work is not concerned. */
  pause(): void {
    this.#checkOpen();
    this.#queue.pause();
  }

  resume(): void {
    this.#queue.start();
  }

  /**
   * A controller with slots and ids of its own, which counts for itself. It is closed with this one, at the latest.
   * @param options what is not said is as in this one
   */
  pool(options: ConcurrencyOptions = {}): ConcurrencyController {
    this.#checkOpen();
    const own = parseInput(concurrencySchema, options, 'concurrency.pool');
    const pool = new ConcurrencyController({ ...this.#settings, ...own });
    pool.#onClosed = () => this.#pools.delete(pool);
    this.#pools.add(pool);
    return pool;
  }

  /**
   * Accepts no more jobs, and finishes what runs and what is queued, a paused one as well. What takes longer than
   * `drainTimeoutMs` is cancelled, and left behind where it goes on for another `graceMs`.
   */
  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#close(), ...[...this.#pools].map((pool) => pool.close())]).then(() =>
      this.#onClosed(),
    );
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { drainTimeoutMs, graceMs } = this.#settings;
    for (const applicant of [...this.#applicants]) applicant.refuse(closed());
    this.#queue.start();
    if (await before(performance.now() + drainTimeoutMs, this.#queue.onIdle())) return;
    for (const job of [...this.#live.values()])
      job.stop('cancelled', cancelled(job.id, 'the job was cut short: its controller was closed'));
    await before(performance.now() + graceMs, this.#queue.onIdle());
  }

  async #enter(submission: Submission, isKept: boolean): Promise<Job> {
    this.#checkOpen();
    const { signal, kind, waitForRoom } = submission;
    signal?.throwIfAborted();
    if (this.#hasRoom && !this.#applicants.first) return this.#accept(submission, isKept);
    if (waitForRoom) return this.#apply(submission, isKept);
    this.#tally.refused(kind);
    throw new OverloadedError(this.#settings.maxConcurrent, this.#settings.maxQueued);
  }

  get #hasRoom(): boolean {
    return this.#places < this.#settings.maxConcurrent + this.#settings.maxQueued;
  }

  /** Waits for room: the higher priority first, then in the order of coming. */
  #apply(submission: Submission, isKept: boolean): Promise<Job> {
    const { signal, priority } = submission;
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#applicants.delete(applicant);
        unlisten?.();
      };
      const applicant: Applicant = {
        priority,
        // What is known of the caller goes with its job, not what is known of whoever made room.
        enter: AsyncResource.bind(() => {
          leave();
          try {
            // What was cancelled by the same signal may be what made room.
            signal?.throwIfAborted();
            resolve(this.#accept(submission, isKept));
          } catch (error) {
            reject(error);
          }
        }),
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      this.#applicants.add(applicant);
      const unlisten = signal && onAbort(signal, () => applicant.refuse(signal.reason));
    });
  }

  #accept(submission: Submission, isKept: boolean): Job {
    const { id = newId(), kind, priority } = submission;
    if (this.#live.has(id)) throw taken(id);
    this.#ended.delete(id);
    const job = new Job(id, submission, this.#tally.arrived(kind), () => this.#hasEnded(job, isKept));
    this.#live.set(id, job);
    this.#places++;
    const leave = () => {
      this.#places--;
      this.#letIn();
    };
    job.leaving.addEventListener('abort', leave, { once: true });
    const run = () =>
      new Promise<void>((resolve) => {
        job.start(this.#settings.graceMs, () => {
          leave();
          resolve();
        });
      });
    // The signal takes it out of the queue, where it has not started.
    this.#queue.add(run, { priority, signal: job.leaving }).catch(() => undefined);
    return job;
  }

  #letIn(): void {
    while (this.#hasRoom && this.#applicants.first) this.#applicants.first.enter();
  }

  #hasEnded(job: Job, isKept: boolean): void {
    this.#live.delete(job.id);
    const { id, result, endedAt } = job;
    // Not the job: its function may hold much.
    if (isKept) this.#ended.set(id, { result, endedAt, stop: () => false });
    this.#forget();
  }

  /** Lets go of results that were kept long enough. */
  #forget(): void {
    const { keepEnded, keepEndedMs } = this.#settings;
    const since = performance.now() - keepEndedMs;
    for (const [id, { endedAt }] of this.#ended) {
      if (this.#ended.size <= keepEnded && endedAt > since) return;
      this.#ended.delete(id);
    }
  }

  #known(id: string): Pick<Job, 'result' | 'stop'> {
    this.#forget();
    const job = this.#live.get(id) ?? this.#ended.get(id);
    if (!job) {
      throw new NotFoundError('job', id, {
        hint: 'Results are kept for a while only: see keepEnded and keepEndedMs.',
      });
    }
    return job;
  }

  #checkOpen(): void {
    if (this.#closing) throw closed();
  }
}

async function waitAtMost<T>(timeoutMs: number, result: Promise<T>): Promise<T> {
  try {
    return await timed(() => result, { timeoutMs, signal: new AbortController().signal });
  } catch (error) {
    if (!(error instanceof TookTooLong)) throw error;
    throw new HoldfastError('timeout', `waiting ${error.message}`, {
      hint: 'The job goes on: wait again, or cancel it.',
      details: { timeoutMs },
    });
  }
}

function closed(): ClosedError {
  return new ClosedError('concurrency controller');
}

function cancelled(id: string, message: string): HoldfastError {
  return new HoldfastError('aborted', message, { details: { id } });
}

function taken(id: string): ConflictError {
  return new ConflictError('a job of that id is queued or running', undefined, {
    hint: 'Wait for it, cancel it, or leave the id out.',
    details: { id },
  });
}
