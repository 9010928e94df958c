import type { TextVector } from '../../core/store.ts';
import type { Database, Statement } from './database.ts';

/** Vectors of texts, beside them. */
export class Vectors {
  readonly #add: Statement;
  readonly #ofModel: Statement;
  readonly #delete: Statement;
  readonly #deleteModel: Statement;

  constructor(db: Database) {
    this.#add = db.prepare('INSERT INTO text_vectors (text, model, key, vector) VALUES (?, ?, ?, ?)');
    this.#ofModel = db.prepare(
      'SELECT key, vector FROM text_vectors WHERE text = ? AND model = ? ORDER BY pk',
    );
    this.#delete = db.prepare('DELETE FROM text_vectors WHERE text = ?');
    this.#deleteModel = db.prepare('DELETE FROM text_vectors WHERE text = ? AND model = ?');
  }

  /** Gives a text its vectors of a model, in place of those it had. */
  set(text: number, model: string, vectors: readonly TextVector[]): void {
    this.#deleteModel.run(text, model);
    for (const { key, values } of vectors) this.#add.run(text, model, key, bytesOf(values));
  }

  /** Removes a text's vectors of all models. */
  remove(text: number): void {
    this.#delete.run(text);
  }

  /** A text's vectors of a model; undefined where it has none. */
  of(text: number, model: string): TextVector[] | undefined {
    const rows = this.#ofModel.all(text, model) as { key: string; vector: Buffer }[];
    if (rows.length === 0) return undefined;
    return rows.map(({ key, vector }) => ({ key, values: vector.toString('base64') }));
  }
}

export function bytesOf(values: string): Buffer {
  return Buffer.from(values, 'base64');
}
