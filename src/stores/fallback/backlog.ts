import { ignoreConflict, isHoldfastError } from '../../core/errors.ts';
import { decodeJson } from '../../core/json.ts';
import { type Batch, type Operation, PARTITION_INDEX, type Partition, type Store } from '../../core/store.ts';
import { decodeBatch, MARK, SPOOL_LOG } from './entries.ts';

/** A batch that the store refused when it was replayed. It was acknowledged, and is kept until it is forgotten. */
export interface RejectedBatch {
  /** Its place among the rejected ones, from 1. */
  seq: number;
  batch: Batch;
  /** Why, as the store said. */
  error: { code: string; message: string };
  /** When it was rejected (epoch ms). */
  at: number;
}

/** The spool's own partition. Engines keep theirs under the same tenant, which is no user's, but in another type. */
const OWN: Partition = { tenant: '$system', type: '$spool', id: 'spool' };
const REJECTED = 'rejected';
/** Batches that are read at a time. */
const PAGE = 64;
/** The expiry of a partition that is through. */
const THROUGH = 1;

/** What is in the spool and still to be replayed: in each partition a log of batches, whose beginning goes bit by bit. */
export class Backlog {
  readonly #spool: Store;
  /** How many batches are left, as far as this process knows: others may share the spool. */
  count = 0;

  constructor(spool: Store) {
    this.#spool = spool;
  }

  /** Counts what an earlier process has left. */
  async open(): Promise<void> {
    this.count = 0;
    for await (const partition of this.partitions()) this.count += await this.sizeOf(partition);
  }

  /** Partitions with something in the spool. */
  async *partitions(): AsyncGenerator<Partition> {
    let after: string | undefined;
    do {
      const range = { index: PARTITION_INDEX, key: '', limit: PAGE, ...(after !== undefined && { after }) };
      const page = await this.#spool.queryIndex(range);
      for (const { partition } of page.items) if (await this.holds(partition)) yield partition;
      after = page.next;
    } while (after !== undefined);
  }

  /** Whether a partition has something in the spool, be it only what is to be cleared away. */
  async holds(partition: Partition): Promise<boolean> {
    return (await this.#spool.readLog(partition, SPOOL_LOG, { limit: 0 })).lastSeq > 0;
  }

  async sizeOf(partition: Partition): Promise<number> {
    return (await this.#spool.readLog(partition, SPOOL_LOG, { limit: 0 })).count;
  }

  /**
   * Begins the replay of a partition: others may clear it away meanwhile, and others again write there anew. What is
   * given back holds as long as it is the same one.
   */
  async begin(partition: Partition): Promise<Operation> {
    for (;;) {
      const [known] = await this.#spool.getRecords([{ partition, ...MARK }]);
      const ifVersion = known?.version ?? (await this.#mark(partition));
      if (ifVersion !== undefined) return { op: 'check', ...MARK, ifVersion };
    }
  }

  /** The oldest batches of a partition, and where its log ends. */
  async read(partition: Partition): Promise<{ page: { seq: number; batch: Batch }[]; lastSeq: number }> {
    const { entries, lastSeq } = await this.#spool.readLog(partition, SPOOL_LOG, { limit: PAGE });
    return {
      page: entries.map(({ seq, value }) => ({ seq, batch: decodeBatch(partition, value) })),
      lastSeq,
    };
  }

  /**
   * Forgets a partition's batches up to a place: they are in the store.
   * @throws ConflictError when it is no longer the same partition
   */
  async done(partition: Partition, upTo: number, same: Operation): Promise<void> {
    const receipt = await this.#spool.commit({
      partition,
      operations: [same, { op: 'truncate', log: SPOOL_LOG, before: upTo + 1 }],
    });
    this.#gone(receipt.results[1]!.count!);
  }

  /**
   * Clears a partition away whose batches are all in the store, up to this last one.
   * @throws ConflictError when somebody has added to it meanwhile, or it is no longer the same one
   */
  async clear(partition: Partition, lastSeq: number, same: Operation): Promise<void> {
    const receipt = await this.#spool.commit({
      partition,
      operations: [
        same,
        { op: 'truncate', log: SPOOL_LOG, before: lastSeq + 1, ifLastSeq: lastSeq },
        { op: 'expire', at: THROUGH },
      ],
    });
    this.#gone(receipt.results[1]!.count!);
    await this.#spool.commit({ partition, operations: [{ op: 'drop', ifExpiredAt: THROUGH }] });
  }

  async reject(batch: Batch, error: unknown, at: number): Promise<RejectedBatch> {
    const { code, message } = isHoldfastError(error) ? error : { code: 'internal', message: String(error) };
    const rejected = { batch, error: { code, message }, at };
    const { results } = await this.#spool.commit({
      partition: OWN,
      // By its id: a replay that was cut off rejects it again.
      operations: [
        { op: 'append', log: REJECTED, entries: [{ id: batch.id!, value: JSON.stringify(rejected) }] },
      ],
    });
    return { seq: results[0]!.seqs![0]!, ...rejected };
  }

  async rejected(after: number, limit: number): Promise<RejectedBatch[]> {
    const { entries } = await this.#spool.readLog(OWN, REJECTED, { after, limit });
    return entries.map(({ seq, value }) => ({ seq, ...decodeJson<Omit<RejectedBatch, 'seq'>>(value) }));
  }

  async rejectedCount(): Promise<number> {
    return (await this.#spool.readLog(OWN, REJECTED, { limit: 0 })).count;
  }

  async forgetRejected(upTo: number): Promise<void> {
    const operations = [{ op: 'truncate' as const, log: REJECTED, before: upTo + 1 }];
    await this.#spool.commit({ partition: OWN, operations });
  }

  /** Lets the spool forget what it has told in its journal, which nobody reads. */
  async tidy(): Promise<void> {
    await this.#spool.trimChanges((await this.#spool.readChanges('newest', 0)).cursor);
  }

  async #mark(partition: Partition): Promise<number | undefined> {
    try {
      const put: Operation = { op: 'put', ...MARK, value: 'true', ifVersion: 'absent' };
      return (await this.#spool.commit({ partition, operations: [put] })).results[0]!.version;
    } catch (error) {
      ignoreConflict(error);
      return undefined;
    }
  }

  #gone(count: number): void {
    this.count = Math.max(0, this.count - count);
  }
}
