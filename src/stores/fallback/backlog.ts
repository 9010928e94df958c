import { randomUUID } from 'node:crypto';
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
/** How long a partition is a process's own without being renewed. */
const CLAIM_MS = 2000;
const FREE = { by: '', until: 0 };
/** The expiry of a partition that is through. */
const THROUGH = 1;

/** A partition that this process replays: the version of the record that says so. */
export interface Claim {
  readonly version: number | 'absent';
}

/** What is in the spool and still to be replayed: in each partition a log of batches, whose beginning goes bit by bit. */
export class Backlog {
  readonly #spool: Store;
  readonly #name = randomUUID();
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
   * Claims a partition, so that processes that share the spool don't all replay the same. Undefined while another one
   * has it. A claim is lost when it is not renewed in time, and never holds for what was written there after the
   * partition was cleared away: then using it is a conflict.
   */
  async claim(partition: Partition): Promise<Claim | undefined> {
    const [known] = await this.#spool.getRecords([{ partition, ...MARK }]);
    const { by, until } = known ? decodeJson<{ by: string; until: number }>(known.value) : FREE;
    const now = Date.now();
    if (by !== this.#name && now < until && until <= now + CLAIM_MS) return undefined;
    try {
      const operations = [this.#claiming({ version: known?.version ?? 'absent' })];
      const receipt = await this.#spool.commit({ partition, operations });
      return { version: receipt.results[0]!.version! };
    } catch (error) {
      ignoreConflict(error);
      return undefined;
    }
  }

  /** Lets others replay a partition. @throws ConflictError when the claim is lost */
  async release(partition: Partition, { version: ifVersion }: Claim): Promise<void> {
    const value = JSON.stringify(FREE);
    await this.#spool.commit({ partition, operations: [{ op: 'put', ...MARK, value, ifVersion }] });
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
   * Forgets a partition's batches up to a place: they are in the store. Renews the claim.
   * @throws ConflictError when the claim is lost
   */
  async done(partition: Partition, upTo: number, claim: Claim): Promise<Claim> {
    const { results } = await this.#spool.commit({
      partition,
      operations: [this.#claiming(claim), { op: 'truncate', log: SPOOL_LOG, before: upTo + 1 }],
    });
    this.#gone(results[1]!.count!);
    return { version: results[0]!.version! };
  }

  /**
   * Clears a partition away whose batches are all in the store, up to this last one.
   * @throws ConflictError when the claim is lost, or somebody has added to it meanwhile
   */
  async clear(partition: Partition, lastSeq: number, claim: Claim): Promise<void> {
    const { results } = await this.#spool.commit({
      partition,
      operations: [
        { op: 'check', ...MARK, ifVersion: claim.version },
        { op: 'truncate', log: SPOOL_LOG, before: lastSeq + 1, ifLastSeq: lastSeq },
        { op: 'expire', at: THROUGH },
      ],
    });
    this.#gone(results[1]!.count!);
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

  #claiming({ version: ifVersion }: Claim): Operation {
    const value = JSON.stringify({ by: this.#name, until: Date.now() + CLAIM_MS });
    return { op: 'put', ...MARK, value, ifVersion };
  }

  #gone(count: number): void {
    this.count = Math.max(0, this.count - count);
  }
}
