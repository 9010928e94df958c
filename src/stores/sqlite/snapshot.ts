import type { Database, Statement } from './database.ts';

/** A snapshot is shared by reads for so long at most, for callers that never give the event loop a turn. */
const MAX_AGE_MS = 1;

/**
 * A read transaction that is shared by reads that follow one another without the event loop getting a turn. Taking a
 * snapshot costs more than most reads, and a window does several in a row. It is over when no promise is left to settle.
 * Writes begin a turn of the event loop, whichever store of the process makes them: none is open then, and what was
 * acknowledged to anybody is what the next snapshot shows.
 */
export class Snapshot {
  readonly #db: Database;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #refresh: () => void;
  readonly #failed: (error: unknown) => void;
  #open = false;
  #since = 0;
  #ending = false;

  /**
   * @param refresh takes in what others committed, at the beginning of each snapshot
   * @param failed hears of an error at a snapshot's end, which concerns no read: all were done
   */
  constructor(db: Database, refresh: () => void, failed: (error: unknown) => void) {
    this.#db = db;
    this.#begin = db.prepare('BEGIN');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#refresh = refresh;
    this.#failed = failed;
  }

  /** To be called before each read. */
  enter(): void {
    const now = performance.now();
    if (this.#open && now - this.#since < MAX_AGE_MS) return;
    this.leave();
    this.#begin.run();
    this.#open = true;
    this.#since = now;
    this.#endSoon();
    try {
      this.#refresh();
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** To be called before a write, and before the file is closed. Never throws: nobody stands by at the end of a turn. */
  leave(): void {
    if (!this.#open) return;
    this.#open = false;
    // A read that failed badly has ended the transaction by itself.
    if (!this.#db.inTransaction) return;
    try {
      this.#commit.run();
    } catch (error) {
      this.#failed(error);
      this.#abandon();
    }
  }

  #abandon(): void {
    try {
      if (this.#db.inTransaction) this.#rollback.run();
    } catch (error) {
      this.#failed(error);
    }
  }

  #endSoon(): void {
    if (this.#ending) return;
    this.#ending = true;
    // Runs when the queue of settled promises is empty, before the event loop goes on.
    process.nextTick(() => {
      this.#ending = false;
      this.leave();
    });
  }
}
