import { AsyncResource } from 'node:async_hooks';
import PQueue from 'p-queue';
import { before } from '../before.ts';
import { HoldfastError, OverloadedError } from '../errors.ts';
import { type Applicant, Applicants } from './applicants.ts';
import type { Job } from './job.ts';
import { onAbort } from './on-abort.ts';
import type { ConcurrencySettings, Submission } from './options.ts';
import type { KindStats, Tally, WorkCounts } from './tally.ts';

/** What runs, what waits, and what came of the rest. The engine's own work is counted as well. */
export interface ConcurrencyStats extends WorkCounts {
  /** Of jobs: the engine's own work has slots of its own. */
  maxConcurrent: number;
  maxQueued: number;
  paused: boolean;
  kinds: Record<string, KindStats>;
}

/** Whose jobs they are. */
export interface Owner {
  /** Aborted when no more of its jobs are taken. */
  readonly closing: AbortSignal;
}

/** What is known here of a job that is queued or holds a slot. */
interface Place {
  readonly owner: Owner;
  /** Resolves when it holds neither a place in the queue nor a slot any more. */
  readonly left: Promise<void>;
}

/** The room that all owners' jobs share: which of them run, which wait, and which are let in. It knows no ids. */
export class Slots {
  readonly settings: ConcurrencySettings;
  readonly tally: Tally;
  readonly #queue: PQueue;
  readonly #places = new Map<Job, Place>();
  readonly #applicants = new Applicants();

  constructor(settings: ConcurrencySettings, tally: Tally) {
    this.settings = settings;
    this.tally = tally;
    this.#queue = new PQueue({ concurrency: settings.maxConcurrent });
  }

  stats(): ConcurrencyStats {
    const { maxConcurrent, maxQueued } = this.settings;
    const paused = this.#queue.isPaused;
    return { ...this.tally.totals(), maxConcurrent, maxQueued, paused, kinds: this.tally.kinds() };
  }

  pause(): void {
    this.#queue.pause();
  }

  resume(): void {
    this.#queue.start();
  }

  /**
   * Lets a job in: at once where there is room, else when there is some, if it waits for that.
   * @param make makes the job, once there is room for it
   * @throws OverloadedError; the reason of its signal or of its owner's closing; what `make` throws
   */
  async enter(submission: Submission, owner: Owner, make: () => Job): Promise<Job> {
    const { signal, priority, kind, waitForRoom } = submission;
    signal?.throwIfAborted();
    const accept = () => this.#accept(make(), priority, owner);
    if (this.#hasRoom && !this.#applicants.first) return accept();
    if (waitForRoom) return this.#apply(submission, owner, accept);
    this.tally.refused(kind);
    throw new OverloadedError(this.settings.maxConcurrent, this.settings.maxQueued);
  }

  /**
   * Waits until the jobs of an owner have left, or those of all; no more of them may come. What takes longer than
   * `drainTimeoutMs` is cancelled, and left behind where it goes on for another `graceMs`.
   */
  async drain(owner?: Owner): Promise<void> {
    const { drainTimeoutMs, graceMs } = this.settings;
    const places = [...this.#places].filter(([, place]) => !owner || place.owner === owner);
    const left = Promise.all(places.map(([, place]) => place.left));
    if (await before(performance.now() + drainTimeoutMs, left)) return;
    for (const [job] of places) job.stop('cancelled', cutShort(job.id));
    await before(performance.now() + graceMs, left);
  }

  get #hasRoom(): boolean {
    return this.#places.size < this.settings.maxConcurrent + this.settings.maxQueued;
  }

  /** Waits for room: the higher priority first, then in the order of coming. */
  #apply({ signal, priority }: Submission, { closing }: Owner, accept: () => Job): Promise<Job> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#applicants.delete(applicant);
        for (const unlisten of listening) unlisten();
      };
      const applicant: Applicant = {
        priority,
        // What is known of the caller goes with its job, not what is known of whoever made room.
        enter: AsyncResource.bind(() => {
          leave();
          try {
            // What was cancelled by the same signal may be what made room.
            signal?.throwIfAborted();
            resolve(accept());
          } catch (error) {
            reject(error);
          }
        }),
      };
      this.#applicants.add(applicant);
      const listening = (signal ? [signal, closing] : [closing]).map((one) =>
        onAbort(one, () => {
          leave();
          reject(one.reason);
        }),
      );
    });
  }

  #accept(job: Job, priority: number, owner: Owner): Job {
    const leave = () => {
      this.#places.delete(job);
      this.#letIn();
    };
    job.leaving.addEventListener('abort', leave, { once: true });
    const run = () =>
      new Promise<void>((resolve) => {
        job.start(this.settings.graceMs, () => {
          leave();
          resolve();
        });
      });
    // The signal takes it out of the queue, where it has not started.
    const left = this.#queue.add(run, { priority, signal: job.leaving }).catch(() => undefined);
    this.#places.set(job, { owner, left });
    return job;
  }

  #letIn(): void {
    while (this.#hasRoom && this.#applicants.first) this.#applicants.first.enter();
  }
}

function cutShort(id: string): HoldfastError {
  return new HoldfastError('aborted', 'the job was cut short: its controller was closed', {
    details: { id },
  });
}
