import { ClosedError, HoldfastError, isUnavailable, StoreUnavailableError } from '../../core/errors.ts';
import type { Batch, CommitGroups, Receipt } from '../../core/store.ts';
import { GroupSizes } from './group-sizes.ts';

/** What became of one batch of a group: its receipt, or why it failed alone. */
export type Outcome = Receipt | Error;

interface Waiting {
  batch: Batch;
  resolve(receipt: Receipt): void;
  reject(error: unknown): void;
}

export interface GroupCommitOptions {
  /** The most batches that go out together. Default 1024. */
  maxBatches?: number;
}

/**
 * Group commit: batches that arrive while the event loop is busy, or while a commit is under way, go out together.
 * `apply` commits a group and gives one outcome a batch, in order; a group that throws fails as a whole. Where a batch
 * fails because the store is away, all that wait behind it fail with it: they must not overtake it when it is sent again.
 */
export class GroupCommit {
  readonly #apply: (batches: readonly Batch[]) => Outcome[] | Promise<Outcome[]>;
  readonly #maxBatches: number;
  readonly #owner: string;
  readonly #sizes = new GroupSizes();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #scheduled = false;
  #closed = false;

  constructor(
    owner: string,
    apply: (batches: readonly Batch[]) => Outcome[] | Promise<Outcome[]>,
    options: GroupCommitOptions = {},
  ) {
    this.#owner = owner;
    this.#apply = apply;
    this.#maxBatches = options.maxBatches ?? 1024;
  }

  /** How batches went together. */
  get groups(): CommitGroups {
    return this.#sizes.told(this.#waiting.length);
  }

  /** Queues a batch for the next group. */
  commit(batch: Batch): Promise<Receipt> {
    if (this.#closed) return Promise.reject(new ClosedError(this.#owner));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
      this.#schedule();
    });
  }

  /** Takes no more batches; resolves when those that were taken are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    // What waits has its commit scheduled.
    while (this.#running || this.#waiting.length > 0) await (this.#running ?? new Promise(setImmediate));
  }

  #schedule(): void {
    if (this.#scheduled || this.#running) return;
    this.#scheduled = true;
    // After the poll phase: all requests that came in with this turn of the event loop share the commit.
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#running || this.#waiting.length === 0) return;
    const group =
      this.#waiting.length <= this.#maxBatches ? this.#waiting : this.#waiting.slice(0, this.#maxBatches);
    this.#waiting = group === this.#waiting ? [] : this.#waiting.slice(this.#maxBatches);
    this.#sizes.add(group.length);
    try {
      const outcomes = this.#apply(group.map((waiting) => waiting.batch));
      if (outcomes instanceof Promise) this.#follow(group, outcomes);
      else this.#settle(group, outcomes);
    } catch (error) {
      this.#fail(group, error);
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  #follow(group: readonly Waiting[], outcomes: Promise<Outcome[]>): void {
    this.#running = outcomes
      .then(
        (settled) => this.#settle(group, settled),
        (error: unknown) => this.#fail(group, error),
      )
      .finally(() => {
        this.#running = undefined;
        if (this.#waiting.length > 0) this.#schedule();
      });
  }

  #settle(group: readonly Waiting[], outcomes: readonly Outcome[]): void {
    for (let i = 0; i < group.length; i++) {
      const outcome = outcomes[i] ?? new HoldfastError('internal', 'the store gave no outcome for a batch');
      if (outcome instanceof Error) group[i]!.reject(outcome);
      else group[i]!.resolve(outcome);
    }
    const away = outcomes.find(isUnavailable);
    if (away) this.#giveUp(away);
  }

  #fail(group: readonly Waiting[], error: unknown): void {
    for (const waiting of group) waiting.reject(error);
    if (isUnavailable(error)) this.#giveUp(error);
  }

  /** Fails all that wait. */
  #giveUp(reason: StoreUnavailableError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(notSent(reason));
  }
}

/** The error of a batch that waited behind one that failed. Whatever became of that one, this one was not done. */
export function notSent(cause: StoreUnavailableError): StoreUnavailableError {
  return new StoreUnavailableError(cause.message, { cause, hint: 'Try again later. Nothing was written.' });
}
