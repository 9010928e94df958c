import { existsSync, statSync } from 'node:fs';
import { leavingNoTraces } from './check.ts';
import { LOCK_SPIN_MS, translate } from './database.ts';
import { checkSchema, migrationsFrom } from './schema.ts';
import { SqliteStore } from './store.ts';

/** Where a file's schema is, and the SQL that brings it up to date, a text for each step. */
export interface FileMigration {
  version: number;
  statements: readonly string[];
}

/**
 * Brings a file's schema up to date, making the file where there is none.
 * @param options.dryRun only tell what would be run
 * @throws StoreCorruptError, NewerSchemaError, StoreUnavailableError
 */
export async function migrateFile(path: string, options: { dryRun: boolean }): Promise<FileMigration> {
  const isThere = existsSync(path) && statSync(path).size > 0;
  const version = isThere ? await leavingNoTraces(path, () => readVersion(path)) : 0;
  const statements = migrationsFrom(version);
  if (statements.length > 0 && !options.dryRun) await (await SqliteStore.open(path)).close();
  return { version, statements };
}

async function readVersion(path: string): Promise<number> {
  const { default: Sqlite } = await import('better-sqlite3');
  try {
    const db = new Sqlite(path, { readonly: true, timeout: LOCK_SPIN_MS });
    try {
      checkSchema(db);
      return db.pragma('user_version', { simple: true }) as number;
    } finally {
      db.close();
    }
  } catch (error) {
    throw translate(error, path);
  }
}
