/** What a summary that a model wrote must come up to. */
import type { TokenCounter } from '../tokens/counter.ts';
import { identifiersIn } from './facts.ts';
import { sentencesOf } from './sentences.ts';

/** The headings of a summary. */
export const sections = ['Goals and demands', 'Facts', 'Done and decided', 'Open'] as const;

/** The instructions begin so. */
export const ECHO = 'You keep the memory of a conversation';
const SHORTEST = 20;
/** A model's reply may be a little longer than it was asked for. */
export const TOLERANCE = 1.25;
/** As replies begin, or short ones read, that are no summary. */
const refusals =
  /^\W*(?:i['’]?m sorry|i am sorry|sorry\b|i can(?:not|['’]t)|i['’]?m (?:not able|unable)|as an ai\b|error\b|an error\b|unable to|failed to|request failed|internal server error|rate limit)/i;
const DEMAND =
  /\b(?:must|never|always|do(?:n['’]t| not)|prefer|require|at most|at least|no more than|budget|deadline)\b/i;
const LONGEST_DEMAND = 200;
const MOST_DEMANDS = 20;
const MOST_IDENTIFIERS = 60;

/** Why a text can't stand for what it summarises; undefined when it can. Says nothing of what is in it. */
export function problemWith(
  text: string,
  { tokens, input }: { tokens: number; input: number },
  counter: TokenCounter,
): string | undefined {
  if (text.length < SHORTEST) return 'it was empty';
  if (refusals.test(text)) return 'it was an apology or an error';
  if (text.includes(ECHO)) return 'it repeated its instructions';
  const missing = sections.filter((section) => !text.includes(`## ${section}`));
  if (missing.length > 0) return `it lacked the headings ${missing.join(', ')}`;
  if (isHollow(text)) return 'all its sections were empty';
  const length = counter.count(text);
  if (length > tokens * TOLERANCE) return `it had ${length} tokens, more than ${tokens}`;
  return length >= input ? 'it was no shorter than what it summarises' : undefined;
}

/** Under none of its headings is there anything. */
function isHollow(text: string): boolean {
  return text.split('\n').every((line) => line.startsWith('#') || /^\W*(?:none)?\W*$/i.test(line));
}

/** What must be in a summary to the letter, the newest first: demands of the user, ids, paths, links, amounts. */
/** @param said what the user said of it */
export function mustKeep(source: string, said: readonly string[]): string[] {
  const demands = said
    .flatMap(sentencesOf)
    .filter((sentence) => sentence.length <= LONGEST_DEMAND && DEMAND.test(sentence));
  const ids = identifiersIn(source);
  return [...demands.reverse().slice(0, MOST_DEMANDS), ...ids.reverse().slice(0, MOST_IDENTIFIERS)];
}

export function missingFrom(text: string, wanted: readonly string[]): string[] {
  const lower = text.toLowerCase();
  return wanted.filter((one) => !lower.includes(one.toLowerCase()));
}

/** With fewer of them, one that the model has put in other words says nothing. */
const FEW = 3;

/** Why a text has lost too much: it holds nothing at all of what must be kept, where that is more than a little. */
export function lossIn(text: string, wanted: readonly string[]): string | undefined {
  if (wanted.length < FEW || missingFrom(text, wanted).length < wanted.length) return undefined;
  return 'it held none of the ids, paths, links and demands that must be kept';
}
