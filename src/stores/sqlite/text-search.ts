import type { Partition, TextHit, TextMatches, TextQuery } from '../../core/store.ts';
import { compareHits, TextScores } from '../shared/texts.ts';
import type { Database, Statement } from './database.ts';
import { ALL_KEYS, type KeyRange, keysOf } from './text-keys.ts';
import type { Terms } from './text-terms.ts';
import { bytesOf, type Vectors } from './text-vectors.ts';
import type { Texts } from './texts.ts';

type Near = NonNullable<TextQuery['near']>;

/** Where a search looks. */
interface Region {
  readonly documents: number;
  /** What terms are prefixed with there, and the texts' keys. */
  readonly places: readonly number[];
  readonly keys: KeyRange;
  /** The texts' condition, with what it asks for. */
  readonly where: keyof typeof CONDITIONS;
  readonly values: Readonly<Record<string, string | number>>;
}

const CONDITIONS = {
  place: 't.place = @place',
  partition: 't.partition = @partition AND t.collection = @collection AND t.place > 0',
} as const;
/** Of the texts that are set aside there (texts.ts). */
const ASIDE = {
  place: 't.place = -@place',
  partition: 't.partition = @partition AND t.collection = @collection AND t.place < 0',
} as const;
const NOWHERE: Region = { documents: 0, places: [], keys: ALL_KEYS, where: 'place', values: { place: 0 } };

/** A text without its value. */
interface Found {
  readonly pk: number;
  readonly partition: Partition;
  readonly id: string;
  readonly order: number;
  readonly score: number;
}

type FoundRow = [
  pk: number,
  id: string,
  order: number,
  tenant: string,
  type: string,
  partition: string,
  rank: number | null,
];

/** What is read of a text; `rank` is null for one without vectors. */
const READ = 't.pk, t.id, t.position, p.tenant, p.type, p.id';
const WITH_PARTITION = 'JOIN partitions p ON p.pk = t.partition';
/** The best of a text's vectors; 0 for one that can't be compared. */
const COSINE = `(
  SELECT max(coalesce(
    CASE WHEN length(v.vector) = length(@asked) AND length(@asked) % 4 = 0
         THEN 1 - vec_distance_cosine(v.vector, @asked) END, 0))
  FROM text_vectors v WHERE v.text = t.pk AND v.model = @model)`;

/** Finds texts by their terms, and by their vectors where SQLite has functions for these. */
export class TextSearch {
  readonly #terms: Terms;
  readonly #vectors: Vectors;
  readonly #place: Statement;
  readonly #countInPlace: Statement;
  readonly #placesInPartition: Statement;
  readonly #rows: Statement;
  readonly #value: Statement;
  readonly #aside: Readonly<Record<Region['where'], Statement>>;
  readonly #newest: Readonly<Record<Region['where'], Statement>>;
  readonly #nearest: Readonly<Record<Region['where'], Statement>> | undefined;

