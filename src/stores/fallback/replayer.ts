import { setTimeout as delay } from 'node:timers/promises';
import {
  ignoreConflict,
  isConflict,
  isHoldfastError,
  isUnavailable,
  StoreUnavailableError,
} from '../../core/errors.ts';
import type { Batch, Operation, Partition, Stored } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';
import type { Backlog, Claim, RejectedBatch } from './backlog.ts';
import type { Gates } from './gates.ts';
import type { SetAside } from './set-aside.ts';
import { isPatch, patched } from './spool.ts';

/** Partitions that are replayed at the same time. */
const LANES = 64;
const MAX_ATTEMPTS = 64;
/** How often to look whether another process is through with a partition. */
const LOOK_MS = 20;
/**
 * When so few batches are left, or a round has not halved what was left, a partition's new writes wait until the rest is
 * through.
 */
const SHORT = 64;

/** What a replay needs of its surroundings. */
export interface ReplayParts {
  backlog: Backlog;
  gates: Gates;
  aside: SetAside;
  commit(batch: Batch): Promise<unknown>;
  get(partition: Partition, kind: string, id: string): Promise<Stored | undefined>;
  /** Whether the store is there, and it shall go on. */
  active(): boolean;
  onRejected(rejected: RejectedBatch): void;
  onError(error: unknown): void;
}

/** A batch that failed, and not because the store is away. */
class BatchFailure {
  readonly batch: Batch;
  readonly error: unknown;

  constructor(batch: Batch, error: unknown) {
    this.batch = batch;
    this.error = error;
  }
}

