import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from '../../core/clock.ts';
import { ClosedError, UnsupportedError } from '../../core/errors.ts';
import type {
  Batch,
  ChangePage,
  Cursor,
  IndexHit,
  IndexRange,
  LogInfo,
  LogPage,
  LogRange,
  Page,
  Partition,
  Receipt,
  RecordKey,
  RecordRange,
  Store,
  Stored,
  StoreFeatures,
  StoreHealth,
  TextHit,
  TextQuery,
} from '../../core/store.ts';
import { checkBatch } from '../shared/check-batch.ts';
import { GroupCommit, type Outcome } from '../shared/group-commit.ts';
import { checkIndexRange, checkLimit } from '../shared/pages.ts';
import { Waiters } from '../shared/waiters.ts';
import { Catalog } from './catalog.ts';
import { Committer } from './commit.ts';
import {
  type Database,
  type Durability,
  isBusy,
  openDatabase,
  type Statement,
  translate,
} from './database.ts';
import { Journal } from './journal.ts';
import { Logs } from './logs.ts';
import { Records, toStored } from './records.ts';
import { SCHEMA_VERSION } from './schema.ts';

export interface SqliteStoreOptions {
  /** `full` (default): an acknowledged write survives a power cut. `normal`: it survives the death of the process. */
  durability?: Durability;
  /** How long to wait for another process's write before giving up. Default 10 000. */
  lockTimeoutMs?: number;
  /** How often to look for other processes' commits while somebody waits for changes. Default 10. */
  pollIntervalMs?: number;
  /** Time stamps of the journal. Default: the system's clock. */
  clock?: Clock;
}

