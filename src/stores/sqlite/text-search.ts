import type { Partition, TextHit, TextMatches, TextQuery } from '../../core/store.ts';
import { compareHits, TextScores } from '../shared/texts.ts';
import type { Database, Statement } from './database.ts';
import { ALL_KEYS, type KeyRange, keysOf } from './text-keys.ts';
import { Terms } from './text-terms.ts';

/** Where a search looks: texts of these places, in that range of keys. */
interface Region {
  readonly documents: number;
  readonly places: readonly number[];
  readonly keys: KeyRange;
  /** The condition on `texts t`, and what it asks for. */
  readonly where: string;
  readonly values: readonly (string | number)[];
}

/** A text without its value. */
interface Found {
  pk: number;
  partition: Partition;
  id: string;
  order: number;
  score: number;
}

type FoundRow = [pk: number, id: string, order: number, tenant: string, type: string, partition: string];

const READ = 't.pk, t.id, t.position, p.tenant, p.type, p.id';

/** Finds text documents by their terms. */
export class TextSearch {
  readonly #terms: Terms;
  readonly #place: Statement;
  readonly #countInPlace: Statement;
  readonly #placesInPartition: Statement;
  readonly #rows: Statement;
  readonly #value: Statement;
  readonly #newest: Readonly<Record<string, Statement>>;

  constructor(db: Database) {
    this.#terms = new Terms(db);
    this.#place = db
      .prepare('SELECT pk FROM text_places WHERE tenant = ? AND collection = ? AND scope = ?')
      .pluck();
    this.#countInPlace = db.prepare('SELECT count(*) FROM texts WHERE place = ?').pluck();
    this.#placesInPartition = db
      .prepare('SELECT place, count(*) FROM texts WHERE partition = ? AND collection = ? GROUP BY place')
      .raw();
    const joined = 'JOIN partitions p ON p.pk = t.partition';
    this.#rows = db
      .prepare(`SELECT ${READ} FROM json_each(?) j JOIN texts t ON t.pk = j.value ${joined}`)
      .raw();
    this.#value = db.prepare('SELECT value FROM texts WHERE pk = ?').pluck();
    const newest = (where: string) =>
      db
        .prepare(
          `SELECT ${READ} FROM texts t ${joined} WHERE ${where}
           ORDER BY t.position DESC, p.type, p.id, t.id LIMIT ?`,
        )
        .raw();
    this.#newest = { [IN_PLACE]: newest(IN_PLACE), [IN_PARTITION]: newest(IN_PARTITION) };
  }

  /** @param partition the key of the partition that is searched, undefined where it is not there or a scope is */
  search(query: TextQuery, partition: number | undefined): TextMatches {
    const region = this.#region(query, partition);
    const scores = new TextScores<number>(region.documents);
    for (const term of query.terms) scores.add(this.#terms.holders(region.places, term, region.keys));
    const hits = this.#best(scores, query.limit);
    if (hits.length < query.limit)
      hits.push(...this.#others(region, scores, query.limit, query.limit - hits.length));
    return {
      documents: region.documents,
      counts: scores.counts,
      hits: hits.map((hit) => this.#toHit(hit)),
    };
  }

  #region({ tenant, collection, within }: TextQuery, partition: number | undefined): Region {
    if ('scope' in within) {
      const place = this.#place.get(tenant, collection, within.scope) as number | undefined;
      if (place === undefined) return NOWHERE;
      const documents = this.#countInPlace.get(place) as number;
      return { documents, places: [place], keys: ALL_KEYS, where: IN_PLACE, values: [place] };
    }
    if (partition === undefined) return NOWHERE;
    const rows = this.#placesInPartition.all(partition, collection) as [number, number][];
    const documents = rows.reduce((sum, [, count]) => sum + count, 0);
    const places = rows.map(([place]) => place);
    const values = [partition, collection];
    return { documents, places, keys: keysOf(partition), where: IN_PARTITION, values };
  }

  /** The best of those that hold any of the terms. */
  #best(scores: TextScores<number>, limit: number): Found[] {
    const rows = this.#rows.all(JSON.stringify(scores.contenders(limit))) as FoundRow[];
    return rows
      .map((row) => toFound(row, scores.of(row[0])))
      .sort(compareHits)
      .slice(0, limit);
  }

  /** The newest that hold none of the terms, for the room that is left. */
  #others({ where, values }: Region, scores: TextScores<number>, limit: number, room: number): Found[] {
    // Fewer than the limit hold some: among so many of the newest there are enough that don't.
    const rows = (this.#newest[where]?.all(...values, limit) ?? []) as FoundRow[];
    return rows
      .filter(([pk]) => !scores.has(pk))
      .slice(0, room)
      .map((row) => toFound(row, 0));
  }

  #toHit({ pk, ...hit }: Found): TextHit {
    return { ...hit, value: this.#value.get(pk) as string };
  }
}

const IN_PLACE = 't.place = ?';
const IN_PARTITION = 't.partition = ? AND t.collection = ?';
const NOWHERE: Region = { documents: 0, places: [], keys: ALL_KEYS, where: '', values: [] };

function toFound([pk, id, order, tenant, type, partition]: FoundRow, score: number): Found {
  return { pk, partition: { tenant, type, id: partition }, id, order, score };
}
