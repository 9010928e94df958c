import { ClosedError, ConflictError, HoldfastError, NotFoundError } from '../errors.ts';
import { newId } from '../ids.ts';
import { parseId, parseInput } from '../input.ts';
import { isA } from '../thrown.ts';
import { TookTooLong, timed } from '../timed.ts';
import { Job } from './job.ts';
import {
  type ConcurrencyOptions,
  concurrencySchema,
  concurrencySettings,
  type JobFunction,
  readSubmission,
  type Submission,
  type SubmitOptions,
  type WaitOptions,
  waitSchema,
} from './options.ts';
import { type ConcurrencyStats, type Owner, Slots } from './slots.ts';
import { Tally } from './tally.ts';

export type { ConcurrencyStats } from './slots.ts';

/** A job that has ended, as `waitAll` tells of it. */
export type EndedJob = { id: string } & PromiseSettledResult<unknown>;

/** What is kept of a job. */
type EndedResult = Pick<Job, 'result' | 'endedAt' | 'stop'>;

/**
 * Runs jobs, so many at a time: by priority, then in the order they came. Of a job that is over its time, or cancelled,
 * callers hear at once; its function is told by its signal, and keeps its slot for `graceMs` if it goes on.
 *
 * Each tenant has one: with ids and results of its own, in slots that all share.
 */
export class ConcurrencyController implements AsyncDisposable {
  readonly #root: ConcurrencyController;
  readonly #slots: Slots;
  readonly #closing = new AbortController();
  readonly #owner: Owner;
  /** Queued and running, by id. */
  readonly #live = new Map<string, Job>();
  /** Those that have ended, the oldest first. */
  readonly #ended = new Map<string, EndedResult>();
  /** Those that are closed with this one. */
  readonly #pools = new Set<ConcurrencyController>();
  #closed: Promise<void> | undefined;
  #onClosed: () => void = () => undefined;

  /**
   * @param tally where several count together
   * @param root whose slots these are, for that of a tenant's view: that is set and counts as the root
   */
  constructor(options: ConcurrencyOptions = {}, tally = new Tally(), root?: ConcurrencyController) {
    const own = this.#closing.signal;
    this.#root = root ?? this;
    this.#owner = { closing: root ? AbortSignal.any([root.#closing.signal, own]) : own };
    this.#slots = root ? root.#slots : new Slots(settingsOf(options), tally);
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
    const submission = readSubmission('concurrency.submit', given, this.#slots.settings.timeoutMs);
    return (await this.#enter(submission, true)).id;
  }

  /** Submits a job and waits for its result, which is not kept. @throws what it throws, and what {@link submit} throws */
  run<T>(fn: JobFunction<T>, options?: SubmitOptions): Promise<T>;
  run<T>(id: string | undefined, fn: JobFunction<T>, options?: SubmitOptions): Promise<T>;
  async run(...given: unknown[]): Promise<unknown> {
    const submission = readSubmission('concurrency.run', given, this.#slots.settings.timeoutMs);
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

  /** Waits for all jobs of this tenant that are queued or running now, however they end. @throws HoldfastError `timeout` */
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
    return this.#known(id).stop('cancelled', cancelled(id));
  }

  /** The numbers of all tenants together: counts only, no ids. */
  stats(): ConcurrencyStats {
    return this.#slots.stats();
  }

  /** Starts no more jobs, of no tenant, until {@link resume}; what runs goes on. The engine's own work is not concerned. */
  pause(): void {
    this.#checkOpen();
    this.#slots.pause();
  }

  resume(): void {
    this.#checkOpen();
    this.#slots.resume();
  }

  /** Whether something is known here that a new view of the tenant would not know: jobs, results, pools. */
  get isInUse(): boolean {
    this.#forget();
    return this.#live.size + this.#ended.size + this.#pools.size > 0;
  }

  /**
   * A controller with slots and ids of its own, which counts for itself. It is closed with this one, at the latest.
   * @param options what is not said is as in this one
   */
  pool(options: ConcurrencyOptions = {}): ConcurrencyController {
    this.#checkOpen();
    const own = parseInput(concurrencySchema, options, 'concurrency.pool');
    const pool = new ConcurrencyController({ ...this.#slots.settings, ...own });
    const closers = new Set([this.#pools, this.#root.#pools]);
    for (const pools of closers) pools.add(pool);
    pool.#onClosed = () => {
      for (const pools of closers) pools.delete(pool);
    };
    return pool;
  }

  /**
   * Accepts no more jobs, and finishes what runs and what is queued: a tenant's view its own jobs, which wait for
   * {@link resume} where they are paused; any other one those of all tenants, paused ones as well. What takes longer than
   * `drainTimeoutMs` is cancelled, and left behind where it goes on for another `graceMs`.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(closed());
    const isRoot = this.#root === this;
    if (isRoot) this.#slots.resume();
    const drained = this.#slots.drain(isRoot ? undefined : this.#owner);
    await Promise.all([drained, ...[...this.#pools].map((pool) => pool.close())]);
    this.#onClosed();
  }

  async #enter(submission: Submission, isKept: boolean): Promise<Job> {
    this.#checkOpen();
    return this.#slots.enter(submission, this.#owner, () => this.#make(submission, isKept));
  }

  #make(submission: Submission, isKept: boolean): Job {
    const { id = newId(), kind } = submission;
    if (this.#live.has(id)) throw taken(id);
    this.#ended.delete(id);
    const job = new Job(id, submission, this.#slots.tally.arrived(kind), () => this.#hasEnded(job, isKept));
    this.#live.set(id, job);
    return job;
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
    const { keepEnded, keepEndedMs } = this.#slots.settings;
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
    if (this.#owner.closing.aborted) throw closed();
  }
}

function settingsOf(options: ConcurrencyOptions) {
  return concurrencySettings(parseInput(concurrencySchema, options, 'concurrency'));
}

async function waitAtMost<T>(timeoutMs: number, result: Promise<T>): Promise<T> {
  try {
    return await timed(() => result, { timeoutMs, signal: new AbortController().signal });
  } catch (error) {
    if (!isA(error, TookTooLong)) throw error;
    throw new HoldfastError('timeout', `waiting ${error.message}`, {
      hint: 'The job goes on: wait again, or cancel it.',
      details: { timeoutMs },
    });
  }
}

function closed(): ClosedError {
  return new ClosedError('concurrency controller');
}

function cancelled(id: string): HoldfastError {
  return new HoldfastError('aborted', 'the job was cancelled', { details: { id } });
}

function taken(id: string): ConflictError {
  return new ConflictError('a job of that id is queued or running', undefined, {
    hint: 'Wait for it, cancel it, or leave the id out.',
    details: { id },
  });
}
