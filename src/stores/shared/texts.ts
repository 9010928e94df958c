/** What full-text indexes have in common: which of the documents that hold some of a query's terms are the best. */
import type { Partition, TextHit } from '../../core/store.ts';
import { compareBytes, partitionKey } from './pages.ts';

/**
 * Adds up what documents hold of a query's terms. `K` is what a store calls a document by.
 * Give it each term's documents with {@link add}, in the query's order: all stores then come to the same sums.
 */
export class TextScores<K> {
  readonly counts: number[] = [];
  readonly #documents: number;
  readonly #scores = new Map<K, number>();

  /** @param documents how many there are in the place that is searched */
  constructor(documents: number) {
    this.#documents = documents;
  }

  /** Takes all documents of the place that hold the next term. */
  add(keys: readonly K[]): void {
    this.counts.push(keys.length);
    const idf = Math.log(1 + (this.#documents - keys.length + 0.5) / (keys.length + 0.5));
    for (const key of keys) this.#scores.set(key, (this.#scores.get(key) ?? 0) + idf);
  }

  has(key: K): boolean {
    return this.#scores.has(key);
  }

  of(key: K): number {
    return this.#scores.get(key) ?? 0;
  }

  /** The documents that may be among the best: those, and all that tie with the last of them. */
  contenders(limit: number): K[] {
    if (limit === 0) return [];
    if (this.#scores.size <= limit) return [...this.#scores.keys()];
    const least = Float64Array.from(this.#scores.values()).sort().at(-limit)!;
    const found: K[] = [];
    for (const [key, score] of this.#scores) if (score >= least) found.push(key);
    return found;
  }
}

type Ranked = Pick<TextHit, 'id' | 'order' | 'score'> & { readonly partition: Partition };

/** The order of hits: the best first, of equals the newest, then by partition and id. */
export function compareHits(a: Ranked, b: Ranked): number {
  return (
    b.score - a.score ||
    b.order - a.order ||
    compareBytes(partitionKey(a.partition), partitionKey(b.partition)) ||
    compareBytes(a.id, b.id)
  );
}

/** A vector as the port passes it, as numbers. */
export function numbersOf(values: string): Float32Array {
  const bytes = Buffer.from(values, 'base64');
  const numbers = new Float32Array(bytes.length >> 2);
  for (let i = 0; i < numbers.length; i++) numbers[i] = bytes.readFloatLE(i * 4);
  return numbers;
}

/** The cosine of the angle between two vectors; 0 where they can't be compared. */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return 0;
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
