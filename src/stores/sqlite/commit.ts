import type { Clock } from '../../core/clock.ts';
import type {
  Batch,
  ChangeOperation,
  Operation,
  OperationResult,
  Partition,
  Receipt,
} from '../../core/store.ts';
import { judge, NOWHERE, type Standing } from '../shared/conditions.ts';
import type { Outcome } from '../shared/group-commit.ts';
import { batchKey } from '../shared/pages.ts';
import type { Catalog, PartitionState } from './catalog.ts';
import type { Damage } from './damage.ts';
import { type Database, isBusy, type Statement } from './database.ts';
import { cursorOf, type Journal, type LogState, pack, type StoredOperation } from './journal.ts';
import type { Logs } from './logs.ts';
import type { Records } from './records.ts';
import type { Snapshot } from './snapshot.ts';
import type { Texts } from './texts.ts';

export interface CommitterParts {
  db: Database;
  damage: Damage;
  snapshot: Snapshot;
  catalog: Catalog;
  records: Records;
  logs: Logs;
  texts: Texts;
  journal: Journal;
  clock: Clock;
}

/** What an operation did: its result and, unless nothing changed, its line in the journal. */
type Applied = { result: OperationResult; change?: StoredOperation };

/** Commits groups of batches: one transaction, one journal row. */
export class Committer {
  readonly #parts: CommitterParts;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #expire: Statement;
  readonly #deletePartition: Statement;
  readonly #keepName: Statement;

  /** Whether nobody else has written since this process's last transaction. */
  #alone = false;

  constructor(parts: CommitterParts) {
    const { db } = parts;
    this.#parts = parts;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#expire = db.prepare('UPDATE partitions SET expires_at = ? WHERE pk = ?');
    this.#keepName = db.prepare('INSERT INTO dropped_partitions VALUES (?, ?, ?, ?, ?)');
    this.#deletePartition = db.prepare('DELETE FROM partitions WHERE pk = ?');
  }

