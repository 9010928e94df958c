import type { Database, Statement } from './database.ts';
import type { KeyRange } from './text-keys.ts';

/**
 * Which texts hold a term: an FTS5 table that keeps nothing but that. Its rows are never read and need not be whole: some
 * terms of a text may come or go without the others, which makes the texts that logs end with cheap to index again.
 */
export class Terms {
  readonly #add: Statement;
  readonly #remove: Statement;
  readonly #holders: Statement;

  constructor(db: Database) {
    // Numbers beyond 32 bits are bound as floating point, which is no key to FTS5.
    this.#add = db.prepare('INSERT INTO text_terms (rowid, terms) VALUES (CAST(? AS INTEGER), ?)');
    this.#remove = db.prepare(
      "INSERT INTO text_terms (text_terms, rowid, terms) VALUES ('delete', CAST(? AS INTEGER), ?)",
    );
    this.#holders = db
      .prepare(
        `SELECT rowid FROM text_terms
         WHERE text_terms MATCH ? AND rowid BETWEEN CAST(? AS INTEGER) AND CAST(? AS INTEGER)`,
      )
      .pluck();
  }

  /** Takes in terms that the text does not have in that place. To be called once at least for every text. */
  add(text: number, place: number, terms: readonly string[]): void {
    this.#add.run(text, prefixed(place, terms));
  }

  /**
   * Takes out terms that the text has in that place. When it keeps others, {@link add} must follow: FTS5 counts
   * additions and removals, and takes more of these for damage.
   */
  remove(text: number, place: number, terms: readonly string[]): void {
    this.#remove.run(text, prefixed(place, terms));
  }

  /** The texts in that range that hold a term in any of these places. */
  holders(places: readonly number[], term: string, { from, to }: KeyRange): number[] {
    if (places.length === 0) return [];
    const match = places.map((place) => `"${place}_${term}"`).join(' OR ');
    return this.#holders.all(match, from, to) as number[];
  }
}

function prefixed(place: number, terms: readonly string[]): string {
  return terms.map((term) => `${place}_${term}`).join(' ');
}
