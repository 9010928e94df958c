/**
 * Whether two memories say the same, and how much alike they are. The latter is told by their shingles: the terms of the
 * text (stems without stop words) and each two that follow each other. What may be alike is found by MinHash with banding
 * (Broder, "On the resemblance and containment of documents", 1997; Leskovec, Rajaraman & Ullman, "Mining of Massive
 * Datasets", ch. 3), so that not every pair is looked at; what is found is then compared exactly, word by word.
 */
import { createHash } from 'node:crypto';
import { termsOf } from '../search/terms.ts';
import { includes, isSame, type Statement, statementOf } from './statement.ts';

const HASHES = 16;
/** Each band needs two equal hashes. */
const ROWS = 2;

export interface Sketch {
  readonly statement: Statement;
  /** Distinct. */
  readonly terms: ReadonlySet<string>;
  readonly shingles: ReadonlySet<string>;
}

/** What a text is compared by. */
export function sketchOf(content: string): Sketch {
  const statement = statementOf(content);
  const found = termsOf(content);
  // Of a text of stop words, or of no letters at all, there are no terms.
  const sequence = found.length > 0 ? found : statement;
  const pairs = sequence.slice(1).map((term, i) => `${sequence[i]} ${term}`);
  const terms = new Set(sequence);
  return { statement, terms, shingles: new Set([...terms, ...pairs]) };
}

/** Jaccard's similarity of the shingles, 0 to 1. */
export function similarity(one: Sketch, other: Sketch): number {
  let shared = 0;
  for (const shingle of one.shingles) if (other.shingles.has(shingle)) shared++;
  return shared / (one.shingles.size + other.shingles.size - shared);
}

/** Whether two texts are the same, but for articles, plurals, punctuation and a clause that was turned around. */
export function isTwin(one: Sketch, other: Sketch): boolean {
  return isSame(one.statement, other.statement);
}

/** Whether a text says all that the other says, and is so much like it that one of them will do. */
export function covers(long: Sketch, short: Sketch, least: number): boolean {
  // Of most pairs the first term tells.
  for (const term of short.terms) if (!long.terms.has(term)) return false;
  return similarity(short, long) >= least && includes(long.statement, short.statement);
}

/** A name that a text has in common with all its twins: of its words, in whatever order. */
export function twinName({ statement }: Sketch): string {
  const words = JSON.stringify([...statement].sort());
  return createHash('sha256').update(words).digest('base64url').slice(0, 22);
}

/** Names of the bands of a text: two that are alike have most likely one in common. */
export function bandsOf(sketch: Sketch): string[] {
  const signature = signatureOf(sketch);
  const bands: string[] = [];
  for (let start = 0; start + ROWS <= signature.length; start += ROWS) {
    const band = signature.subarray(start, start + ROWS);
    bands.push(`${start / ROWS}:${[...band].map((hash) => hash.toString(36)).join('.')}`);
  }
  return bands;
}

/** The least hash of all shingles, by each of 16 hash functions. */
function signatureOf({ shingles }: Sketch): Uint32Array {
  const least = new Uint32Array(HASHES).fill(0xffffffff);
  for (const shingle of shingles) {
    const base = fnv(shingle);
    for (let i = 0; i < HASHES; i++) {
      const hash = mixed(base ^ Math.imul(i + 1, 0x9e3779b9));
      if (hash < least[i]!) least[i] = hash;
    }
  }
  return least;
}

/** FNV-1a (Fowler, Noll & Vo). */
function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** The finalizer of MurmurHash3 (Appleby): close numbers become far ones. */
function mixed(number: number): number {
  let hash = number;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
