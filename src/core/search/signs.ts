/** What speaks for a turn beside its words: who says it, when, and what it says beyond them. */
import type { NamedDate } from './dates.ts';
import { namedIn, type Question } from './question.ts';
import { signals } from './signals.ts';
import type { Speaker } from './stretch.ts';
import type { Table } from './table.ts';
import type { Weights } from './weights.ts';

const DAY_MS = 86_400_000;

export type Sign =
  | 'speaker'
  | 'time'
  | 'number'
  | 'date'
  | 'period'
  | 'first'
  | 'question'
  | 'importance'
  | 'recency';

/** What a sign adds to the score of a row. */
export type SignColumn = readonly [sign: Sign, of: (row: number) => number];

/** What is known besides the table and the question. */
export interface Beside {
  /** Epoch milliseconds: what recency counts from. */
  readonly now?: number;
}

/** The signs that can tell the rows apart, weighed. */
export function signsOf(
  table: Table,
  question: Question,
  { weights, now }: Beside & { weights: Weights },
): SignColumn[] {
  const { flags, asking, importance, createdAt, speakers } = table;
  const has = (row: number, flag: number): boolean => (flags[row]! & flag) !== 0;
  const spoken = speakerScores(table, question, weights);
  const signs: SignColumn[] = [
    ['first', (row) => (has(row, signals.first) ? weights.first : 0)],
    ['question', (row) => -weights.question * asking[row]!],
    ['importance', (row) => weights.importance * (importance[row]! || 0)],
  ];
  if (spoken.size > 0) signs.push(['speaker', (row) => spoken.get(speakers[row]!) ?? 0]);
  if (question.wantsTime)
    signs.push([
      'time',
      (row) =>
        (has(row, signals.time) ? weights.time : 0) + (has(row, signals.relative) ? weights.relative : 0),
    ]);
  if (question.wantsNumber) signs.push(['number', (row) => (has(row, signals.number) ? weights.number : 0)]);
  if (question.date.month !== undefined || question.date.year !== undefined)
    signs.push(['date', (row) => dateScore(question.date, createdAt[row]!, weights)]);
  const { period } = question;
  if (period)
    signs.push([
      'period',
      (row) => (createdAt[row]! >= period.from && createdAt[row]! < period.to ? weights.period : 0),
    ]);
  if (now !== undefined && weights.recency > 0)
    signs.push(['recency', (row) => weights.recency * recencyOf(now - createdAt[row]!)]);
  return signs;
}

/**
 * What speaks for those whom the question asks about: the only one that it names, less for the first of several ("What
 * does Ann think of Ben's plan?"), else those of the role that it names.
 */
function speakerScores(
  { speakers }: Table,
  question: Question,
  weights: Weights,
): ReadonlyMap<Speaker, number> {
  const all = new Set(speakers);
  const [name, ...others] = namedIn(question, all);
  const asked = [...all].filter((speaker) =>
    name === undefined ? speaker.role === question.role : speaker.name === name,
  );
  const weight = others.length === 0 ? weights.speaker : question.joins ? 0 : weights.firstSpeaker;
  return new Map(asked.map((speaker) => [speaker, weight]));
}

/** A message tells of a date on that day, or soon after it. */
function dateScore({ year, month, day }: NamedDate, createdAt: number, weights: Weights): number {
  const said = new Date(createdAt);
  const sameYear = year === undefined || year === said.getUTCFullYear();
  if (!sameYear) return 0;
  if (month === undefined) return weights.year;
  const saidMonth = said.getUTCMonth();
  const near = saidMonth === month ? weights.month : saidMonth === (month + 1) % 12 ? weights.monthAfter : 0;
  if (day === undefined) return near;
  const asked = Date.UTC(said.getUTCFullYear(), month, day);
  const days = Math.floor(createdAt / DAY_MS) - Math.floor(asked / DAY_MS);
  return near + (days === 0 ? weights.day : days > 0 && days <= 7 ? weights.weekAfter : 0);
}

/** 1 now, one half after thirty days, and so on. */
function recencyOf(ageMs: number): number {
  return 2 ** (-Math.max(0, ageMs) / (30 * DAY_MS));
}
