import type { TextHit, TextMatches, TextQuery } from '../../core/store.ts';
import { TextScores } from '../shared/texts.ts';
import { bigintArray, booleanArray, intArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import { quoteName } from './schema.ts';
import { base64Of, findNearest, type Pgvector } from './vectors.ts';

type BlockRow = [docs: string, orders: string, found: string];
type TextRow = [
  doc: string,
  tenant: string,
  type: string,
  partition: string,
  id: string,
  value: string,
  vectors: string | null,
];

/** The documents of a place by their primary keys, and where the terms are that were asked for. */
interface Place {
  readonly orders: ReadonlyMap<number, number>;
  readonly holders: ReadonlyMap<string, readonly number[]>;
}

interface Candidate {
  readonly doc: number;
  readonly score: number;
  readonly order: number;
}

/** Searches: one round trip for where the terms are, and one for the documents that turn out to be the best. */
export class Texts {
  readonly #database: Database;
  readonly #schema: string;
  readonly #pgvector: Pgvector | undefined;

  constructor(database: Database, schema: string, pgvector: Pgvector | undefined) {
    this.#database = database;
    this.#schema = quoteName(schema);
    this.#pgvector = pgvector;
  }

  async searchText(query: TextQuery): Promise<TextMatches> {
    const { terms, limit, near } = query;
    const [{ orders, holders }, nearest] = await Promise.all([
      this.#findTerms(query),
      this.#findNearest(query),
    ]);
    const scores = new TextScores<number>(orders.size);
    for (const term of terms) scores.add(holders.get(term) ?? []);
    const best = candidatesOf(orders, scores, limit);
    const rows = await this.#getTexts(best, nearest, limit, near?.model);
    const hits = rows.map((row) => toHit(row, scores, orders));
    return { documents: orders.size, counts: scores.counts, hits };
  }

  async #findTerms({ tenant, collection, within, terms }: TextQuery): Promise<Place> {
    const place =
      'scope' in within ? [null, null, within.scope] : [within.partition.type, within.partition.id, null];
    const rows = await this.#database.call<BlockRow>(
      `SELECT * FROM ${this.#schema}.find_terms($1, $2, $3, $4, $5, $6)`,
      [tenant, ...place, collection, textArray(terms)],
    );
    const orders = new Map<number, number>();
    const holders = new Map<string, number[]>(terms.map((term) => [term, []]));
    for (const row of rows) readBlock(row, orders, holders);
    return { orders, holders };
  }

  async #findNearest(query: TextQuery): Promise<number[]> {
    if (!query.near || !this.#pgvector) return [];
    return findNearest(this.#database, this.#pgvector, this.#schema, query);
  }

  /** The best, in order, and then those that are only near. */
  async #getTexts(
    best: readonly Candidate[],
    nearest: readonly number[],
    limit: number,
    model: string | undefined,
  ): Promise<TextRow[]> {
    const ranks = ranksOf(best);
    for (const doc of nearest) if (!ranks.has(doc)) ranks.set(doc, ranks.size + best.length);
    if (ranks.size === 0) return [];
    const docs = [...ranks.keys()];
    const near = new Set(nearest);
    return this.#database.call<TextRow>(`SELECT * FROM ${this.#schema}.get_texts($1, $2, $3, $4, $5)`, [
      bigintArray(docs),
      intArray([...ranks.values()]),
      booleanArray(docs.map((doc) => near.has(doc))),
      limit,
      model ?? null,
    ]);
  }
}

/** Reads a block: what stands at a term's positions, counted from 1, are its documents; null is one that went. */
function readBlock(
  [docs, orders, found]: BlockRow,
  all: Map<number, number>,
  holders: Map<string, number[]>,
): void {
  const there = JSON.parse(docs) as (number | null)[];
  const places = JSON.parse(orders) as number[];
  for (const [i, doc] of there.entries()) if (doc !== null) all.set(doc, places[i]!);
  for (const [, term, positions] of found.matchAll(/'(\w+)':([\dA,]+)/g)) {
    const holding = holders.get(term!)!;
    for (const position of positions!.split(',')) holding.push(there[Number.parseInt(position, 10) - 1]!);
  }
}

/** Those that may be among the best: by their scores, then by their orders, all that tie with the last one included. */
function candidatesOf(
  orders: ReadonlyMap<number, number>,
  scores: TextScores<number>,
  limit: number,
): Candidate[] {
  if (limit === 0) return [];
  const matched = scores.contenders(limit);
  const others = matched.length < limit ? [...orders.keys()].filter((doc) => !scores.has(doc)) : [];
  const sorted = [...matched, ...others]
    .map((doc): Candidate => ({ doc, score: scores.of(doc), order: orders.get(doc)! }))
    .sort(compare);
  const last = sorted[limit - 1];
  return last ? sorted.filter((candidate) => compare(candidate, last) <= 0) : sorted;
}

/** The place of each candidate; those that only their names tell apart have the same. */
function ranksOf(sorted: readonly Candidate[]): Map<number, number> {
  const ranks = new Map<number, number>();
  let rank = 0;
  for (const [i, candidate] of sorted.entries()) {
    if (i > 0 && compare(sorted[i - 1]!, candidate) !== 0) rank = i;
    ranks.set(candidate.doc, rank);
  }
  return ranks;
}

function compare(a: Candidate, b: Candidate): number {
  return b.score - a.score || b.order - a.order;
}

function toHit(
  [pk, tenant, type, partition, id, value, vectors]: TextRow,
  scores: TextScores<number>,
  orders: ReadonlyMap<number, number>,
): TextHit {
  const doc = Number(pk);
  const given = vectors === null ? undefined : (JSON.parse(vectors) as [string, string][]);
  return {
    partition: { tenant, type, id: partition },
    id,
    order: orders.get(doc)!,
    score: scores.of(doc),
    value,
    ...(given && { vectors: given.map(([key, numbers]) => ({ key, values: base64Of(numbers) })) }),
  };
}
