/** The order of what was found: the same on every store, since all of it is worked out here. */
import { type Fusion, gainsOf } from './fusion.ts';
import { nameTerms, type Question } from './question.ts';
import { type Beside, type Sign, type SignColumn, signsOf } from './signs.ts';
import type { Speaker } from './stretch.ts';
import { type StretchSource, type Table, tableOf } from './table.ts';
import { defaultWeights, type Weights } from './weights.ts';
import { type Statistics, scoreWords, type WordScores } from './words.ts';

/** The size of a log for which the weights of signs were measured: words weigh more in a longer one. */
const USUAL_SCALE = 6.4;

export interface RankInput extends Beside {
  /** The candidates: the stretches whose terms are the question's, of one log or several. */
  readonly stretches: readonly StretchSource[];
  readonly question: Question;
  readonly statistics: Statistics;
  /** How many hits to give. */
  readonly limit: number;
  /** Whether hits say why: see {@link Ranked.why}. */
  readonly explain?: boolean;
  readonly weights?: Partial<Weights>;
  /** How near in meaning a turn is, −1 to 1, where that is known: the cosine of its vector. */
  readonly similarity?: (log: string, seq: number, version: number) => number | undefined;
  /** Which turns may be hits; the others still count as neighbours. */
  readonly accept?: (turn: RankedTurn) => boolean;
}

/** Which turn it is. */
export interface RankedTurn {
  readonly log: string;
  readonly seq: number;
  /** The version of the entry that was scored. */
  readonly version: number;
  readonly createdAt: number;
  readonly speaker: Speaker;
}

export interface Ranked extends RankedTurn {
  readonly score: number;
  /** What the score is the sum of, and `terms`: what each of them added to `words`. Only where it was asked for. */
  readonly why?: Why;
}

/** What a score is the sum of. A sign that added nothing is left out. */
export interface Why extends Partial<Record<Sign, number>> {
  /** BM25F of the turn with those around it. */
  readonly words: number;
  /** What each term of the question added to `words`. */
  readonly terms: { readonly [term: string]: number };
  /** BM25 of the episode that it is part of. */
  readonly episode: number;
  /** What it gained by its vector. */
  readonly similarity?: number;
}

/** @returns the best, best first; of equals the newest first */
export function rank(input: RankInput): Ranked[] {
  const weights = { ...defaultWeights, ...input.weights };
  const table = tableOf(input.stretches);
  const spoken = nameTerms(input.question, new Set(table.speakers));
  const words = scoreWords(table, input.question.terms, input.statistics, {
    weights,
    weightOf: (term) =>
      spoken.has(term) ? weights.name : input.question.vague.has(term) ? weights.vague : 1,
    explain: input.explain ?? false,
  });
  const scale = Math.log(1 + words.total) / USUAL_SCALE;
  const signs = signsOf(table, input.question, { ...input, weights });
  const { accept, question } = input;
  // Who speaks and when says nothing alone: a hit has something of the question in it, or around it.
  const speaks = (row: number) => words.turns[row]! > 0 || question.terms.length === 0;
  const scores = scoresOf(words, signs, { scale, weights, counts: input.similarity ? undefined : speaks });
  const turnOf = (row: number): RankedTurn => ({
    log: table.logs[row]!,
    seq: table.seqs[row]!,
    version: table.versions[row]!,
    createdAt: table.createdAt[row]!,
    speaker: table.speakers[row]!,
  });
  const gains = gainsBySimilarity(table, input, { scores, matches: speaks, share: weights.similarity });
  for (let row = 0; row < table.rows; row++) {
    const gain = gains?.[row] ?? 0;
    const matches = speaks(row) || gain > 0;
    if (!matches || (accept && !accept(turnOf(row)))) scores[row] = Number.NEGATIVE_INFINITY;
    else scores[row]! += gain;
  }
  return topRows(scores, table.createdAt, input.limit).map((row) => ({
    ...turnOf(row),
    score: scores[row]!,
    ...(input.explain
      ? { why: explain(row, words, signs, { scale, weights, gain: gains?.[row] ?? 0 }) }
      : {}),
  }));
}

/** @param counts which rows are worth it; all where absent */
function scoresOf(
  words: WordScores,
  signs: readonly SignColumn[],
  {
    scale,
    weights,
    counts,
  }: { scale: number; weights: Weights; counts: ((row: number) => boolean) | undefined },
): Float64Array {
  const columns = signs.map(([, of]) => of);
  return words.turns.map((score, row) => {
    if (counts && !counts(row)) return 0;
    let extra = 0;
    for (let i = 0; i < columns.length; i++) extra += columns[i]!(row);
    return score + weights.episode * words.episodes[row]! + scale * extra;
  });
}

function gainsBySimilarity(
  { rows, logs, seqs, versions }: Table,
  { similarity }: RankInput,
  fusion: Omit<Fusion, 'cosines'>,
): Float64Array | undefined {
  if (!similarity) return undefined;
  const cosines = new Float64Array(rows);
  for (let row = 0; row < rows; row++)
    cosines[row] = similarity(logs[row]!, seqs[row]!, versions[row]!) ?? Number.NaN;
  return gainsOf({ ...fusion, cosines });
}

function explain(
  row: number,
  words: WordScores,
  signs: readonly SignColumn[],
  { scale, weights, gain }: { scale: number; weights: Weights; gain: number },
): Why {
  const terms = [...words.parts].map(([term, part]) => [term, part[row]!] as const);
  const added = signs.map(([sign, of]) => [sign, scale * of(row)] as const);
  return {
    words: words.turns[row]!,
    terms: Object.fromEntries(terms.filter(([, part]) => part !== 0)),
    episode: weights.episode * words.episodes[row]!,
    ...Object.fromEntries(added.filter(([, part]) => part !== 0)),
    ...(gain > 0 && { similarity: gain }),
  };
}

/** The best rows, best first, without sorting the others: of equals the newest first, then the later row. */
function topRows(scores: Float64Array, createdAt: Float64Array, limit: number): number[] {
  const before = (a: number, b: number): boolean =>
    scores[a] !== scores[b]
      ? scores[a]! > scores[b]!
      : createdAt[a] !== createdAt[b]
        ? createdAt[a]! > createdAt[b]!
        : a > b;
  const top: number[] = [];
  for (let row = 0; row < scores.length; row++) {
    if (scores[row] === Number.NEGATIVE_INFINITY) continue;
    if (top.length === limit && !before(row, top[limit - 1]!)) continue;
    let low = 0;
    for (let high = top.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (before(row, top[middle]!)) high = middle;
      else low = middle + 1;
    }
    top.splice(low, 0, row);
    if (top.length > limit) top.pop();
  }
  return top;
}
