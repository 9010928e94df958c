import Sqlite from 'better-sqlite3';

/** What anybody gets from SQLite in an afternoon: a full-text index of one conversation, stemmed, in the order of bm25. */
export class BareIndex {
  readonly #db: Sqlite.Database;
  readonly #search: Sqlite.Statement;

  constructor(path: string, texts: readonly string[]) {
    this.#db = new Sqlite(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.exec("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'porter')");
    const insert = this.#db.prepare('INSERT INTO texts (rowid, text) VALUES (?, ?)');
    this.#db.transaction(() => {
      for (const [i, text] of texts.entries()) insert.run(i, text);
    })();
    this.#search = this.#db.prepare(
      'SELECT rowid, text FROM texts WHERE texts MATCH ? ORDER BY bm25(texts) LIMIT ?',
    );
  }

  /** Places in `texts`, the best first: those that hold any word of the question. */
  search(question: string, limit: number): number[] {
    const words = question.match(/[\p{L}\p{N}]+/gu) ?? [];
    const rows = this.#search.all(words.map((word) => `"${word}"`).join(' OR '), limit);
    return (rows as { rowid: number }[]).map(({ rowid }) => rowid);
  }

  close(): void {
    this.#db.close();
  }
}
