import { systemClock } from '../../core/clock.ts';
import type {
  Batch,
  ChangePage,
  CommitGroups,
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
  TextMatches,
  TextQuery,
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
import { GroupCommit, type Outcome } from '../shared/group-commit.ts';
import { Lifetime } from '../shared/lifetime.ts';
import { toStored } from '../shared/pages.ts';
import { Waiters } from '../shared/waiters.ts';
import { Catalog } from './catalog.ts';
import { Committer } from './commit.ts';
import { Damage } from './damage.ts';
import { closeUntouched, type Database, isBusy, openDatabase, retryBusy } from './database.ts';
import { Journal } from './journal.ts';
import { Logs } from './logs.ts';
import { checkOptions, type SqliteStoreOptions } from './options.ts';
import { Records } from './records.ts';
import { SCHEMA_VERSION } from './schema.ts';
import { Snapshot } from './snapshot.ts';
import { TextCleaner } from './text-cleaner.ts';
import { TextSearch } from './text-search.ts';
import { Texts } from './texts.ts';
import { loadVectorFunctions, type VectorFunctions } from './vector-functions.ts';

export type { SqliteStoreOptions };

/** A store in one SQLite file. Several processes may use the file at once. */
export class SqliteStore implements Store {
  readonly name = 'sqlite';
  readonly features: StoreFeatures = {
    persistent: true,
    shared: true,
    textSearch: true,
    vectorSearch: false,
  };
  readonly path: string;
  readonly #db: Database;
  readonly #vectors: VectorFunctions;
  readonly #options: Required<SqliteStoreOptions>;
  readonly #damage: Damage;
  readonly #catalog: Catalog;
  readonly #records: Records;
  readonly #logs: Logs;
  readonly #texts: Texts;
  readonly #search: TextSearch;
  readonly #cleaner: TextCleaner;
  readonly #journal: Journal;
  readonly #committer: Committer;
  readonly #group: GroupCommit;
  readonly #waiters = new Waiters();
  readonly #life = new Lifetime('store');
  readonly #snapshot: Snapshot;
  #poll: NodeJS.Timeout | undefined;

  private constructor(
    path: string,
    { db, vectors }: { db: Database; vectors: VectorFunctions },
    options: Required<SqliteStoreOptions>,
  ) {
    this.path = path;
    this.features = { persistent: true, shared: true, textSearch: true, vectorSearch: vectors.loaded };
    this.#db = db;
    this.#vectors = vectors;
    this.#options = options;
    this.#damage = new Damage(path);
    this.#catalog = new Catalog(db);
    this.#records = new Records(db);
    this.#logs = new Logs(db);
    this.#texts = new Texts(db);
    this.#search = new TextSearch(db, this.#texts, vectors.loaded);
    this.#journal = new Journal(db);
    this.#snapshot = new Snapshot(
      db,
      () => this.#committer.refresh(),
      (error) => this.#damage.tell(error),
    );
    this.#committer = new Committer({
      snapshot: this.#snapshot,
      db,
      damage: this.#damage,
      clock: options.clock,
      catalog: this.#catalog,
      records: this.#records,
      logs: this.#logs,
      texts: this.#texts,
      journal: this.#journal,
    });
    this.#committer.reset();
    this.#group = new GroupCommit('store', (batches) => this.#commitGroup(batches));
    this.#cleaner = new TextCleaner(
      (limit) => this.#texts.hasAside && this.#committer.transaction(() => this.#texts.clear(limit)),
    );
  }

  /**
   * Opens a file, making it and its folder where they don't exist.
   * @throws InvalidInputError for bad options, StoreCorruptError when the file is damaged (it is left untouched),
   * NewerSchemaError, StoreUnavailableError
   */
  static async open(path: string, options: SqliteStoreOptions = {}): Promise<SqliteStore> {
    checkOptions(options);
    const { durability = 'full', lockTimeoutMs = 10_000, pollIntervalMs = 10, clock = systemClock } = options;
    const db = await openDatabase(path, durability, lockTimeoutMs);
    const vectors = await loadVectorFunctions(db);
    return new SqliteStore(path, { db, vectors }, { durability, lockTimeoutMs, pollIntervalMs, clock });
  }

  get groups(): CommitGroups {
    return this.#group.groups;
  }

  commit(batch: Batch): Promise<Receipt> {
    try {
      this.#life.check();
      checkBatch(batch);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#group.commit(batch);
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    this.#life.check();
    checkKeys(keys);
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
    this.#life.check();
    checkRecordRange(partition, kind, range);
    return this.#read(() => {
      const state = this.#catalog.partition(partition);
      return state ? this.#records.list(partition, state.pk, kind, range) : { items: [] };
    });
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    this.#life.check();
    checkPartition(partition);
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
    this.#life.check();
    checkLogRange(partition, name, range);
    return this.#read(() => {
      const state = this.#catalog.partition(partition);
      const log = state && this.#catalog.log(state, name);
      return log ? this.#logs.read(log, range) : { entries: [], firstSeq: 1, lastSeq: 0, count: 0 };
    });
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    this.#life.check();
    checkIndexRange(range);
    return this.#read(() => this.#records.queryIndex(range));
  }

  async readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    this.#life.check();
    checkLimit(limit);
    return this.#read(() => this.#journal.read(after, limit));
  }

  async waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void> {
    for (;;) {
      this.#life.check();
      signal?.throwIfAborted();
      const { changes, seen } = await this.#read(() => ({
        ...this.#journal.read(after, 1),
        seen: this.#journal.seen,
      }));
      this.#life.check();
      if (changes.length > 0) return;
      // Whatever was committed since that snapshot must not be slept through.
      if (this.#journal.seen !== seen) continue;
      const changed = this.#waiters.wait(signal);
      this.#startPolling();
      await changed;
    }
  }

  async trimChanges(upTo: Cursor, keep: readonly Cursor[] = []): Promise<void> {
    this.#life.check();
    await this.#retryingBusy(() => {
      this.#life.check();
      this.#committer.trim(upTo, keep);
    });
  }

  async searchText(query: TextQuery): Promise<TextMatches> {
    this.#life.check();
    checkTextQuery(query);
    return this.#read(() => {
      const { within } = query;
      const partition = 'partition' in within ? this.#catalog.partition(within.partition) : undefined;
      return this.#search.search(query, partition?.pk);
    });
  }

  async health(): Promise<StoreHealth> {
    this.#life.check();
    const { durability } = this.#options;
    const known = { schema: SCHEMA_VERSION, knownSchema: SCHEMA_VERSION };
    const facts = { path: this.path, ...known, durability, vectorSearch: this.#vectors.fact };
    try {
      const more = await this.#read(() => this.#facts());
      const problems = this.#damage.found ? [this.#damage.found.message] : [];
      return { ok: problems.length === 0, problems, facts: { ...facts, ...more } };
    } catch (error) {
      if (!this.#damage.found) throw error;
      return { ok: false, problems: [this.#damage.found.message], facts };
    }
  }

  #facts(): { sqlite: string; schema: number; sizeBytes: number; textsToClear: number } {
    const schema = this.#db.pragma('user_version', { simple: true }) as number;
    const pages = this.#db.pragma('page_count', { simple: true }) as number;
    const pageBytes = this.#db.pragma('page_size', { simple: true }) as number;
    const version = this.#db.prepare('SELECT sqlite_version()').pluck().get() as string;
    return { sqlite: version, schema, sizeBytes: pages * pageBytes, textsToClear: this.#texts.countAside() };
  }

  async close(): Promise<void> {
    return this.#life.end(async () => {
      clearInterval(this.#poll);
      this.#waiters.close('store');
      await this.#group.close();
      await this.#cleaner.close();
      this.#snapshot.leave();
      if (this.#damage.found) await closeUntouched(this.#db, this.path);
      else this.#db.close();
    });
  }

  /** Runs a read on one snapshot of the file; at once, unless another process keeps the file shut for a moment. */
  #read<T>(body: () => T): T | Promise<T> {
    try {
      return this.#inSnapshot(body);
    } catch (error) {
      if (!isBusy(error)) throw this.#damage.tell(error);
      return this.#retryingBusy(() => {
        this.#life.check();
        return this.#inSnapshot(body);
      });
    }
  }

  #inSnapshot<T>(body: () => T): T {
    this.#snapshot.enter();
    return body();
  }

  #commitGroup(batches: readonly Batch[]): Outcome[] | Promise<Outcome[]> {
    try {
      return this.#committed(this.#committer.group(batches));
    } catch (error) {
      if (!isBusy(error)) throw this.#damage.tell(error);
      return this.#retryingBusy(() => this.#committed(this.#committer.group(batches)));
    }
  }

  #committed(outcomes: Outcome[]): Outcome[] {
    this.#cleaner.committed();
    if (this.#waiters.size > 0) this.#waiters.wake();
    return outcomes.map((outcome) => (outcome instanceof Error ? this.#damage.tell(outcome) : outcome));
  }

  /** SQLite's own waiting blocks the event loop: it waits for a moment only, the rest of the time is waited here. */
  async #retryingBusy<T>(body: () => T): Promise<T> {
    try {
      return await retryBusy(body, this.#options.lockTimeoutMs);
    } catch (error) {
      throw this.#damage.tell(error);
    }
  }

  /** Other processes don't tell us of their commits: while somebody waits, the journal's end is looked at. */
  #startPolling(): void {
    if (this.#poll) return;
    let told = this.#journal.seen;
    this.#poll = setInterval(() => {
      if (this.#waiters.size === 0) {
        clearInterval(this.#poll);
        this.#poll = undefined;
        return;
      }
      const newest = this.#newestRow();
      if (newest === told) return;
      told = newest;
      this.#waiters.wake();
    }, this.#options.pollIntervalMs);
  }

  /** The journal's end, or NaN where it can't be read: who waits is woken then, and meets the error in his own read. */
  #newestRow(): number {
    try {
      return this.#journal.newestRow;
    } catch {
      return Number.NaN;
    }
  }
}
