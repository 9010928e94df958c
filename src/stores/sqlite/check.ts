import { existsSync } from 'node:fs';
import { damaged, LOCK_SPIN_MS, removeEmptyLog, translate } from './database.ts';

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
    if (hadNone && hasSideFiles(path)) {
      const { default: Sqlite } = await import('better-sqlite3');
      removeEmptyLog(Sqlite, path);
    }
  }
}

function hasSideFiles(path: string): boolean {
  return existsSync(`${path}-wal`) || existsSync(`${path}-shm`);
}
