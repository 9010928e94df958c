import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { isHoldfastError, StoreCorruptError, StoreUnavailableError } from '../../core/errors.ts';
import { checkSchema, migrate } from './schema.ts';

/** Pages that are kept at hand, in KiB. A search reads some hundred, and SQLite's own two megabytes hold few more. */
const CACHE_KIB = 32 * 1024;

export type Database = BetterSqlite3.Database;
export type Statement = BetterSqlite3.Statement;

/** `full`: an acknowledged write survives a power cut. `normal`: it survives the process, not always a power cut. */
export const DURABILITIES = ['full', 'normal'] as const;
export type Durability = (typeof DURABILITIES)[number];

/** Files up to this size are checked page by page at open; larger ones as they are read. */
const QUICK_CHECK_BYTES = 32 * 1024 * 1024;
/** How long SQLite itself waits for a lock before we wait without blocking the event loop. */
export const LOCK_SPIN_MS = 20;

/** Opens or makes the file, checks it before anything is written to it, and brings the schema up to date. */
export async function openDatabase(
  path: string,
  durability: Durability,
  lockTimeoutMs: number,
): Promise<Database> {
  const { default: Sqlite } = await import('better-sqlite3');
  try {
    await mkdir(dirname(path), { recursive: true });
    return await retryBusy(() => {
      if (existsSync(path) && statSync(path).size > 0) inspect(Sqlite, path);
      const db = new Sqlite(path, { timeout: LOCK_SPIN_MS });
      try {
        db.pragma('journal_mode = WAL');
        db.pragma(`cache_size = -${CACHE_KIB}`);
        db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`);
        migrate(db);
        return db;
      } catch (error) {
        db.close();
        throw error;
      }
    }, lockTimeoutMs);
  } catch (error) {
    throw translate(error, path);
  }
}

/**
 * Tries again for as long as another process holds the lock that is needed. SQLite's own waiting blocks the event loop:
 * it waits for a moment only, the rest of the time is waited here. Each attempt has a turn of the event loop to itself,
 * so no shared snapshot (snapshot.ts) is open when it writes.
 */
export async function retryBusy<T>(body: () => T, timeoutMs: number): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let waitMs = 0; ; waitMs = 1 + Math.random() * 4) {
    try {
      return await inOwnTurn(body, waitMs);
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
    }
  }
}

function inOwnTurn<T>(body: () => T, waitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const run = () => {
      try {
        resolve(body());
      } catch (error) {
        reject(error);
      }
    };
    if (waitMs === 0) setImmediate(run);
    else setTimeout(run, waitMs);
  });
}

/** Looks at an existing file through a read-only connection: a damaged one is left exactly as it is. */
function inspect(Sqlite: typeof BetterSqlite3, path: string): void {
  checkHeader(path);
  const hadLog = existsSync(`${path}-wal`);
  try {
    inspectPages(Sqlite, path);
  } catch (error) {
    if (!hadLog && existsSync(`${path}-wal`)) removeEmptyLog(Sqlite, path);
    throw error;
  }
}

/**
 * A connection that only reads leaves an empty `-wal` and its `-shm` behind. The last one to close that may write takes
 * them away under SQLite's own lock, so nothing is taken from another process; the file is not written to.
 */
export function removeEmptyLog(Sqlite: typeof BetterSqlite3, path: string): void {
  try {
    if (hasWrites(path)) return;
    const db = new Sqlite(path, { fileMustExist: true, timeout: LOCK_SPIN_MS });
    try {
      // The log is looked for at the first read.
      db.pragma('schema_version');
    } finally {
      db.close();
    }
  } catch {
    // Why the file was refused matters more than what is left beside it.
  }
}

/** Whether there is a write-ahead log with something in it. */
function hasWrites(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/**
 * Closes a damaged file without a checkpoint: the last connection to be closed would make one, unless it only reads.
 * What is in the `-wal` file stays there.
 */
export async function closeUntouched(db: Database, path: string): Promise<void> {
  const { default: Sqlite } = await import('better-sqlite3');
  let reader: Database | undefined;
  try {
    reader = new Sqlite(path, { readonly: true, timeout: LOCK_SPIN_MS });
    // It counts from its first read on.
    reader.pragma('schema_version');
  } catch {
    // A file so damaged that it can't be opened can't be checkpointed either.
  } finally {
    db.close();
    reader?.close();
  }
}

function inspectPages(Sqlite: typeof BetterSqlite3, path: string): void {
  const db = new Sqlite(path, { readonly: true, timeout: LOCK_SPIN_MS });
  try {
    checkSchema(db);
    if (statSync(path).size > QUICK_CHECK_BYTES) return;
    const found = db.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok') throw damaged(path, String(found).split('\n').at(-1)!);
  } finally {
    db.close();
  }
}

/** The header says how many pages there are: https://www.sqlite.org/fileformat2.html#the_database_header */
function checkHeader(path: string): void {
  // With writes in a log beside it, the file may legitimately lag behind its header. Looked for before and after, as
  // another process may be done with its log, or begin one, any moment.
  const hadWrites = hasWrites(path);
  const header = Buffer.alloc(100);
  const file = openSync(path, 'r');
  const read = readSync(file, header, 0, 100, 0);
  closeSync(file);
  if (read < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    throw damaged(path, 'it has no SQLite header');
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  const expected = header.readUInt32BE(28) * pageSize;
  const current = header.readUInt32BE(24) === header.readUInt32BE(92);
  const { size } = statSync(path);
  if (current && size < expected && !hadWrites && !hasWrites(path)) {
    throw damaged(path, `it is cut off: ${size} of ${expected} bytes are there`);
  }
}

export function damaged(path: string, what: string): StoreCorruptError {
  return new StoreCorruptError(`the SQLite file ${path} is damaged: ${what}`, {
    hint: 'Nothing was changed. Restore a backup, or save what is left with `sqlite3 FILE .recover`.',
  });
}

/** SQLite's errors in the family's words. Errors that are ours already pass through. */
export function translate(error: unknown, path: string): Error {
  if (isHoldfastError(error)) return error;
  const code = String((error as { code?: unknown }).code ?? '');
  const message = error instanceof Error ? error.message : String(error);
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new StoreCorruptError(`the SQLite file ${path} is damaged: ${message}`, {
      cause: error,
      hint: 'Restore a backup.',
    });
  }
  return new StoreUnavailableError(`SQLite can't use ${path}: ${message}${code && ` (${code})`}`, {
    cause: error,
    hint: hints[code] ?? 'Check that the folder exists, is writable, and has space left.',
  });
}

const hints: Record<string, string> = {
  SQLITE_FULL: 'The disk is full: free some space. Nothing of the failed write is kept.',
  SQLITE_BUSY: 'Another process holds the write lock for very long; raise lockTimeoutMs or look for it.',
  SQLITE_READONLY: 'The file or its folder is read-only.',
};

/** Whether the error only says that another process is writing just now. */
export function isBusy(error: unknown): boolean {
  return String((error as { code?: unknown }).code ?? '').startsWith('SQLITE_BUSY');
}
