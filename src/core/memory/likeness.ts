/**
 * Whether two memories say the same. Texts are compared by their shingles: the terms of the text (stems without stop
 * words) and each two that follow each other. What may be alike is found by MinHash with banding (Broder, "On the
 * resemblance and containment of documents", 1997; Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", ch. 3),
 * so that not every pair is looked at; what is found is then compared exactly.
 */
import { termsOf } from '../search/terms.ts';

const HASHES = 16;
/** Bands by which a twin is found when a memory is written: each needs three equal hashes. */
const WRITE_BANDS = 5;
const WRITE_ROWS = 3;
/** Bands of two, by which less alike ones are found when memories are consolidated. */
const CLOSE_ROWS = 2;
/** The same terms, nearly in the same order. */
const TWIN = 0.75;

const negation =
  /\b(?:no|not|never|none|nor|neither|without|cannot|except|unless|only|hardly|former|formerly|stopped)\b|n['’]t\b/gi;

export interface Sketch {
  /** Distinct. */
  readonly terms: ReadonlySet<string>;
  readonly shingles: ReadonlySet<string>;
}

/** What a text is compared by. */
export function sketchOf(content: string): Sketch {
  const found = termsOf(content);
  // Of a text of stop words, or of no letters at all, the text itself is what is left.
  const sequence = found.length > 0 ? found : [content.normalize('NFKC').trim().toLowerCase()];
  const pairs = sequence.slice(1).map((term, i) => `${sequence[i]} ${term}`);
  // Stop words for searching, but not here.
  const denied = [...content.matchAll(negation)].map(([word]) =>
    /['’]t$|^cannot$/i.test(word) ? '!not' : `!${word.toLowerCase()}`,
  );
  const terms = new Set([...sequence, ...denied]);
  return { terms, shingles: new Set([...terms, ...pairs]) };
}

/** Jaccard's similarity of the shingles, 0 to 1. */
export function similarity(one: Sketch, other: Sketch): number {
  let shared = 0;
  for (const shingle of one.shingles) if (other.shingles.has(shingle)) shared++;
  return shared / (one.shingles.size + other.shingles.size - shared);
}

/** Whether two texts are the same, but for stop words, inflections and a turned around beginning. */
export function isTwin(one: Sketch, other: Sketch): boolean {
  return one.terms.size === other.terms.size && isWithin(one, other) && similarity(one, other) >= TWIN;
}

/**
 * Whether a text says all that the other says, and is so much like it that one of them will do. Texts that each have a
 * word of their own may contradict each other, and a number or a negation more is another statement.
 */
export function covers(long: Sketch, short: Sketch, least: number): boolean {
  if (!isWithin(short, long) || similarity(short, long) < least) return false;
  return [...long.terms].every((term) => short.terms.has(term) || !/^!|\d/.test(term));
}

/** Names of the bands of a text: two that are alike have most likely one in common. */
export function writeBands(sketch: Sketch): string[] {
  return bandsOf(signatureOf(sketch), WRITE_ROWS).slice(0, WRITE_BANDS);
}

/** The same, for texts that are less alike. */
export function closeBands(sketch: Sketch): string[] {
  return bandsOf(signatureOf(sketch), CLOSE_ROWS);
}

function isWithin(one: Sketch, other: Sketch): boolean {
  for (const term of one.terms) if (!other.terms.has(term)) return false;
  return true;
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

function bandsOf(signature: Uint32Array, rows: number): string[] {
  const bands: string[] = [];
  for (let start = 0; start + rows <= signature.length; start += rows) {
    const band = signature.subarray(start, start + rows);
    bands.push(`${start / rows}:${[...band].map((hash) => hash.toString(36)).join('.')}`);
  }
  return bands;
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
