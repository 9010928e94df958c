/** What a query asks for, beyond the words it holds. */

import { dateOf, type NamedDate, type Period, periodOf } from './dates.ts';
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
const wantsTime = /\b(?:when|how long|(?:what|which) (?:date|day|time|month|year|week))\b/i;
const wantsNumber = /\bhow (?:many|much|long|old|often)\b/i;

/** The roles, and what people call them. */
const roles: readonly (readonly [role: string, pattern: RegExp])[] = [
  ['tool', /\b(?:(?:which|what|the) tools?|tool (?:call|result|output)s?)\b/i],
  [
    'assistant',
    /\b(?:the|an?) (?:assistant|agent|bot|model)\b|\b(?:did|have|were|had) you\b|\byou (?:said|told|wrote|found|gave|promised|suggested|recommended|mentioned)\b|\byour (?:answer|reply|advice|suggestion|recommendation|plan|proposal)s?\b/i,
  ],
  ['system', /\bsystem (?:prompt|message|instructions?)\b/i],
  ['user', /\b[Tt]he (?:user|customer|human|client)\b|\b(?:I|[Mm]y|me|mine)\b/],
];

/** A page that was pasted into a question is not looked for word by word. */
const MOST_TERMS = 48;

export interface Question {
  /** Distinct terms to look for. */
  readonly terms: readonly string[];
  /** Those among them that tell of an answer without being in it: they count less. */
  readonly vague: ReadonlySet<string>;
  /** Its words, lower-case: names of speakers are looked for in them. */
  readonly words: readonly string[];
  /** The role that it speaks of, where it names one, and the terms that name it. */
  readonly role?: string;
  readonly roleTerms?: readonly string[];
  /** It asks about several together: both, and. */
  readonly joins: boolean;
  readonly wantsTime: boolean;
  readonly wantsNumber: boolean;
  /** The date it names. */
  readonly date: NamedDate;
  /** The time it names by its distance from now, where now is known: yesterday, last week. */
  readonly period?: Period;
}

/** Reads a query. @param now epoch milliseconds, where `yesterday` is to mean a day */
export function readQuestion(text: string, { now }: { now?: number } = {}): Question {
  const period = now === undefined ? undefined : periodOf(text, now);
  const all = [...new Set(termsOf(text))];
  const telling = all.filter((term) => !asking.has(term));
  const role = roleOf(text);
  return {
    // A query of nothing but question words looks for these.
    terms: (telling.length > 0 ? telling : all).slice(0, MOST_TERMS),
    vague,
    words: wordsOf(text),
    ...role,
    joins: /\b(?:both|and)\b/i.test(text),
    wantsTime: wantsTime.test(text),
    wantsNumber: wantsNumber.test(text),
    date: dateOf(text),
    ...(period && { period }),
  };
}

/** The names, of speakers that are there, that a question names, in its order: `Mel` names Melanie, a tool is named in full. */
export function namedIn({ words }: Question, speakers: Iterable<Speaker>): string[] {
  const places = new Map<string, number>();
  for (const speaker of speakers)
    if (speaker.name !== undefined) places.set(speaker.name, placeOfName(words, speaker.role, speaker.name));
  return [...places.keys()]
    .filter((name) => places.get(name)! >= 0)
    .sort((a, b) => places.get(a)! - places.get(b)!);
}

/** The terms of a question that say who speaks: names, in full or shortened, and what its role is called. */
export function nameTerms(
  { words, roleTerms = [] }: Question,
  speakers: Iterable<Speaker>,
): ReadonlySet<string> {
  const parts = [...speakers].filter(({ role }) => role !== 'tool').flatMap(({ name = '' }) => wordsOf(name));
  const names = words.filter((word) => parts.some((part) => isNameFor(word, part)));
  return new Set([...names.map(termOf), ...roleTerms]);
}

function placeOfName(words: readonly string[], role: string, name: string): number {
  const parts = wordsOf(name);
  if (role !== 'tool') return words.findIndex((word) => parts.some((part) => isNameFor(word, part)));
  return parts.every((part) => words.includes(part)) ? words.indexOf(parts[0]!) : -1;
}

/** A word means a name that it is, or that begins with it: from three letters on. */
function isNameFor(word: string, name: string): boolean {
  return word === name || (word.length >= 3 && name.startsWith(word) && !isStopWord(word));
}

function roleOf(text: string): Pick<Question, 'role' | 'roleTerms'> {
  for (const [role, pattern] of roles) {
    const named = pattern.exec(text);
    if (named) return { role, roleTerms: termsOf(named[0]) };
  }
  return {};
}

function termSet(words: string): ReadonlySet<string> {
  return new Set(words.split(/\s+/).map(termOf));
}
