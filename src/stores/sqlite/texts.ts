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

/**
 * Text documents, with the index of their terms and with their vectors.
 *
 * Taking a text's terms out of the index costs milliseconds, so a text that goes is set aside first: its place is negated.
 * Nothing finds or counts it from then on; its row keeps its terms, and its key from being given again, until
 * {@link clear} gets to it. One that comes back before, under the same id, takes its row again.
 */
export class Texts {
  readonly terms: Terms;
  readonly vectors: Vectors;
  readonly #find: Statement;
  readonly #setAside: Readonly<Record<'one' | 'collection' | 'partition', Statement>>;
  readonly #anyAside: Statement;
  readonly #countAside: Statement;
  readonly #nextAside: Statement;
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
    const row = 'SELECT pk, place, terms FROM texts';
    this.#find = db.prepare(`${row} WHERE partition = ? AND collection = ? AND id = ?`);
    const setAside = 'UPDATE texts SET place = -place WHERE place > 0 AND partition = ?';
    this.#setAside = {
      one: db.prepare(`${setAside} AND collection = ? AND id = ?`),
      collection: db.prepare(`${setAside} AND collection = ?`),
      partition: db.prepare(setAside),
    };
    this.#anyAside = db.prepare('SELECT EXISTS (SELECT 1 FROM texts WHERE place < 0)').pluck();
    this.#countAside = db.prepare('SELECT count(*) FROM texts WHERE place < 0').pluck();
    this.#nextAside = db.prepare(`${row} WHERE place < 0 ORDER BY place, position LIMIT ?`);
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
      'DELETE FROM text_places WHERE pk = @pk AND NOT EXISTS (SELECT 1 FROM texts WHERE place IN (@pk, -@pk))',
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
    // One that was set aside has no vectors any more.
    if (before.place < 0) this.vectors.remove(before.pk);
    this.#replace.run(place, order, terms.join(' '), value, before.pk);
    this.#replaceTerms(before, place, terms);
    const placeBefore = Math.abs(before.place);
    if (placeBefore !== place) this.#deletePlace.run({ pk: placeBefore });
  }

  /** @returns how many went */
  unindex(partition: number, { collection, id }: Operation & { op: 'unindex' }): number {
    const { changes } =
      id === undefined
        ? this.#setAside.collection.run(partition, collection)
        : this.#setAside.one.run(partition, collection, id);
    return changes;
  }

  /** Removes all of a partition that is dropped. */
  drop(partition: number): void {
    this.#setAside.partition.run(partition);
  }

  /** Whether any texts are set aside. */
  get hasAside(): boolean {
    return this.#anyAside.get() === 1;
  }

  /** How many texts are set aside. */
  countAside(): number {
    return this.#countAside.get() as number;
  }

  /**
   * Removes texts that were set aside, with their terms and vectors.
   * @returns whether there were any
   */
  clear(limit: number): boolean {
    const gone = this.#nextAside.all(limit) as TextRow[];
    for (const { pk, place, terms } of gone) {
      this.terms.remove(pk, -place, listOf(terms));
      this.vectors.remove(pk);
      this.#delete.run(pk);
    }
    for (const place of new Set(gone.map((text) => text.place))) this.#deletePlace.run({ pk: -place });
    return gone.length > 0;
  }

  embed(partition: number, { collection, id, model, vectors }: Operation & { op: 'embed' }): void {
    const text = this.#find.get(partition, collection, id) as TextRow | undefined;
    if (text && text.place > 0) this.vectors.set(text.pk, model, vectors);
  }

  /** Touches only what has changed: a text that has grown has a few terms more, and all that it had. */
  #replaceTerms(
    { pk, place: placeBefore, terms: text }: TextRow,
    place: number,
    terms: readonly string[],
  ): void {
    const old = listOf(text);
    const oldPlace = Math.abs(placeBefore);
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
