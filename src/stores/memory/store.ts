import { type Clock, systemClock } from '../../core/clock.ts';
import {
  type Batch,
  type ChangeOperation,
  type ChangePage,
  type CommitGroups,
  type Cursor,
  EXPIRY_INDEX,
  type IndexHit,
  type IndexRange,
  type LogInfo,
  type LogPage,
  type LogRange,
  type Operation,
  type OperationResult,
  PARTITION_INDEX,
  type Page,
  type Partition,
  type Receipt,
  type RecordKey,
  type RecordRange,
  type Store,
  type Stored,
  type StoreFeatures,
  type StoreHealth,
  type TextMatches,
  type TextQuery,
} from '../../core/store.ts';
import { checkBatch } from '../shared/check-batch.ts';
import {
  checkIndexRange,
  checkKeys,
  checkLimit,
  checkLogRange,
  checkPartition,
  checkRecordRange,
  checkTextQuery,
} from '../shared/check-reads.ts';
import { judge, NOWHERE } from '../shared/conditions.ts';
import { GroupCommit, type Outcome } from '../shared/group-commit.ts';
import { Lifetime } from '../shared/lifetime.ts';
import { compareBytes, decodePageToken, partitionKey, toPage, toStored } from '../shared/pages.ts';
import { Waiters } from '../shared/waiters.ts';
import { compareSlots, Indexes, listName, pageOf, toSlot } from './indexes.ts';
import { Journal } from './journal.ts';
import { PartitionData, type RecordData, recordName } from './partition-data.ts';
import { Texts } from './texts.ts';

export interface MemoryStoreOptions {
  /** Time stamps of the journal. Default: the system's clock. */
  clock?: Clock;
}

/** A store in this process's memory: the reference for what a store does, and gone with the process. */
export class MemoryStore implements Store {
  readonly name = 'memory';
  readonly features: StoreFeatures = {
    persistent: false,
    shared: false,
    textSearch: true,
    vectorSearch: true,
  };
  readonly #partitions = new Map<string, PartitionData>();
  readonly #indexes = new Indexes();
  readonly #texts = new Texts();
  readonly #journal = new Journal();
  readonly #waiters = new Waiters();
  readonly #life = new Lifetime('store');
  readonly #clock: Clock;
  readonly #group = new GroupCommit('store', (batches) => this.#applyGroup(batches));
  #version = 0;

  constructor(options: MemoryStoreOptions = {}) {
    this.#clock = options.clock ?? systemClock;
  }

  get groups(): CommitGroups {
    return this.#group.groups;
  }

