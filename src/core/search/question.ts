/** What a query asks for, beyond the words it holds. */

import type { Speaker } from './stretch.ts';
import { isStopWord, termOf, termsOf, wordsOf } from './terms.ts';

/** Words of a question that its answer does not repeat. */
const asking = termSet(
  'who whom whose what when where which why how kind type sort many much likely often would could might may',
);
/** Words that tell of an answer without being in it. */
const vague = termSet(
  `various different certain specific particular main multiple several general current currently recent recently
  thing way lot new first one two time good great like really another`,
);
const months = 'january february march april may june july august september october november december'.split(
  ' ',
);
const wantsTime = /\b(?:when|how long|(?:what|which) (?:date|day|time|month|year|week))\b/i;
const wantsNumber = /\bhow (?:many|much|long|old|often)\b/i;

/** The roles, and what people call them. */
const roles: readonly (readonly [role: string, pattern: RegExp])[] = [
  ['tool', /\b(?:(?:which|what|the|a) tools?|tool (?:call|result|output)s?)\b/i],
  ['assistant', /\b(?:the|an?) (?:assistant|agent|bot|model)\b|\b(?:did|have|were|had) you\b|\byour?\b/i],
  ['system', /\bsystem (?:prompt|message|instructions?)\b/i],
  ['user', /\b(?:the|an?) (?:user|customer|human|client)\b|\b(?:I|my|me|mine|I'm|I've|I'd)\b/],
];

export interface Question {
  /** Distinct terms to look for. */
  readonly terms: readonly string[];
  /** Those among them that tell of an answer without being in it: they count less. */
  readonly vague: ReadonlySet<string>;
  /** Its words, lower-case: names of speakers are looked for in them. */
  readonly words: readonly string[];
  /** The role that it speaks of, where it names one. */
  readonly role?: string;
  readonly wantsTime: boolean;
  readonly wantsNumber: boolean;
  /** The date it names, as far as it does: month 0 to 11. */
  readonly date: { readonly year?: number; readonly month?: number; readonly day?: number };
}

/** Reads a query. */
export function readQuestion(text: string): Question {
  const all = [...new Set(termsOf(text))];
  const telling = all.filter((term) => !asking.has(term));
  const role = roleOf(text);
  return {
    // A query of nothing but question words looks for these.
    terms: telling.length > 0 ? telling : all,
    vague,
    words: wordsOf(text),
    ...(role === undefined ? {} : { role }),
    wantsTime: wantsTime.test(text),
    wantsNumber: wantsNumber.test(text),
    date: dateOf(text),
  };
}

/** Of the speakers that are there, those that a question names: `Mel` names Melanie. */
export function namedIn({ words }: Question, names: readonly string[]): string[] {
  return names.filter((name) => {
    const parts = wordsOf(name);
    return words.some((word) => parts.some((part) => isNameFor(word, part)));
  });
}

/** The terms of a question that are names of speakers, in full or shortened. */
export function nameTerms({ words }: Question, names: readonly string[]): ReadonlySet<string> {
  const parts = names.flatMap(wordsOf);
  return new Set(words.filter((word) => parts.some((part) => isNameFor(word, part))).map(termOf));
}

/** A word means a name that it is, or that begins with it: from three letters on. */
function isNameFor(word: string, name: string): boolean {
  return word === name || (word.length >= 3 && name.startsWith(word) && !isStopWord(word));
}

/** Whether a speaker is who the question asks about; `names` as {@link namedIn} found them. */
export function isAskedFor(question: Question, names: readonly string[], speaker: Speaker): boolean {
  if (names.length > 0) return names.length === 1 && speaker.name === names[0];
  return question.role !== undefined && question.role === speaker.role;
}

function roleOf(text: string): string | undefined {
  return roles.find(([, pattern]) => pattern.test(text))?.[0];
}

function dateOf(text: string): Question['date'] {
  const lower = text.toLowerCase();
  const month = months.findIndex(
    (name) => new RegExp(`\\b${name}\\b`).test(lower) && (name !== 'may' || /\bMay\b/.test(text)),
  );
  const day = month < 0 ? undefined : /\b(\d{1,2})(?:st|nd|rd|th)?\b/.exec(lower)?.[1];
  const year = /\b(?:19|20)\d\d\b/.exec(lower)?.[0];
  return {
    ...(year === undefined ? {} : { year: Number(year) }),
    ...(month < 0 ? {} : { month }),
    ...(day === undefined ? {} : { day: Number(day) }),
  };
}

function termSet(words: string): ReadonlySet<string> {
  return new Set(words.split(/\s+/).map(termOf));
}
