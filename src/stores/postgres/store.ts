import { ConfigError } from '../../core/errors.ts';
import type { Cursor, Store, StoreFeatures, StoreHealth, StoreRecovery } from '../../core/store.ts';
import { CheckedStore } from '../shared/checked-store.ts';
import { Committer } from './commit.ts';
import { type Connection, connect } from './connection.ts';
import { checkHealth } from './health.ts';
import { Journal } from './journal.ts';
import { beginEpoch, checkMigrated, checkServer, pendingMigrations, runMigrations } from './migrations.ts';
import type { PostgresStoreOptions, Settings } from './options.ts';
import type { PostgresPool } from './pool.ts';
import { Reads } from './reads.ts';
import { Texts } from './texts.ts';
import { findPgvector, type Pgvector } from './vectors.ts';
import { Waker } from './waker.ts';

export type { PostgresStoreOptions };

export interface PostgresMigrateOptions extends PostgresStoreOptions {
  /** Only tell what would be run. */
  dryRun?: boolean;
}

/** A store in a schema of a Postgres database (14 or later). Many processes may use it at once. */
export class PostgresStore extends CheckedStore implements Store {
  readonly name = 'postgres';
  readonly features: StoreFeatures;
  readonly recovery: StoreRecovery = {
    reconnect: async () => {
      this.life.check();
      await this.#connection.database.reconnect();
    },
  };
  readonly #connection: Connection;
  readonly #settings: Settings;
  protected readonly parts: {
    readonly reads: Reads;
    readonly journal: Journal;
    readonly committer: Committer;
    readonly texts: Texts;
  };
  readonly #waker: Waker;
  readonly #pgvector: Pgvector | undefined;

  private constructor(connection: Connection, pgvector: Pgvector | undefined) {
    super();
    this.features = {
      persistent: true,
      shared: true,
      textSearch: true,
      vectorSearch: pgvector !== undefined,
    };
    this.#pgvector = pgvector;
    const { database, settings, listenSource } = connection;
    const { schema, durability, clock } = settings;
    this.#connection = connection;
    this.#settings = settings;
    this.#waker = new Waker(database, listenSource, schema);
    const committer = new Committer(database, {
      schema,
      durability,
      clock,
      committed: () => this.#waker.committed(),
    });
    this.parts = {
      reads: new Reads(database, schema),
      journal: new Journal(database, schema),
      committer,
      texts: new Texts(database, schema, pgvector),
    };
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
      return new PostgresStore(connection, await findPgvector(database));
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

  async waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void> {
    for (;;) {
      this.life.check();
      signal?.throwIfAborted();
      const { wakes } = this.#waker;
      const { found, held } = await this.parts.journal.peek(after);
      this.life.check();
      if (found) return;
      // What was committed since that look must not be slept through.
      if (this.#waker.wakes === wakes) await this.#waker.wait(held, signal);
    }
  }

  async trimChanges(upTo: Cursor, keep: readonly Cursor[] = []): Promise<void> {
    this.life.check();
    await this.parts.journal.trim(upTo, keep);
  }

  async health(): Promise<StoreHealth> {
    this.life.check();
    const { schema, durability, clock } = this.#settings;
    const { database } = this.#connection;
    return checkHealth({
      database,
      schema,
      durability,
      clock,
      listening: this.#waker.listening,
      pgvector: this.#pgvector?.version,
    });
  }

  async close(): Promise<void> {
    return this.life.end(async () => {
      await this.parts.committer.close();
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
