/** What a text is found by: its words, without those that say nothing, each as its stem. */
import { stemmer } from '@orama/stemmers/english';
import { stopwords } from '@orama/stopwords/english';
import { irregular } from './irregular.ts';

/** Of a longer text, what lies beyond is not searchable: a log file of megabytes is no message to be found by a word. */
const TEXT_LIMIT = 65_536;
const TERM_LIMIT = 64;
const MEMO_LIMIT = 50_000;
/** Words that are one without a joint: `src/core`, `ERR_CONN`, `don't`. */
const asciiTokens = /[a-z0-9]+(?:[-_'./:\\@#]+[a-z0-9]+)*/gi;
const tokens = /[\p{L}\p{N}\p{M}]+(?:[-_'./:\\@#]+[\p{L}\p{N}\p{M}]+)*/gu;
/** Scripts that put no spaces between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
/** A joint that contractions don't have. */
const identifier = /[-_./:\\@#]/;
/** `userId` → user, Id; `HTTPServer` → HTTP, Server. */
const humps = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;
const contractions = new Set(['s', 't', 'm', 'd', 're', 've', 'll']);

/** Letters that Unicode does not take apart, as people write them who have no key for them. */
const letters = new Map(Object.entries({ ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd' }));

const stops = new Set([...stopwords, 'a', 'ain', 'cannot', 'us'].map((word) => word.replaceAll("'", '')));
const stems = new Map<string, string>();
const memo = new Map<string, readonly string[]>();
let segmenter: Intl.Segmenter | undefined;

/**
 * The terms of a text, in its order, repeated as they are: lower-case stems (Porter2 for words of a–z) without stop
 * words. Identifiers, paths and numbers give their pieces and the whole: `src/core/engine.ts`, `ERR_CONN_42`, `userId`.
 * Each is `[a-z0-9]{1,64}`; what other scripts write is encoded. Only the first 65,536 characters count.
 */
export function termsOf(text: string): string[] {
  const found: string[] = [];
  for (const token of tokensOf(text)) for (const term of termsOfToken(token)) found.push(term);
  return found;
}

/** The lower-case words of a text, stop words among them: what questions are read by. */
export function wordsOf(text: string): string[] {
  return tokensOf(text).flatMap((token) =>
    token
      .toLowerCase()
      .replace(/'s$/, '')
      .split(/[-_'./:\\@#]+/)
      .filter(Boolean),
  );
}

/** The term of one lower-case word. */
export function termOf(word: string): string {
  if (word.length > TERM_LIMIT) return encode(word);
  let term = stems.get(word);
  if (term === undefined) {
    const plain = irregular.get(word) ?? word;
    term = encode(/^[a-z]+$/.test(plain) ? stemmer(plain) : plain);
    if (stems.size >= MEMO_LIMIT) stems.clear();
    stems.set(word, term);
  }
  return term;
}

/** Whether a lower-case word says too little to be a term. */
export function isStopWord(word: string): boolean {
  return stops.has(word.replaceAll("'", ''));
}

function tokensOf(text: string): string[] {
  const plain = (text.length > TEXT_LIMIT ? text.slice(0, TEXT_LIMIT) : text).replace(/[’ʼ]/g, "'");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(plain)) return plain.match(asciiTokens) ?? [];
  // Accents go; what else was taken apart (Hangul, kana) is put together again.
  const folded = plain
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]+/g, '')
    .replace(/[ßẞæÆœŒøØłŁđĐ](?=(\p{Ll})?)/gu, spelled)
    .normalize('NFC');
  return (folded.match(tokens) ?? []).flatMap((token) => (unspaced.test(token) ? segments(token) : token));
}

/** @param small what follows a capital of a word that is not in capitals: `Œuvre` is no `OEuvre`, which would be two words */
function spelled(letter: string, small: string | undefined): string {
  const plain = letters.get(letter.toLowerCase())!;
  if (letter === letter.toLowerCase()) return plain;
  return small ? plain[0]!.toUpperCase() + plain.slice(1) : plain.toUpperCase();
}

function segments(token: string): string[] {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'word' });
  return [...segmenter.segment(token)].filter((one) => one.isWordLike).map((one) => one.segment);
}

function termsOfToken(token: string): readonly string[] {
  // What is as long is no word that comes again, and a memo of such would not be bounded.
  if (token.length > TERM_LIMIT) return analyseToken(token);
  let terms = memo.get(token);
  if (!terms) {
    terms = analyseToken(token);
    if (memo.size >= MEMO_LIMIT) memo.clear();
    memo.set(token, terms);
  }
  return terms;
}

function analyseToken(token: string): string[] {
  if (token.includes("'") && stops.has(token.replaceAll("'", '').toLowerCase())) return [];
  const pieces = token.split(/[-_'./:\\@#]+/);
  // The tail of a contraction is no word: Ann's, they'll.
  if (pieces.length > 1 && token.includes("'") && contractions.has(pieces.at(-1)!.toLowerCase()))
    pieces.pop();
  const words = pieces.flatMap((piece) =>
    piece.length <= TERM_LIMIT && humps.test(piece) ? piece.split(humps) : [piece],
  );
  const terms = words
    .map((word) => word.toLowerCase())
    .filter((word) => !stops.has(word))
    .map(termOf);
  const joined = words.length > 1 && (pieces.length === 1 || identifier.test(token));
  return joined ? [...terms, encode(words.join('').toLowerCase())] : terms;
}

/** Stores take only `[a-z0-9]{1,64}`. Other letters leave as `u` and the hex of their UTF-8; what is too long ends in a hash. */
function encode(word: string): string {
  const plain = /^[a-z0-9]+$/.test(word) ? word : `u${Buffer.from(word).toString('hex')}`;
  return plain.length <= TERM_LIMIT ? plain : plain.slice(0, TERM_LIMIT - 14) + hash(plain);
}

/** FNV-1a, twice 32 bits: 14 characters. */
function hash(text: string): string {
  let one = 0x811c9dc5;
  let two = 0x01000193;
  for (let index = 0; index < text.length; index++) {
    one = Math.imul(one ^ text.charCodeAt(index), 0x01000193);
    two = Math.imul(two ^ text.charCodeAt(index), 0x85ebca6b);
  }
  return (one >>> 0).toString(36).padStart(7, '0') + (two >>> 0).toString(36).padStart(7, '0');
}
