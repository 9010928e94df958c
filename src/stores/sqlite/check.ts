import { existsSync } from 'node:fs';
import { StoreCorruptError } from '../../core/errors.ts';
import { LOCK_SPIN_MS, translate } from './database.ts';

/**
 * Checks every page of a file, whatever its size, through a read-only connection. Nothing else runs meanwhile: a
 * gigabyte takes seconds.
 * @param path of a file that is there
 * @throws StoreCorruptError when it is damaged, StoreUnavailableError when it can't be read
 */
export async function checkWholeFile(path: string): Promise<void> {
  const { default: Sqlite } = await import('better-sqlite3');
  await leavingNoTraces(path, async () => {
    try {
      const db = new Sqlite(path, { readonly: true, timeout: LOCK_SPIN_MS });
      try {
        const found = String(db.pragma('quick_check(1)', { simple: true }));
        if (found !== 'ok') throw damaged(path, found.split('\n').at(-1)!);
      } finally {
        db.close();
      }
    } catch (error) {
      throw translate(error, path);
    }
  });
}

/**
 * Runs a body that reads a file, and takes away the `-wal` and `-shm` files that its read-only connections left. SQLite
 * itself does it when the last connection that may write closes: so nothing is taken from another process.
 */
export async function leavingNoTraces<T>(path: string, body: () => Promise<T>): Promise<T> {
  const hadNone = !hasSideFiles(path);
  try {
    return await body();
  } finally {
    if (hadNone && hasSideFiles(path)) await openAndClose(path);
  }
}

function hasSideFiles(path: string): boolean {
  return existsSync(`${path}-wal`) || existsSync(`${path}-shm`);
}

/** A log that is empty leaves the file itself as it is, a damaged one too. */
async function openAndClose(path: string): Promise<void> {
  const { default: Sqlite } = await import('better-sqlite3');
  try {
    const db = new Sqlite(path, { fileMustExist: true, timeout: LOCK_SPIN_MS });
    try {
      // The log is looked for at the first read.
      db.pragma('schema_version');
    } finally {
      db.close();
    }
  } catch {
    // What was found out about the file matters more than what is left beside it.
  }
}

function damaged(path: string, what: string): StoreCorruptError {
  return new StoreCorruptError(`the SQLite file ${path} is damaged: ${what}`, {
    hint: 'Nothing was changed. Restore a backup, or save what is left with `sqlite3 FILE .recover`.',
  });
}