/** Brings what is in the spool into the store: each partition in its order, many of them at the same time. */
export class Replayer {
  readonly #parts: ReplayParts;
  /** Partitions that are being replayed. */
  readonly #drains = new Map<string, Promise<void>>();

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /**
   * Replays everything there is, but what is set aside, or is from now on.
   * @returns how many partitions had something, and how many of these are set aside
   * @throws StoreUnavailableError when the store is lost again
   */
  async all(): Promise<{ found: number; aside: number }> {
    if (!this.#parts.active()) throw interrupted();
    const partitions = this.#parts.backlog.partitions();
    let found = 0;
    let aside = 0;
    const lane = async () => {
      for (let next = await partitions.next(); !next.done; next = await partitions.next()) {
        found++;
        try {
          await this.drain(next.value);
        } catch (error) {
          if (isUnavailable(error)) throw error;
          aside++;
        }
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
    const failed = lanes.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
    return { found, aside };
  }

  /**
   * Replays one partition, now; resolves when nothing of it is in the spool any more.
   * @throws StoreUnavailableError when the store is lost again; the error for which the partition is set aside
   */
  drain(partition: Partition): Promise<void> {
    const key = partitionKey(partition);
    const known = this.#drains.get(key);
    if (known) return known;
    const waiting = this.#parts.aside.waiting(key);
    if (waiting) return Promise.reject(waiting.error);
    const drain = this.#drain(partition, key)
      .then(
        () => this.#parts.aside.forget(key),
        (failure: unknown) => this.#failed(key, failure),
      )
      .finally(() => this.#drains.delete(key));
    this.#drains.set(key, drain);
    return drain;
  }

  /** Sets a partition aside, unless it is the store that is away. @throws always */
  #failed(key: string, failure: unknown): never {
    const { batch, error } = failure instanceof BatchFailure ? failure : { batch: undefined, error: failure };
    if (isUnavailable(error)) throw error;
    const { aside, onError } = this.#parts;
    if (aside.failed(key, batch?.id, error)) onError(error);
    throw error;
  }

  async #drain(partition: Partition, key: string): Promise<void> {
    const { backlog, gates } = this.#parts;
    // Meanwhile others go on spooling behind it. Should they be faster, they have to wait all the same.
    for (let left = await backlog.sizeOf(partition), before = Infinity; left > SHORT && left < before / 2; ) {
      before = left;
      await this.#replay(partition, left);
      left = await backlog.sizeOf(partition);
    }
    await gates.alone(key, () => this.#replay(partition, Infinity));
  }

  /** Replays a partition's oldest batches, so many or a page more; all of them, and it is cleared away. */
  async #replay(partition: Partition, most: number): Promise<void> {
    const { backlog } = this.#parts;
    let claim: Claim | undefined;
    for (let count = 0; count < most; ) {
      claim ??= await this.#claim(partition);
      if (!claim) return;
      const { page, lastSeq } = await backlog.read(partition);
      let gone = 0;
      try {
        for (const { seq, batch } of page) {
          await this.#commit(batch);
          gone = seq;
        }
      } catch (error) {
        await this.#leave(partition, gone, claim).catch(ignoreConflict);
        throw error;
      }
      count += page.length;
      const upTo = page.at(-1)?.seq ?? lastSeq;
      const through = most === Infinity && upTo === lastSeq;
      try {
        if (through) return await backlog.clear(partition, lastSeq, claim);
        claim = await backlog.done(partition, upTo, claim);
        if (page.length === 0) return;
      } catch (error) {
        // Another process has added to it, or replayed it: what was committed here is not committed again.
        ignoreConflict(error);
        claim = undefined;
      }
    }
  }

  /** Leaves a partition in the middle: what is in the store up to a place is forgotten, and others may have the rest. */
  async #leave(partition: Partition, gone: number, claim: Claim): Promise<void> {
    const { backlog } = this.#parts;
    await backlog.release(partition, gone > 0 ? await backlog.done(partition, gone, claim) : claim);
  }

  /** Waits for a partition that another process replays. @returns undefined when there is nothing left to do */
  async #claim(partition: Partition): Promise<Claim | undefined> {
    while (await this.#parts.backlog.holds(partition)) {
      if (!this.#parts.active()) throw interrupted();
      const claim = await this.#parts.backlog.claim(partition);
      if (claim) return claim;
      await delay(LOOK_MS);
    }
    return undefined;
  }

  /**
   * Commits a batch, once: it has an id. What the store refuses is kept as rejected; so is at last what fails each time.
   * @throws StoreUnavailableError, BatchFailure
   */
  async #commit(batch: Batch): Promise<void> {
    const { active, aside, backlog, onRejected } = this.#parts;
    if (!active()) throw interrupted();
    try {
      if (batch.operations.some(isPatch)) await this.#commitPatches(batch);
      else if (batch.operations.length > 0) await this.#parts.commit(batch);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      // A store that was closed meanwhile refuses everything.
      if (!active()) throw interrupted();
      const last = aside.isLastTry(partitionKey(batch.partition), batch.id!);
      if (!isRefusal(error) && !last) throw new BatchFailure(batch, error);
      onRejected(await backlog.reject(batch, error, Date.now()));
    }
  }

  /** Applies patches to what is there now; again where somebody else writes in between. */
  async #commitPatches(batch: Batch): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const operations = await Promise.all(batch.operations.map((one) => this.#patched(batch, one)));
      try {
        await this.#parts.commit({ ...batch, operations });
        return;
      } catch (error) {
        const { kind, id } = isConflict(error) ? (error.details ?? {}) : {};
        const raced = batch.operations.some((one) => isPatch(one) && one.kind === kind && one.id === id);
        if (!raced || attempt === MAX_ATTEMPTS) throw error;
        await delay(Math.random() * Math.min(50, 2 ** attempt));
      }
    }
  }

  async #patched({ partition }: Batch, operation: Operation): Promise<Operation> {
    if (!isPatch(operation)) return operation;
    const { patch, ...put } = operation;
    const now = await this.#parts.get(partition, put.kind, put.id);
    return { ...put, value: patched(now?.value, patch), ifVersion: now?.version ?? 'absent' };
  }
}

function interrupted(): StoreUnavailableError {
  return new StoreUnavailableError('the replay was interrupted');
}

/** Whether the store has understood a batch and won't have it; trying again would not help. */
function isRefusal(error: unknown): boolean {
  return isHoldfastError(error) && ['conflict', 'invalid-input', 'unsupported'].includes(error.code);
}
