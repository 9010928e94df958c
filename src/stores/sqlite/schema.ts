import type { Database } from 'better-sqlite3';
import { NewerSchemaError, StoreCorruptError } from '../../core/errors.ts';

/** Marks a file as ours ("Hold" in ASCII), so that another program's database is refused, not migrated. */
export const APPLICATION_ID = 0x486f6c64;

/**
 * Migrations, oldest first; the schema's version is how many have run (`PRAGMA user_version`). Never edit one that
 * was released: add another. See docs/decisions/0003 for why entries are kept in the order of arrival.
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('heads_at', 0), ('trimmed', '0.0');

  CREATE TABLE partitions (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
    expires_at INTEGER,
    UNIQUE (tenant, type, id)
  ) STRICT;
  CREATE INDEX partitions_by_type ON partitions (type, tenant, id);
  CREATE INDEX partitions_by_expiry ON partitions (expires_at) WHERE expires_at IS NOT NULL;

  CREATE TABLE records (
    partition INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    version INTEGER NOT NULL, counter INTEGER NOT NULL, indexed INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (partition, kind, id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE index_entries (
    tenant TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, position REAL NOT NULL,
    partition INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (tenant, name, key, position, partition, kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX index_entries_by_record ON index_entries (partition, kind, id);

  -- A log's entries are a chain from its head, the newest, back to the oldest.
  CREATE TABLE logs (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    partition INTEGER NOT NULL, name TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, head INTEGER NOT NULL,
    UNIQUE (partition, name)
  ) STRICT;
  -- All that is appended, in the order of arrival. The last row of each group commit is its row of the journal:
  -- log 0, seq is when (epoch ms), previous the number of changes, value a JSON array with one for each batch.
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    log INTEGER NOT NULL, seq INTEGER NOT NULL, previous INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1, mark TEXT, given_id TEXT, value TEXT NOT NULL
  ) STRICT;
  -- Every 128th entry of a log, so that a walk to any seq is short.
  CREATE TABLE waypoints (
    log INTEGER NOT NULL, seq INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (log, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE marks (
    log INTEGER NOT NULL, mark TEXT NOT NULL, seq INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (log, mark, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE given_ids (
    log INTEGER NOT NULL, given_id TEXT NOT NULL, seq INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (log, given_id)
  ) STRICT, WITHOUT ROWID;

  -- Names of partitions that are gone, for as long as the journal speaks of them.
  CREATE TABLE dropped_partitions (
    pk INTEGER PRIMARY KEY, tenant TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, journal INTEGER NOT NULL
  ) STRICT;

  -- Receipts of batches that have an id. They outlive their partition: a drop has one, too.
  CREATE TABLE batches (
    tenant TEXT NOT NULL, type TEXT NOT NULL, partition TEXT NOT NULL, id TEXT NOT NULL,
    journal INTEGER NOT NULL, receipt TEXT NOT NULL,
    PRIMARY KEY (tenant, type, partition, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX batches_by_journal ON batches (journal);
  `,
  `
  -- Scopes in which text documents are found.
  CREATE TABLE text_places (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL, collection TEXT NOT NULL, scope TEXT NOT NULL,
    UNIQUE (tenant, collection, scope)
  ) STRICT;
  -- Those of one partition have keys that follow one another (text-keys.ts): a search within it is one in a range.
  CREATE TABLE texts (
    pk INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL, collection TEXT NOT NULL, id TEXT NOT NULL,
    place INTEGER NOT NULL, position REAL NOT NULL, terms TEXT NOT NULL, value TEXT NOT NULL,
    UNIQUE (partition, collection, id)
  ) STRICT;
  CREATE INDEX texts_by_place ON texts (place, position);
  CREATE INDEX texts_by_partition ON texts (partition, collection, place, position);
  -- Which texts hold a term: each term has its place's number before it, "7_apple". So the terms of a place are together,
  -- and only they are read. A deleted term is taken out of the index's pages, and not only marked as deleted.
  CREATE VIRTUAL TABLE text_terms USING fts5 (
    terms, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '_'"
  );
  INSERT INTO text_terms (text_terms, rank) VALUES ('secure-delete', 1);
  CREATE TABLE text_vectors (
    pk INTEGER PRIMARY KEY, text INTEGER NOT NULL, model TEXT NOT NULL, key TEXT NOT NULL, vector BLOB NOT NULL
  ) STRICT;
  CREATE INDEX text_vectors_by_text ON text_vectors (text, model);
  `,
];

export const SCHEMA_VERSION = migrations.length;

/** The SQL that brings a schema of that version up to date, a text for each step. */
export function migrationsFrom(version: number): readonly string[] {
  return migrations.slice(version);
}

/** @throws NewerSchemaError, StoreCorruptError when the file is a newer Holdfast's, or not a Holdfast's at all */
export function checkSchema(db: Database): void {
  // Read together: another process may be making the file at this moment.
  const { version, application, tables } = db.transaction(() => ({
    version: db.pragma('user_version', { simple: true }) as number,
    application: db.pragma('application_id', { simple: true }) as number,
    tables: db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number,
  }))();
  if (version > SCHEMA_VERSION) throw new NewerSchemaError(version, SCHEMA_VERSION);
  if (application !== APPLICATION_ID && tables > 0) {
    throw new StoreCorruptError('the file is a SQLite database of another program', {
      hint: 'Give Holdfast a file of its own.',
    });
  }
}

/** Brings the schema up to date. Safe when several processes do it at once: the write lock lets one at a time in. */
export function migrate(db: Database): void {
  if (db.pragma('user_version', { simple: true }) === SCHEMA_VERSION) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    checkSchema(db);
    const version = db.pragma('user_version', { simple: true }) as number;
    for (const migration of migrationsFrom(version)) db.exec(migration);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