  /** @param comparesVectors whether the functions of vector-functions.ts are loaded */
  constructor(db: Database, { terms, vectors }: Texts, comparesVectors: boolean) {
    this.#terms = terms;
    this.#vectors = vectors;
    this.#place = db
      .prepare('SELECT pk FROM text_places WHERE tenant = ? AND collection = ? AND scope = ?')
      .pluck();
    this.#countInPlace = db.prepare('SELECT count(*) FROM texts WHERE place = ?').pluck();
    this.#placesInPartition = db
      .prepare(
        `SELECT place, count(*) FROM texts
         WHERE partition = ? AND collection = ? AND place > 0 GROUP BY place`,
      )
      .raw();
    this.#rows = db
      .prepare(`SELECT ${READ}, 0 FROM json_each(?) j JOIN texts t ON t.pk = j.value ${WITH_PARTITION}`)
      .raw();
    this.#value = db.prepare('SELECT value FROM texts WHERE pk = ?').pluck();
    this.#aside = {
      place: db.prepare(`SELECT pk FROM texts t WHERE ${ASIDE.place}`).pluck(),
      partition: db.prepare(`SELECT pk FROM texts t WHERE ${ASIDE.partition}`).pluck(),
    };
    this.#newest = inEither(db, '0', 't.position DESC,');
    this.#nearest = comparesVectors ? inEither(db, COSINE, 'rank DESC, t.position DESC,') : undefined;
  }

  /** @param partition the key of the partition that is searched; undefined where it is not there, or a scope is */
  search(query: TextQuery, partition: number | undefined): TextMatches {
    const { terms, limit, near } = query;
    const region = this.#region(query, partition);
    const scores = new TextScores<number>(region.documents);
    const holders = this.#holdersIn(region);
    for (const term of terms) scores.add(holders(term));
    const hits = this.#best(scores, limit);
    if (hits.length < limit) hits.push(...this.#others(region, scores, limit, limit - hits.length));
    if (near) hits.push(...this.#near(region, near, limit, hits));
    return {
      documents: region.documents,
      counts: scores.counts,
      hits: hits.map((hit) => this.#toHit(hit, scores, near)),
    };
  }

  #region({ tenant, collection, within }: TextQuery, partition: number | undefined): Region {
    if ('scope' in within) {
      const place = this.#place.get(tenant, collection, within.scope) as number | undefined;
      if (place === undefined) return NOWHERE;
      const documents = this.#countInPlace.get(place) as number;
      return { documents, places: [place], keys: ALL_KEYS, where: 'place', values: { place } };
    }
    if (partition === undefined) return NOWHERE;
    const rows = this.#placesInPartition.all(partition, collection) as [number, number][];
    const documents = rows.reduce((sum, [, count]) => sum + count, 0);
    const places = rows.map(([place]) => place);
    const values = { partition, collection };
    return { documents, places, keys: keysOf(partition), where: 'partition', values };
  }

  /** How to find the texts that hold a term, without those that the index has not been cleared of yet. */
  #holdersIn({ places, keys, where, values }: Region): (term: string) => number[] {
    const holders = (term: string) => this.#terms.holders(places, term, keys);
    const aside = this.#aside[where].all(values) as number[];
    if (aside.length === 0) return holders;
    const gone = new Set(aside);
    return (term) => holders(term).filter((text) => !gone.has(text));
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
    const rows = this.#newest[where].all({ ...values, limit }) as FoundRow[];
    return rows
      .filter(([pk]) => !scores.has(pk))
      .slice(0, room)
      .map((row) => toFound(row, 0));
  }

  /** The nearest that are not among those found already. */
  #near({ where, values }: Region, near: Near, limit: number, found: readonly Found[]): Found[] {
    if (!this.#nearest) return [];
    const asked = { asked: bytesOf(near.values), model: near.model };
    const rows = this.#nearest[where].all({ ...values, ...asked, limit }) as FoundRow[];
    const known = new Set(found.map(({ pk }) => pk));
    return rows.filter((row) => row[6] !== null && !known.has(row[0])).map((row) => toFound(row, 0));
  }

  #toHit({ pk, ...hit }: Found, scores: TextScores<number>, near: Near | undefined): TextHit {
    const vectors = near && this.#vectors.of(pk, near.model);
    const value = this.#value.get(pk) as string;
    return { ...hit, score: scores.of(pk), value, ...(vectors && { vectors }) };
  }
}

/** A statement for either way of telling texts of a region: the first ones, by what is worked out of each. */
function inEither(db: Database, rank: string, order: string): Record<Region['where'], Statement> {
  const statement = (where: string) =>
    db
      .prepare(
        `SELECT ${READ}, ${rank} AS rank FROM texts t ${WITH_PARTITION} WHERE ${where}
         ORDER BY ${order} p.type, p.id, t.id LIMIT @limit`,
      )
      .raw();
  return { place: statement(CONDITIONS.place), partition: statement(CONDITIONS.partition) };
}

function toFound([pk, id, order, tenant, type, partition]: FoundRow, score: number): Found {
  return { pk, partition: { tenant, type, id: partition }, id, order, score };
}