  async commit(batch: Batch): Promise<Receipt> {
    this.#life.check();
    checkBatch(batch);
    return this.#group.commit(batch);
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    this.#life.check();
    checkKeys(keys);
    return keys.map(({ partition, kind, id }) => {
      const record = this.#data(partition)?.records.get(recordName(kind, id));
      return record && toStored(partition, record);
    });
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    range: RecordRange,
  ): Promise<Page<Stored>> {
    this.#life.check();
    checkRecordRange(partition, kind, range);
    return pageOfRecords(partition, this.#data(partition), kind, range);
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    this.#life.check();
    checkPartition(partition);
    return [...(this.#data(partition)?.logs ?? [])]
      .map(([log, data]) => ({
        log,
        firstSeq: data.firstSeq,
        lastSeq: data.lastSeq,
        count: data.count,
      }))
      .sort((a, b) => compareBytes(a.log, b.log));
  }

  async readLog(partition: Partition, name: string, range: LogRange): Promise<LogPage> {
    this.#life.check();
    checkLogRange(partition, name, range);
    const log = this.#data(partition)?.logs.get(name);
    return log ? log.read(range) : { entries: [], firstSeq: 1, lastSeq: 0, count: 0 };
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    this.#life.check();
    checkIndexRange(range);
    if (range.index === EXPIRY_INDEX || range.index === PARTITION_INDEX) return this.#queryOwn(range);
    return this.#indexes.query(listName(range.tenant!, range.index, range.key), range);
  }

  async readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    this.#life.check();
    checkLimit(limit);
    return this.#journal.read(after, limit);
  }

  async waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void> {
    this.#life.check();
    signal?.throwIfAborted();
    if (this.#journal.position(after) < this.#journal.newest) return;
    await this.#waiters.wait(signal);
  }

  async trimChanges(upTo: Cursor, keep: readonly Cursor[] = []): Promise<void> {
    this.#life.check();
    this.#journal.trim(upTo, keep);
  }

  async searchText(query: TextQuery): Promise<TextMatches> {
    this.#life.check();
    checkTextQuery(query);
    return this.#texts.search(query);
  }

  async health(): Promise<StoreHealth> {
    this.#life.check();
    return {
      ok: true,
      problems: [],
      facts: { partitions: this.#partitions.size, changes: this.#journal.newest },
    };
  }

  async close(): Promise<void> {
    return this.#life.end(async () => {
      await this.#group.close();
      this.#waiters.close('store');
      this.#partitions.clear();
    });
  }

  #data(partition: Partition): PartitionData | undefined {
    return this.#partitions.get(partitionKey(partition));
  }

  #applyGroup(batches: readonly Batch[]): Outcome[] {
    const before = this.#journal.newest;
    const outcomes = batches.map((batch) => {
      try {
        return this.#journal.replay(batch) ?? this.#apply(batch);
      } catch (error) {
        return error as Error;
      }
    });
    if (this.#journal.newest > before) this.#waiters.wake();
    return outcomes;
  }

  #apply(batch: Batch): Receipt {
    const key = partitionKey(batch.partition);
    const known = this.#partitions.get(key);
    const data = known ?? new PartitionData({ ...batch.partition });
    for (const operation of batch.operations) judge(operation, known ?? NOWHERE);
    const version = ++this.#version;
    this.#version = Math.max(version, ...batch.operations.map(givenVersion));
    const results: OperationResult[] = [];
    const changes: ChangeOperation[] = [];
    for (const operation of batch.operations) {
      const { result, change } =
        operation.op === 'drop'
          ? this.#drop(key, operation.ifExpiredAt)
          : data.apply(operation, version, { indexes: this.#indexes, texts: this.#texts });
      results.push(result);
      if (change) changes.push(change);
      if (operation.op === 'index' || (change && operation.op !== 'drop')) this.#partitions.set(key, data);
    }
    return this.#journal.add(batch, this.#clock.now(), changes, results);
  }

  #drop(key: string, ifExpiredAt: number | undefined): { result: OperationResult; change?: ChangeOperation } {
    const data = this.#partitions.get(key);
    if (!data) return { result: { count: 0 } };
    for (const record of data.records.values()) this.#indexes.remove(data.partition, record);
    this.#texts.drop(data.partition);
    this.#partitions.delete(key);
    return { result: { count: 1 }, change: { op: 'drop', expired: ifExpiredAt !== undefined } };
  }

  #queryOwn(range: IndexRange): Page<IndexHit> {
    const hits: IndexHit[] = [];
    for (const { partition, expiry } of this.#partitions.values()) {
      if (range.tenant !== undefined && partition.tenant !== range.tenant) continue;
      const order =
        range.index === EXPIRY_INDEX ? expiry : range.key === '' || partition.type === range.key ? 0 : null;
      if (order !== null) hits.push({ partition, kind: '', id: '', order });
    }
    return pageOf(hits.map(toSlot).sort(compareSlots), range);
  }
}

function pageOfRecords(
  partition: Partition,
  data: PartitionData | undefined,
  kind: string | undefined,
  { after, limit, reverse = false, whole = false }: RecordRange,
): Page<Stored> {
  const names = data?.names(kind) ?? [];
  const position = after === undefined ? undefined : (decodePageToken(after, 2) as [string, string]);
  const last = position && recordName(...position);
  const page = namesAfter(names, last, limit + 1, reverse);
  return toPage(
    page.map((name) => data!.records.get(name)!),
    limit,
    (record) => [record.kind, record.id],
    (record) => (whole ? toWhole(partition, record) : toStored(partition, record)),
  );
}

/** Some of the sorted names that come after one, in either direction. */
function namesAfter(
  names: readonly string[],
  last: string | undefined,
  count: number,
  reverse: boolean,
): string[] {
  if (reverse) {
    const end = last === undefined ? names.length : placeOf(names, last);
    return names.slice(Math.max(0, end - count), end).reverse();
  }
  const place = last === undefined ? 0 : placeOf(names, last);
  const start = last !== undefined && names[place] === last ? place + 1 : place;
  return names.slice(start, start + count);
}

/** The index of the first name that is not before this one. */
function placeOf(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(names[middle]!, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function toWhole(partition: Partition, record: RecordData): Stored {
  return { ...toStored(partition, record), indexes: record.indexes, counter: record.counter };
}

function givenVersion(operation: Operation): number {
  return operation.op === 'put' ? (operation.version ?? 0) : 0;
}
