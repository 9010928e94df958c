import Sqlite from 'better-sqlite3';

/** The messages of many users in one full-text index that keeps no texts: a user is found by a term or by rows. */
export class BareScopedIndex {
  readonly #db: Sqlite.Database;
  readonly #insert: Sqlite.Statement;
  readonly #byTerm: Sqlite.Statement;
  readonly #byRows: Sqlite.Statement;
  readonly #perUser: number;

  constructor(path: string, perUser: number) {
    this.#perUser = perUser;
    this.#db = new Sqlite(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = normal');
    this.#db.exec("CREATE VIRTUAL TABLE texts USING fts5(user, text, content = '', tokenize = 'porter')");
    this.#insert = this.#db.prepare('INSERT INTO texts (rowid, user, text) VALUES (?, ?, ?)');
    this.#byTerm = this.#db
      .prepare('SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts) LIMIT ?')
      .pluck();
    this.#byRows = this.#db
      .prepare('SELECT rowid FROM texts WHERE texts MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?')
      .pluck();
  }

  /** All messages of a user, in one transaction. */
  add(user: number, texts: readonly string[]): void {
    this.#db.transaction(() => {
      for (const [i, text] of texts.entries())
        this.#insert.run(user * this.#perUser + i, `user${user}`, text);
    })();
  }

  /** The user is a term of the query, and bm25 gives the order. */
  searchByTerm(user: number, words: readonly string[], limit: number): number[] {
    return this.#byTerm.all(`user : user${user} AND text : (${words.join(' OR ')})`, limit) as number[];
  }

  /** The user is a range of rows; there is no order. */
  searchByRows(user: number, words: readonly string[], limit: number): number[] {
    const first = user * this.#perUser;
    const rows = this.#byRows.all(words.join(' OR '), first, first + this.#perUser - 1, limit);
    return rows as number[];
  }

  close(): void {
    this.#db.close();
  }
}
