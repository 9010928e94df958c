import type { Database, Statement } from './database.ts';

/** A snapshot is shared by reads for so long at most, for callers that never give the event loop a turn. */
const MAX_AGE_MS = 1;

/**
 * A read transaction that is shared by all reads of one turn of the event loop. Taking a snapshot costs more than most
 * reads; a window does several in a row. This process's own writes end it, so it always reads what it wrote; what
 * other processes commit is seen from the next turn on, which is before anybody could have been told of it here.
 */
export class Snapshot {
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #refresh: () => void;
  #open = false;
  #since = 0;
  #end: NodeJS.Immediate | undefined;

  /** @param refresh takes in what others committed, at the beginning of each snapshot */
  constructor(db: Database, refresh: () => void) {
    this.#begin = db.prepare('BEGIN');
    this.#commit = db.prepare('COMMIT');
    this.#refresh = refresh;
  }

  /** To be called before each read. */
  enter(): void {
    const now = performance.now();
    if (this.#open && now - this.#since < MAX_AGE_MS) return;
    this.leave();
    this.#begin.run();
    this.#open = true;
    this.#since = now;
    this.#end ??= setImmediate(() => {
      this.#end = undefined;
      this.leave();
    });
    this.#refresh();
  }

  /** To be called before a write, and before the file is closed. */
  leave(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#commit.run();
  }
}
