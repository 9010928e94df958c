import { ConfigError, UnsupportedError } from '../../core/errors.ts';
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
import {
  checkIndexRange,
  checkKeys,
  checkLimit,
  checkLogRange,
  checkPartition,
  checkRecordRange,
} from '../shared/check-reads.ts';
import { Lifetime } from '../shared/lifetime.ts';
import { Committer } from './commit.ts';
import { type Connection, connect } from './connection.ts';
import { checkHealth } from './health.ts';
import { Journal } from './journal.ts';
import { beginEpoch, checkMigrated, checkServer, pendingMigrations, runMigrations } from './migrations.ts';
import type { PostgresStoreOptions, Settings } from './options.ts';
import type { PostgresPool } from './pool.ts';
import { Reads } from './reads.ts';
import { Waker } from './waker.ts';

export type { PostgresStoreOptions };

export interface PostgresMigrateOptions extends PostgresStoreOptions {
  /** Only tell what would be run. */
  dryRun?: boolean;
}

/** A store in a schema of a Postgres database (14 or later). Many processes may use it at once. */
export class PostgresStore implements Store {
  readonly name = 'postgres';
  readonly features: StoreFeatures = { persistent: true, shared: true, textSearch: false };
  readonly #connection: Connection;
  readonly #settings: Settings;
  readonly #reads: Reads;
  readonly #journal: Journal;
  readonly #committer: Committer;
  readonly #waker: Waker;
  readonly #life = new Lifetime('store');

  private constructor(connection: Connection) {
    const { database, settings, listenSource } = connection;
    const { schema, durability, clock } = settings;
    this.#connection = connection;
    this.#settings = settings;
    this.#reads = new Reads(database, schema);
    this.#journal = new Journal(database, schema);
    this.#waker = new Waker(database, listenSource, schema);
    this.#committer = new Committer(database, {
      schema,
      durability,
      clock,
      committed: () => this.#waker.committed(),
    });
  }

  /**
   * Opens a schema of a database, bringing its tables up to date.
   * @param source a URL (`postgres://user@host/database`; `schema`, `maxConnections` and `listen` may stand in it as
   * parameters, all others are the driver's), or a `pg.Pool`, which is left open when the store is closed
   * @throws InvalidInputError for bad options, ConfigError for a server that can't be used so, UnsupportedError for
   * one that is too old, NewerSchemaError, StoreUnavailableError, MissingPackageError
   */
  static async open(
    source: string | PostgresPool,
    options: PostgresStoreOptions = {},
  ): Promise<PostgresStore> {
    const connection = await connect(source, options);
    const { database, settings } = connection;
    try {
      await checkServer(database);
      if (settings.migrate) await runMigrations(database, settings.schema);
      else await checkMigrated(database, settings.schema);
      await beginEpoch(database, settings.schema);
      if (settings.durability === 'replicated') await checkStandbys(connection);
      return new PostgresStore(connection);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /**
   * Brings the tables up to date; with `dryRun`, changes nothing.
   * @returns the SQL that was run, or would be: a text for each step, none where all is up to date
   */
  static async migrate(
    source: string | PostgresPool,
    options: PostgresMigrateOptions = {},
  ): Promise<string[]> {
    const { dryRun = false, ...rest } = options;
    const connection = await connect(source, rest);
    const { database, settings } = connection;
    try {
      await checkServer(database);
      return await (dryRun ? pendingMigrations : runMigrations)(database, settings.schema);
    } finally {
      await connection.close();
    }
  }

  async commit(batch: Batch): Promise<Receipt> {
    this.#life.check();
    checkBatch(batch);
    return this.#committer.commit(batch);
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    this.#life.check();
    checkKeys(keys);
    return this.#reads.getRecords(keys);
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    range: RecordRange,
  ): Promise<Page<Stored>> {
    this.#life.check();
    checkRecordRange(partition, kind, range);
    return this.#reads.listRecords(partition, kind, range);
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    this.#life.check();
    checkPartition(partition);
    return this.#reads.listLogs(partition);
  }

  async readLog(partition: Partition, name: string, range: LogRange): Promise<LogPage> {
    this.#life.check();
    checkLogRange(partition, name, range);
    return this.#reads.readLog(partition, name, range);
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    this.#life.check();
    checkIndexRange(range);
    return this.#reads.queryIndex(range);
  }

  async readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    this.#life.check();
    checkLimit(limit);
    return this.#journal.read(after, limit);
  }

  async waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void> {
    for (;;) {
      this.#life.check();
      signal?.throwIfAborted();
      const { wakes } = this.#waker;
      const { found, held } = await this.#journal.peek(after);
      this.#life.check();
      if (found) return;
      // What was committed since that look must not be slept through.
      if (this.#waker.wakes === wakes) await this.#waker.wait(held, signal);
    }
  }

  async trimChanges(upTo: Cursor, keep: readonly Cursor[] = []): Promise<void> {
    this.#life.check();
    await this.#journal.trim(upTo, keep);
  }

  async searchText(_query: TextQuery): Promise<TextHit[]> {
    this.#life.check();
    throw new UnsupportedError('the postgres store has no full-text index');
  }

  async health(): Promise<StoreHealth> {
    this.#life.check();
    const { schema, durability, clock } = this.#settings;
    const { database } = this.#connection;
    return checkHealth({ database, schema, durability, clock, listening: this.#waker.listening });
  }

  async close(): Promise<void> {
    return this.#life.end(async () => {
      await this.#committer.close();
      this.#waker.close();
      await this.#connection.close();
    });
  }
}

/** @throws ConfigError where no standby has to have a commit before it is acknowledged */
async function checkStandbys({ database }: Connection): Promise<void> {
  const [row] = await database.query<[string]>("SELECT current_setting('synchronous_standby_names')");
  if (row![0] !== '') return;
  const message = "is 'replicated', but the server has no synchronous standby";
  throw new ConfigError([{ path: 'durability', message }], {
    hint: "Set synchronous_standby_names on the server, or choose the durability 'full'.",
  });
}
