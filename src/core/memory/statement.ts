/**
 * What a text states: its words, in their order. Unlike the terms of a search they keep what turns a statement round:
 * before and after, his and her, may and must, was and is, −5 and 5, C and C++.
 */
import { isStopWord } from '../search/terms.ts';

export type Statement = readonly string[];

/** In a longer text than a sentence clauses are not looked for. */
const MAX_TURNED = 64;
const articles = new Set(['a', 'an', 'the']);
/** What a clause begins with that may stand in front of the rest or behind it, and says the same. */
const openers = new Set(
  'in on at by to for from with since until during before after when whenever while if because as'.split(' '),
);
/** No stop words, and yet a statement with one of them is another one than without. */
const turning = new Set(
  'never none neither without except unless hardly barely almost nearly maybe perhaps possibly former formerly stopped quit against ex'.split(
    ' ',
  ),
);
const opening = /^['"“”‘«‹„([{¿¡*_]+/u;
const closing = /(?<!['"“”’»›)\]}.,;:!?…。、，！？；：」』*_])['"“”’»›)\]}.,;:!?…。、，！？；：」』*_]+$/u;

/** The lower-case words of a text without articles, plurals and the punctuation at their ends. */
export function statementOf(text: string): Statement {
  const plain = text
    .replace(/[’ʼ]/g, "'")
    // A power is no digit more.
    .replace(/[²³¹⁰-⁹]+/gu, '^$&')
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\bcan(?:not|'t)\b/g, 'can not')
    .replace(/\bwon't\b/g, 'will not')
    .replace(/(?<=\p{L})n't(?![\p{L}\p{N}])/gu, ' not');
  const words = plain.split(/\s+/u).map((word) => word.replace(opening, '').replace(closing, ''));
  const left = words.filter((word) => word !== '' && !articles.has(word)).map(singular);
  // Of a text of no words at all the text itself is what is left.
  return left.length > 0 ? left : [plain.trim()];
}

/** Whether two texts state the same: word by word, but for a clause that stands in front of one and behind the other. */
export function isSame(one: Statement, other: Statement): boolean {
  if (one.length !== other.length) return false;
  return (
    isEqual(one, other) ||
    turnsOf(one).some((turned) => isEqual(turned, other)) ||
    turnsOf(other).some((turned) => isEqual(turned, one))
  );
}

/**
 * Whether a text states what the other one states, in its order, and besides only words that add to it: no number, no
 * negation, nothing that says when, whose or how sure.
 */
export function includes(long: Statement, short: Statement): boolean {
  return [long, ...turnsOf(long)].some((turned) => {
    const more = without(turned, short);
    return more?.every(addsOnly) ?? false;
  });
}

/** With each clause at its beginning put behind it. */
function turnsOf(words: Statement): Statement[] {
  if (words.length > MAX_TURNED || !openers.has(words[0]!)) return [];
  const turns: Statement[] = [];
  for (let i = 2; i < words.length - 1; i++) turns.push([...words.slice(i), ...words.slice(0, i)]);
  return turns;
}

/** The words that a text has more than another one; undefined where it does not have all of that one's in their order. */
function without(long: Statement, short: Statement): string[] | undefined {
  const more: string[] = [];
  let at = 0;
  for (const word of long) {
    if (word === short[at]) at++;
    else more.push(word);
  }
  return at === short.length ? more : undefined;
}

function addsOnly(word: string): boolean {
  return /^\p{L}[\p{L}\p{M}'-]*$/u.test(word) && !isStopWord(word) && !turning.has(word);
}

function isEqual(one: Statement, other: Statement): boolean {
  return one.every((word, i) => word === other[i]);
}

/** The one inflection that changes nothing: a tense or a comparative does. */
function singular(word: string): string {
  if (!/^[a-z]{4,}$/.test(word)) return word;
  return word.replace(/ies$/, 'y').replace(/(?<![suio])s$/, '');
}
