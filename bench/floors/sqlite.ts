import Sqlite from 'better-sqlite3';

/** What a message's row is without any engine: its session, its place, and its text. */
export class RawTable {
  readonly #db: Sqlite.Database;
  readonly #insert: Sqlite.Statement;
  readonly #sessions: readonly string[];
  readonly #seqs: number[];

  constructor(path: string, durability: 'full' | 'normal', sessions: readonly string[]) {
    this.#sessions = sessions;
    this.#seqs = sessions.map(() => 0);
    this.#db = new Sqlite(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma(`synchronous = ${durability}`);
    this.#db.exec(
      'CREATE TABLE messages (id INTEGER PRIMARY KEY, session TEXT, seq INTEGER, message TEXT) STRICT',
    );
    this.#insert = this.#db.prepare('INSERT INTO messages (session, seq, message) VALUES (?, ?, ?)');
  }

  /** Inserts `count` rows of this text, `together` of them in each transaction. */
  insert(message: string, count: number, together: number): void {
    const begin = this.#db.prepare('BEGIN IMMEDIATE');
    const commit = this.#db.prepare('COMMIT');
    for (let i = 0; i < count; i += together) {
      begin.run();
      for (let j = i; j < i + together; j++) {
        const session = j % this.#sessions.length;
        this.#seqs[session]! += 1;
        this.#insert.run(this.#sessions[session], this.#seqs[session], message);
      }
      commit.run();
    }
  }

  close(): void {
    this.#db.close();
  }
}
