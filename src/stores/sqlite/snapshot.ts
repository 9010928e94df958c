import type { Database, Statement } from './database.ts';

/** A snapshot is shared by reads for so long at most, for callers that never give the event loop a turn. */
const MAX_AGE_MS = 1;

/** Transactions that any store of this process has committed: what was acknowledged here, every store here reads. */
let written = 0;

/**
 * A read transaction that is shared by all reads of one turn of the event loop. Taking a snapshot costs more than most
 * reads; a window does several in a row. A write of this process, through whichever store, ends it; what other processes
 * commit is seen from the next turn on, which is before anybody could have been told of it here.
 */
export class Snapshot {
  readonly #db: Database;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #refresh: () => void;
  #open = false;
  #since = 0;
  #written = 0;
  #end: NodeJS.Immediate | undefined;

  /** @param refresh takes in what others committed, at the beginning of each snapshot */
  constructor(db: Database, refresh: () => void) {
    this.#db = db;
    this.#begin = db.prepare('BEGIN');
    this.#commit = db.prepare('COMMIT');
    this.#refresh = refresh;
  }

  /** To be called before each read. */
  enter(): void {
    const now = performance.now();
    if (this.#open && this.#written === written && now - this.#since < MAX_AGE_MS) return;
    this.leave();
    this.#begin.run();
    this.#open = true;
    this.#since = now;
    this.#written = written;
    this.#end ??= setImmediate(() => {
      this.#end = undefined;
      this.leave();
    });
    try {
      this.#refresh();
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** To be called before a write, and before the file is closed. */
  leave(): void {
    if (!this.#open) return;
    this.#open = false;
    // A read that failed badly has ended the transaction by itself.
    if (this.#db.inTransaction) this.#commit.run();
  }

  /** To be called after a write was committed. */
  noteWrite(): void {
    written++;
  }
}
