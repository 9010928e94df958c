import type { Database } from './database.ts';

/** Whether SQLite can compare vectors, and in words why, or why not. */
export interface VectorFunctions {
  readonly loaded: boolean;
  readonly fact: string;
}

/** Loads the functions of the package sqlite-vec, where it is installed. Nothing in the file depends on them. */
export async function loadVectorFunctions(db: Database): Promise<VectorFunctions> {
  try {
    const { load } = await import('sqlite-vec');
    load(db);
    const version = db.prepare('SELECT vec_version()').pluck().get() as string;
    return { loaded: true, fact: `sqlite-vec ${version}` };
  } catch (error) {
    // It may be there without the library for this platform, which is a package of its own.
    const missing = (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';
    return {
      loaded: false,
      fact: missing ? 'sqlite-vec is not installed' : "sqlite-vec can't be loaded here",
    };
  }
}
