import { ConfigError, NewerSchemaError, StoreUnavailableError, UnsupportedError } from '../../core/errors.ts';
import type { Database } from './database.ts';
import { failureOf } from './failures.ts';
import { BEGIN, type PostgresClient } from './pool.ts';
import { migrationsFrom, quoteName, SCHEMA_VERSION } from './schema.ts';

const OLDEST_SERVER = 140_000;
/** One process at a time migrates, in all schemas of a database. */
const LOCK = 0x486f6c64;

/** Refuses servers that are too old. @throws UnsupportedError */
export async function checkServer(database: Database): Promise<string> {
  const [row] = await database.query<[string, string]>(
    "SELECT current_setting('server_version_num'), current_setting('server_version')",
  );
  const [number, version] = row!;
  if (Number(number) < OLDEST_SERVER) {
    throw new UnsupportedError(`the server is Postgres ${version}, Holdfast needs 14 or later`, {
      hint: 'Upgrade the server.',
    });
  }
  return version;
}

/** The SQL that would bring the schema up to date, a text for each step. Changes nothing. */
export async function pendingMigrations(database: Database, schema: string): Promise<string[]> {
  return migrationsFrom(await versionOf(database, schema), schema);
}

/** @throws ConfigError where the schema is behind, NewerSchemaError */
export async function checkMigrated(database: Database, schema: string): Promise<void> {
  const version = await versionOf(database, schema);
  if (version === SCHEMA_VERSION) return;
  const message = `the tables are at version ${version}, this Holdfast needs ${SCHEMA_VERSION}`;
  throw new ConfigError([{ path: 'schema', message }], { hint: 'Run holdfast migrate.' });
}

/**
 * Brings the schema up to date, each step in a transaction of its own. Safe when several processes do it at once.
 * @returns the SQL that was run, a text for each step
 */
export async function runMigrations(database: Database, schema: string): Promise<string[]> {
  if ((await versionOf(database, schema)) === SCHEMA_VERSION) return [];
  const done: string[] = [];
  for (;;) {
    const step = await nextStep(database, schema);
    if (step === undefined) return done;
    done.push(step);
  }
}

function nextStep(database: Database, schema: string): Promise<string | undefined> {
  return database.run(async (client) => {
    await client.query({ text: BEGIN });
    try {
      // A lock of the transaction: behind PgBouncer there is no session to hold it.
      await client.query({ text: `SELECT pg_advisory_xact_lock(${LOCK})` });
      const [step] = migrationsFrom(await readVersion(client, schema), schema);
      if (step !== undefined) await client.query({ text: step });
      await client.query({ text: 'COMMIT' });
      return step;
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) && !failureOf(error).again)
        await client.query({ text: 'ROLLBACK' });
      throw error;
    }
  });
}

function versionOf(database: Database, schema: string): Promise<number> {
  return database.run((client) => readVersion(client, schema));
}

/** @throws NewerSchemaError; ConfigError where tables of that name are another program's */
async function readVersion(client: PostgresClient, schema: string): Promise<number> {
  const { rows } = await client.query({
    // Not to_regclass: what that knows may be from before we had the lock.
    text: `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname IN ('meta', 'writers')`,
    values: [schema],
    rowMode: 'array',
  });
  const tables = (rows as [string][]).map(([name]) => name);
  if (!tables.includes('meta')) return 0;
  if (!tables.includes('writers')) {
    const message = 'has a table meta that is not of Holdfast';
    throw new ConfigError([{ path: 'schema', message }], { hint: 'Give Holdfast a schema of its own.' });
  }
  const found = await client.query({
    text: `SELECT schema_version FROM ${quoteName(schema)}.meta`,
    rowMode: 'array',
  });
  const version = (found.rows[0] as [number])[0];
  if (version > SCHEMA_VERSION) throw new NewerSchemaError(version, SCHEMA_VERSION);
  return version;
}

/**
 * Where the server was started since the last commit, or the data comes from one that counts its transactions from
 * further ahead, positions go on from beyond all that were given out.
 */
export async function beginEpoch(database: Database, schema: string): Promise<void> {
  const name = quoteName(schema);
  const [standby] = await database.query<[boolean]>('SELECT pg_is_in_recovery()');
  if (standby![0]) return;
  const [begun] = await database.query<[boolean]>(
    `SELECT EXISTS (SELECT FROM ${name}.epoch e WHERE e.server_start = pg_postmaster_start_time())
       AND greatest(
         m.trimmed_position, (SELECT max(j.position) FROM ${name}.journal j),
         (SELECT max(b.position) FROM ${name}.batches b)
       ) < pg_snapshot_xmax(pg_current_snapshot())::text::bigint + m.shift
     FROM ${name}.meta m`,
  );
  if (!begun![0]) await database.query(`SELECT ${name}.begin_epoch()`);
}