  /** Commits a group. A batch whose conditions fail, fails alone; when SQLite itself fails one, the others go again. */
  group(batches: readonly Batch[]): Outcome[] {
    try {
      return this.transaction(() => this.#applyAll(batches));
    } catch (error) {
      if (batches.length === 1 || isBusy(error) || this.#parts.damage.found) throw error;
      return batches.map((batch) => {
        try {
          return this.transaction(() => this.#applyAll([batch]))[0]!;
        } catch (alone) {
          return alone as Error;
        }
      });
    }
  }

  /**
   * Runs a write transaction on top of everything that others have committed.
   * @throws StoreCorruptError, and nothing is written, once damage was met
   */
  transaction<T>(body: () => T): T {
    this.#parts.snapshot.leave();
    this.#parts.damage.check();
    try {
      return this.#write(body);
    } catch (error) {
      this.#parts.damage.tell(error);
      throw error;
    }
  }

  #write<T>(body: () => T): T {
    this.#begin.run();
    try {
      this.refresh();
      this.#parts.logs.begin(this.#alone);
      this.#alone = true;
      const result = body();
      this.#commit.run();
      return result;
    } catch (error) {
      if (this.#parts.db.inTransaction) this.#rollback.run();
      this.reset();
      throw error;
    }
  }

  /** Takes in what others committed. Inside a transaction it stays true until the end. */
  refresh(): void {
    const { journal, catalog } = this.#parts;
    if (journal.newestRow === journal.seen) return;
    this.#alone = false;
    // Rows from before the heads were last written may be trimmed, and reading those heads is cheaper anyway.
    if (catalog.checkpoint > journal.seen) this.reset();
    journal.catchUp((change) => catalog.follow(change));
  }

  /** Forgets what this process knows, and starts over from the file. */
  reset(): void {
    this.#alone = false;
    this.#parts.journal.seen = this.#parts.catalog.reset();
  }

  /** Forgets the journal up to a cursor, not beyond those to keep; what it told of log heads goes to their table first. */
  trim(cursor: string, keep: readonly string[]): void {
    this.transaction(() => {
      this.#parts.catalog.settle(this.#parts.journal.seen, true);
      this.#parts.journal.trim(cursor, keep);
    });
  }

  #applyAll(batches: readonly Batch[]): Outcome[] {
    const { journal, catalog, logs, clock } = this.#parts;
    const changes: string[] = [];
    const committed: Committed[] = [];
    const named = new Map<string, Committed>();
    let version = journal.seen;
    const outcomes = batches.map((batch): Outcome => {
      const replayed = batch.id === undefined ? undefined : this.#replay(batch, named, committed);
      if (replayed) return replayed;
      const partition = catalog.partition(batch.partition);
      const problem = this.#judge(batch.operations, partition);
      if (problem) return problem;
      const results = this.#apply(batch, partition, ++version, changes);
      for (const operation of batch.operations)
        if (operation.op === 'put' && operation.version !== undefined)
          version = Math.max(version, operation.version);
      const one: Committed = {
        batch,
        receipt: { cursor: '', replayed: false, results },
        count: changes.length,
      };
      committed.push(one);
      if (batch.id !== undefined) named.set(batchKey(batch), one);
      return one.receipt;
    });
    // A group without changes has no row: its batches stand right after the newest one.
    const before = changes.length === 0 ? journal.newest().count : 0;
    if (changes.length > 0) journal.seen = logs.endGroup(clock.now(), changes, version);
    for (const { batch, receipt, count } of committed) {
      receipt.cursor = cursorOf({ row: journal.seen, count: count + before });
      if (batch.id !== undefined && !receipt.replayed) journal.remember(batch, journal.seen, receipt);
    }
    catalog.settle(journal.seen);
    return outcomes;
  }

  /** The receipt of a batch that is in the file, or in the same group, already. */
  #replay(batch: Batch, named: ReadonlyMap<string, Committed>, committed: Committed[]): Receipt | undefined {
    const first = named.get(batchKey(batch));
    if (!first) return this.#parts.journal.replay(batch);
    const receipt = { ...first.receipt, replayed: true };
    committed.push({ ...first, receipt });
    return receipt;
  }

  #apply(
    batch: Batch,
    known: PartitionState | undefined,
    version: number,
    changes: string[],
  ): OperationResult[] {
    const partition =
      known ??
      (batch.operations.some(makes) ? this.#parts.catalog.ensurePartition(batch.partition) : undefined);
    if (!partition) return batch.operations.map(resultNowhere);
    const results: OperationResult[] = [];
    const operations: StoredOperation[] = [];
    for (const operation of batch.operations) {
      const { result, change } = this.#perform(operation, batch.partition, partition, version);
      results.push(result);
      if (change) operations.push(change);
    }
    if (operations.length > 0) {
      changes.push(
        pack({ partition: partition.pk, operations, ...(batch.id !== undefined && { batchId: batch.id }) }),
      );
    }
    return results;
  }

  /** All conditions of a batch, before any of it is written. */
  #judge(operations: readonly Operation[], partition: PartitionState | undefined): Error | undefined {
    try {
      const standing = partition ? new FileStanding(this.#parts, partition) : NOWHERE;
      for (const operation of operations) judge(operation, standing);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  #perform(
    operation: Operation,
    { tenant, type, id }: Partition,
    partition: PartitionState,
    version: number,
  ): Applied {
    const { records } = this.#parts;
    switch (operation.op) {
      case 'check':
        return UNTOLD;
      case 'append':
        return this.#append(operation, partition);
      case 'put':
        return recordChange(operation, records.put(partition, tenant, operation, version));
      case 'add':
        return recordChange(operation, records.add(partition, operation, version));
      case 'delete': {
        const result = records.delete(partition, operation);
        return result.count
          ? { result, change: { op: 'delete', kind: operation.kind, id: operation.id } }
          : { result };
      }
      case 'index':
      case 'unindex':
      case 'embed':
        return { result: this.#document(operation, tenant, partition) };
      case 'expire':
        this.#expire.run(operation.at, partition.pk);
        return { result: {}, change: { op: 'expire', at: operation.at } };
      case 'drop':
        this.#keepName.run(partition.pk, tenant, type, id, version);
        return this.#drop(partition, operation.ifExpiredAt !== undefined);
      default:
        return this.#change(operation, partition);
    }
  }

  /** Operations on text documents, of which the journal tells nothing. */
  #document(
    operation: Operation & { op: 'index' | 'unindex' | 'embed' },
    tenant: string,
    { pk }: PartitionState,
  ): OperationResult {
    const { texts } = this.#parts;
    if (operation.op === 'unindex') return { count: texts.unindex(pk, operation) };
    if (operation.op === 'index') texts.index(pk, tenant, operation);
    else texts.embed(pk, operation);
    return {};
  }

  /** Operations that change entries that are there. */
  #change(operation: Operation & { op: 'rewrite' | 'truncate' }, partition: PartitionState): Applied {
    const { catalog, logs } = this.#parts;
    const name = operation.log;
    const log = catalog.log(partition, name);
    if (!log) return NOTHING;
    if (operation.op === 'rewrite') {
      const result = logs.rewrite(log, operation);
      return { result, change: { op: 'rewrite', log: name, seq: operation.seq, version: result.version! } };
    }
    const result = logs.truncate(log, operation);
    if (result.count === 0) return { result };
    catalog.touched(log);
    return {
      result,
      change: { op: 'truncate', log: name, firstSeq: log.first, lastSeq: logs.newestSeq(log), state: log },
    };
  }

  #append(append: Operation & { op: 'append' }, partition: PartitionState): Applied {
    const { catalog, logs } = this.#parts;
    const log = catalog.log(partition, append.log) ?? catalog.addLog(partition, append.log);
    const result = logs.append(log, append);
    const count = result.count!;
    if (count === 0) return { result };
    catalog.touched(log);
    return {
      result,
      change: { op: 'append', log: append.log, firstSeq: log.last + 1 - count, count, state: log },
    };
  }