/** A store in one SQLite file. Several processes may use the file at once. */
export class SqliteStore implements Store {
  readonly name = 'sqlite';
  readonly features: StoreFeatures = { persistent: true, shared: true, textSearch: false };
  readonly path: string;
  readonly #db: Database;
  readonly #options: Required<SqliteStoreOptions>;
  readonly #catalog: Catalog;
  readonly #records: Records;
  readonly #logs: Logs;
  readonly #journal: Journal;
  readonly #committer: Committer;
  readonly #group: GroupCommit;
  readonly #waiters = new Waiters();
  readonly #beginRead: Statement;
  readonly #endRead: Statement;
  #poll: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(path: string, db: Database, options: Required<SqliteStoreOptions>) {
    this.path = path;
    this.#db = db;
    this.#options = options;
    this.#catalog = new Catalog(db);
    this.#records = new Records(db);
    this.#logs = new Logs(db);
    this.#journal = new Journal(db);
    this.#committer = new Committer({
      db,
      clock: options.clock,
      catalog: this.#catalog,
      records: this.#records,
      logs: this.#logs,
      journal: this.#journal,
    });
    this.#committer.reset();
    this.#group = new GroupCommit('store', (batches) => this.#commitGroup(batches));
    this.#beginRead = db.prepare('BEGIN');
    this.#endRead = db.prepare('COMMIT');
  }

  /**
   * Opens a file, making it and its folder where they don't exist.
   * @throws StoreCorruptError when the file is damaged (it is left untouched), NewerSchemaError, StoreUnavailableError
   */
  static async open(path: string, options: SqliteStoreOptions = {}): Promise<SqliteStore> {
    const { durability = 'full', lockTimeoutMs = 10_000, pollIntervalMs = 10, clock = systemClock } = options;
    const db = await openDatabase(path, durability, lockTimeoutMs);
    return new SqliteStore(path, db, { durability, lockTimeoutMs, pollIntervalMs, clock });
  }

  commit(batch: Batch): Promise<Receipt> {
    try {
      this.#open();
      checkBatch(batch);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#group.commit(batch);
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    return this.#read(() =>
      keys.map(({ partition, kind, id }) => {
        const state = this.#catalog.partition(partition);
        const row = state && this.#records.get(state, kind, id);
        return row && toStored(partition, row);
      }),
    );
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    range: RecordRange,
  ): Promise<Page<Stored>> {
    checkLimit(range.limit);
    return this.#read(() => {
      const state = this.#catalog.partition(partition);
      return state ? this.#records.list(partition, state.pk, kind, range) : { items: [] };
    });
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    return this.#read(() => {
      const state = this.#catalog.partition(partition);
      if (!state) return [];
      return this.#catalog.logNames(state).map((name) => {
        const { first, last, count } = this.#catalog.log(state, name)!;
        return { log: name, firstSeq: first, lastSeq: last, count };
      });
    });
  }

  async readLog(partition: Partition, name: string, range: LogRange): Promise<LogPage> {
    checkLimit(range.limit);
    return this.#read(() => {
      const state = this.#catalog.partition(partition);
      const log = state && this.#catalog.log(state, name);
      return log ? this.#logs.read(log, range) : { entries: [], firstSeq: 1, lastSeq: 0, count: 0 };
    });
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    checkIndexRange(range);
    return this.#read(() => this.#records.queryIndex(range));
  }

  async readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    checkLimit(limit);
    return this.#read(() => this.#journal.read(after, limit));
  }

  async waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void> {
    while (this.#read(() => this.#journal.read(after, 1)).changes.length === 0) {
      const changed = this.#waiters.wait(signal);
      this.#startPolling();
      await changed;
    }
  }

  async trimChanges(upTo: Cursor): Promise<void> {
    await this.#retryingBusy(() => this.#committer.trim(upTo));
  }

  async searchText(_query: TextQuery): Promise<TextHit[]> {
    this.#open();
    throw new UnsupportedError('the sqlite store has no full-text index');
  }

  async health(): Promise<StoreHealth> {
    return this.#read(() => {
      const pages = this.#db.pragma('page_count', { simple: true }) as number;
      const pageBytes = this.#db.pragma('page_size', { simple: true }) as number;
      const version = this.#db.prepare('SELECT sqlite_version()').pluck().get() as string;
      const facts = {
        path: this.path,
        sqlite: version,
        schema: SCHEMA_VERSION,
        durability: this.#options.durability,
        sizeBytes: pages * pageBytes,
      };
      return { ok: true, problems: [], facts };
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#poll);
    this.#waiters.close('store');
    await this.#group.close();
    this.#db.close();
  }

  #open(): void {
    if (this.#closed) throw new ClosedError('store');
  }

  /** Runs a read on one snapshot of the file. */
  #read<T>(body: () => T): T {
    this.#open();
    try {
      this.#beginRead.run();
      try {
        this.#committer.refresh();
        return body();
      } finally {
        this.#endRead.run();
      }
    } catch (error) {
      throw translate(error, this.path);
    }
  }

  #commitGroup(batches: readonly Batch[]): Outcome[] | Promise<Outcome[]> {
    try {
      return this.#committed(this.#committer.group(batches));
    } catch (error) {
      if (!isBusy(error)) throw translate(error, this.path);
      return this.#retryingBusy(() => this.#committed(this.#committer.group(batches)));
    }
  }

  #committed(outcomes: Outcome[]): Outcome[] {
    if (this.#waiters.size > 0) this.#waiters.wake();
    return outcomes.map((outcome) => (outcome instanceof Error ? translate(outcome, this.path) : outcome));
  }

  /** SQLite's own waiting blocks the event loop: it waits for a moment only, the rest of the time is waited here. */
  async #retryingBusy<T>(body: () => T): Promise<T> {
    this.#open();
    const deadline = performance.now() + this.#options.lockTimeoutMs;
    for (;;) {
      try {
        return body();
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw translate(error, this.path);
        await delay(1 + Math.random() * 4);
      }
    }
  }

  /** Other processes don't tell us of their commits: while somebody waits, the journal's end is looked at. */
  #startPolling(): void {
    this.#poll ??= setInterval(() => {
      if (this.#waiters.size === 0) {
        clearInterval(this.#poll);
        this.#poll = undefined;
      } else if (this.#journal.moved) this.#waiters.wake();
    }, this.#options.pollIntervalMs);
  }
}
