import { UnsupportedError } from '../../core/errors.ts';
import type { Operation } from '../../core/store.ts';
import type { Database, Statement } from './database.ts';
import { keysOf } from './text-keys.ts';
import { Terms } from './text-terms.ts';
import { Vectors } from './text-vectors.ts';

interface TextRow {
  pk: number;
  place: number;
  terms: string;
}

/** Text documents, with the index of their terms and with their vectors. */
export class Texts {
  readonly terms: Terms;
  readonly vectors: Vectors;
  readonly #find: Statement;
  readonly #inCollection: Statement;
  readonly #inPartition: Statement;
  readonly #lastKey: Statement;
  readonly #freeKey: Statement;
  readonly #add: Statement;
  readonly #replace: Statement;
  readonly #delete: Statement;
  readonly #findPlace: Statement;
  readonly #addPlace: Statement;
  readonly #deletePlace: Statement;

  constructor(db: Database) {
    this.terms = new Terms(db);
    this.vectors = new Vectors(db);
    const row = 'SELECT pk, place, terms FROM texts WHERE partition = ?';
    this.#find = db.prepare(`${row} AND collection = ? AND id = ?`);
    this.#inCollection = db.prepare(`${row} AND collection = ?`);
    this.#inPartition = db.prepare(row);
    this.#lastKey = db.prepare('SELECT max(pk) FROM texts WHERE pk BETWEEN ? AND ?').pluck();
    this.#freeKey = db
      .prepare(
        `SELECT pk - 1 FROM texts t WHERE pk > ? AND pk <= ?
         AND NOT EXISTS (SELECT 1 FROM texts WHERE pk = t.pk - 1) LIMIT 1`,
      )
      .pluck();
    this.#add = db.prepare('INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#replace = db.prepare('UPDATE texts SET place = ?, position = ?, terms = ?, value = ? WHERE pk = ?');
    this.#delete = db.prepare('DELETE FROM texts WHERE pk = ?');
    this.#findPlace = db
      .prepare('SELECT pk FROM text_places WHERE tenant = ? AND collection = ? AND scope = ?')
      .pluck();
    this.#addPlace = db
      .prepare('INSERT INTO text_places (tenant, collection, scope) VALUES (?, ?, ?) RETURNING pk')
      .pluck();
    this.#deletePlace = db.prepare(
      'DELETE FROM text_places WHERE pk = @pk AND NOT EXISTS (SELECT 1 FROM texts WHERE place = @pk)',
    );
  }

  index(partition: number, tenant: string, operation: Operation & { op: 'index' }): void {
    const { collection, id, scope, terms, value, order } = operation;
    const place = this.#place(tenant, collection, scope);
    const before = this.#find.get(partition, collection, id) as TextRow | undefined;
    if (!before) {
      const pk = this.#newKey(partition);
      this.#add.run(pk, partition, collection, id, place, order, terms.join(' '), value);
      this.terms.add(pk, place, terms);
      return;
    }
    this.#replace.run(place, order, terms.join(' '), value, before.pk);
    this.#replaceTerms(before, place, terms);
    if (before.place !== place) this.#deletePlace.run({ pk: before.place });
  }

  /** @returns how many went */
  unindex(partition: number, { collection, id }: Operation & { op: 'unindex' }): number {
    const gone = (
      id === undefined
        ? this.#inCollection.all(partition, collection)
        : this.#find.all(partition, collection, id)
    ) as TextRow[];
    this.#remove(gone);
    return gone.length;
  }

  /** Removes all of a partition that is dropped. */
  drop(partition: number): void {
    this.#remove(this.#inPartition.all(partition) as TextRow[]);
  }

  embed(partition: number, { collection, id, model, vectors }: Operation & { op: 'embed' }): void {
    const text = this.#find.get(partition, collection, id) as TextRow | undefined;
    if (text) this.vectors.set(text.pk, model, vectors);
  }

  /** Touches only what has changed: a text that has grown has a few terms more, and all that it had. */
  #replaceTerms(
    { pk, place: oldPlace, terms: text }: TextRow,
    place: number,
    terms: readonly string[],
  ): void {
    const old = listOf(text);
    if (place !== oldPlace) {
      this.terms.remove(pk, oldPlace, old);
      this.terms.add(pk, place, terms);
      return;
    }
    const [had, has] = [new Set(old), new Set(terms)];
    const gone = old.filter((term) => !has.has(term));
    const come = terms.filter((term) => !had.has(term));
    if (gone.length > 0) this.terms.remove(pk, place, gone);
    if (gone.length > 0 || come.length > 0) this.terms.add(pk, place, come);
  }

  #remove(texts: readonly TextRow[]): void {
    for (const { pk, place, terms } of texts) {
      this.terms.remove(pk, place, listOf(terms));
      this.vectors.remove(pk);
      this.#delete.run(pk);
    }
    for (const pk of new Set(texts.map(({ place }) => place))) this.#deletePlace.run({ pk });
  }

  #place(tenant: string, collection: string, scope: string): number {
    const found = this.#findPlace.get(tenant, collection, scope) as number | undefined;
    return found ?? (this.#addPlace.get(tenant, collection, scope) as number);
  }

  #newKey(partition: number): number {
    const { from, to } = keysOf(partition);
    const last = this.#lastKey.get(from, to) as number | null;
    if (last === null) return from;
    if (last < to) return last + 1;
    // The keys are used up: one that is free again.
    const free = this.#freeKey.get(from, to) as number | undefined;
    if (free !== undefined) return free;
    throw new UnsupportedError(`a partition can't have more than ${to - from + 1} text documents`);
  }
}

function listOf(terms: string): string[] {
  return terms === '' ? [] : terms.split(' ');
}