  #drop(partition: PartitionState, expired: boolean): Applied {
    const { catalog, records, logs, texts } = this.#parts;
    for (const name of catalog.logNames(partition)) logs.drop(catalog.log(partition, name)!);
    records.drop(partition.pk);
    texts.drop(partition.pk);
    this.#deletePartition.run(partition.pk);
    catalog.forget(partition.pk);
    return { result: { count: 1 }, change: { op: 'drop', expired } };
  }
}

/** Whether an operation makes the partition that it finds missing. */
function makes({ op }: Operation): boolean {
  return op === 'put' || op === 'add' || op === 'append' || op === 'index' || op === 'expire';
}

/** What an operation comes to that makes no partition, where there is none. */
function resultNowhere({ op }: Operation): OperationResult {
  return (op === 'check' || op === 'embed' ? UNTOLD : NOTHING).result;
}

/** A batch that is through, waiting for the journal's row to know its cursor. */
interface Committed {
  batch: Batch;
  receipt: { -readonly [K in keyof Receipt]: Receipt[K] };
  /** Changes of the group so far. */
  count: number;
}

const NOTHING: Applied = { result: { count: 0 } };
const UNTOLD: Applied = { result: {} };

function recordChange({ op, kind, id }: Operation & { op: 'put' | 'add' }, result: OperationResult): Applied {
  const change: ChangeOperation = { op, kind, id, version: result.version!, created: result.created! };
  return { result, change };
}

/** Where a partition stands in the file, on top of what the group has done so far. */
class FileStanding implements Standing {
  readonly #parts: CommitterParts;
  readonly #partition: PartitionState;

  constructor(parts: CommitterParts, partition: PartitionState) {
    this.#parts = parts;
    this.#partition = partition;
  }

  version(kind: string, id: string): number | undefined {
    return this.#parts.records.version(this.#partition, kind, id);
  }

  counter(kind: string, id: string): { value: string; counter: boolean } | undefined {
    const row = this.#parts.records.get(this.#partition, kind, id);
    return row && { value: row.value, counter: row.counter === 1 };
  }

  lastSeq(log: string): number {
    return this.#log(log)?.last ?? 0;
  }

  entryVersion(log: string, seq: number): number | undefined {
    const state = this.#log(log);
    return state && this.#parts.logs.versionAt(state, seq);
  }

  expiresAt(): number | null {
    return this.#parts.catalog.expiresAt(this.#partition);
  }

  #log(name: string): LogState | undefined {
    return this.#parts.catalog.log(this.#partition, name);
  }
}
