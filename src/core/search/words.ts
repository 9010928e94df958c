/** How much the words of a turn, of those around it and of its whole episode are the words of a question. */
import { eachPlace, placesOf, startingWith } from './stretch.ts';
import { asks, type Table } from './table.ts';
import type { Weights } from './weights.ts';

/** Terms are related by a shared beginning of so many letters, with tails no longer than that. */
const SHARED = 4;
const TAIL = 4;

/** What the index knows of the whole of what was searched, of which only the best stretches were given. */
export interface Statistics {
  /** How many documents (stretches, memories) there are. */
  readonly documents: number;
  /** In how many of them each term of the question is. */
  readonly holding: ReadonlyMap<string, number>;
}

export interface WordScores {
  /** By row. */
  readonly turns: Float64Array;
  readonly episodes: Float64Array;
  /** What each term added to {@link turns}: only where the score is to be explained. */
  readonly parts: ReadonlyMap<string, Float64Array>;
  /** About how many turns the searched logs hold. */
  readonly total: number;
}

/** A term in the table: the rows that hold it, as often as they do, and those that hold related ones. */
interface Occurrences {
  rows: number[];
  /** 1, or less for the text beside, or for a related term. */
  counts: number[];
  /** Rows and stretches that hold the term itself. */
  holdingTurns: number;
  holdingStretches: number;
  /** Episodes and how often the term itself is in them. */
  inEpisodes: Map<number, number>;
}

/**
 * BM25F (Robertson & Zaragoza, "The Probabilistic Relevance Framework", 2009) where the fields of a turn are its text,
 * what goes with it, and the turns around it in its episode; and BM25 of its episode.
 */
export function scoreWords(
  table: Table,
  terms: readonly string[],
  statistics: Statistics,
  options: { weights: Weights; weightOf: (term: string) => number; explain: boolean },
): WordScores {
  const { weights, weightOf, explain } = options;
  const turns = new Float64Array(table.rows);
  const perEpisode = new Float64Array(table.episodes);
  const parts = new Map<string, Float64Array>();
  const saturation = saturationOf(table, weights);
  const lengths = episodeLengths(table);
  const share = statistics.documents / Math.max(1, table.stretches.length);
  const total = table.rows * share;
  const field = new Float64Array(table.rows);
  for (const term of terms) {
    const found = find(table, term, weights);
    if (found.rows.length === 0) continue;
    const beyond = Math.max(found.holdingStretches, statistics.holding.get(term) ?? 0);
    const grown = found.holdingStretches === 0 ? 1 : beyond / found.holdingStretches;
    const idf = weightOf(term) * idfOf(total, (found.holdingTurns || 1) * grown) ** weights.idf;
    const part = explain ? new Float64Array(table.rows) : undefined;
    for (const row of spread(table, found, field, weights)) {
      const count = field[row]!;
      field[row] = 0;
      const score = (idf * count * (weights.k1 + 1)) / (count + saturation[row]!);
      turns[row]! += score;
      if (part) part[row] = score;
    }
    if (part) parts.set(term, part);
    addEpisodes(perEpisode, found, { grown, total: table.episodes * share, lengths, weights });
  }
  const episodes = Float64Array.from(table.episode, (episode) => perEpisode[episode]!);
  return { turns, episodes, parts, total };
}

function find(table: Table, term: string, weights: Weights): Occurrences {
  const found: Occurrences = {
    rows: [],
    counts: [],
    holdingTurns: 0,
    holdingStretches: 0,
    inEpisodes: new Map(),
  };
  const seen = new Set<number>();
  for (const stretch of table.stretches) {
    const places = placesOf(stretch, term);
    if (places) found.holdingStretches++;
    eachPlace(stretch, places, (turn, inBody) => {
      const row = stretch.from + turn;
      const episode = table.episode[row]!;
      found.rows.push(row);
      found.counts.push(inBody ? 1 : weights.extra);
      found.inEpisodes.set(episode, (found.inEpisodes.get(episode) ?? 0) + 1);
      seen.add(row);
    });
    if (weights.related === 0 || term.length < SHARED || /\d/.test(term)) continue;
    for (const [other, otherPlaces] of startingWith(stretch, term.slice(0, SHARED))) {
      if (!related(term, other)) continue;
      eachPlace(stretch, otherPlaces, (turn, inBody) => {
        found.rows.push(stretch.from + turn);
        found.counts.push(weights.related * (inBody ? 1 : weights.extra));
      });
    }
  }
  found.holdingTurns = seen.size;
  return found;
}

/** Two stems that share their beginning, up to the last letter of the shorter: `educ` and `edu`, `poem` and `poet`. */
function related(one: string, other: string): boolean {
  if (one === other) return false;
  const short = Math.min(one.length, other.length);
  let shared = 0;
  while (shared < short && one[shared] === other[shared]) shared++;
  return shared >= SHARED && shared >= short - 1 && Math.max(one.length, other.length) - shared <= TAIL;
}

/** Adds what is found to the turns around it, in `field`. @returns the rows that it reached, each once */
function spread(
  table: Table,
  { rows, counts }: Occurrences,
  field: Float64Array,
  weights: Weights,
): Iterable<number> {
  const reached = new Set<number>();
  const add = (row: number, from: number, count: number): void => {
    if (count === 0 || table.episode[row] !== table.episode[from]) return;
    field[row]! += count;
    reached.add(row);
  };
  for (const [at, row] of rows.entries()) {
    const count = counts[at]!;
    add(row, row, count);
    add(row + 1, row, count * (asks(table, row) ? weights.asked : weights.previous));
    add(row + 2, row, count * weights.beforePrevious);
    add(row - 1, row, count * weights.next);
    add(row - 2, row, count * weights.afterNext);
  }
  return reached;
}

/** BM25's k1 × (1 − b + b × length / average), where a turn's length counts those around it as its score does. */
function saturationOf(table: Table, weights: Weights): Float64Array {
  const { rows, lengths, extraLengths, episode } = table;
  const merged = new Float64Array(rows);
  const own = (row: number): number => lengths[row]! + weights.extra * extraLengths[row]!;
  for (let row = 0; row < rows; row++) {
    const at = (other: number): number => (episode[other] === episode[row] ? own(other) : 0);
    merged[row] =
      own(row) +
      at(row - 1) * (row > 0 && asks(table, row - 1) ? weights.asked : weights.previous) +
      at(row - 2) * weights.beforePrevious +
      at(row + 1) * weights.next +
      at(row + 2) * weights.afterNext;
  }
  const average = merged.reduce((sum, length) => sum + length, 0) / Math.max(1, rows) || 1;
  return merged.map((length) => weights.k1 * (1 - weights.b + (weights.b * length) / average));
}

function episodeLengths({ rows, episode, episodes, lengths, extraLengths }: Table): Float64Array {
  const sums = new Float64Array(episodes);
  for (let row = 0; row < rows; row++) sums[episode[row]!]! += lengths[row]! + extraLengths[row]!;
  const average = sums.reduce((sum, length) => sum + length, 0) / Math.max(1, episodes) || 1;
  return sums.map((length) => length / average);
}

function addEpisodes(
  scores: Float64Array,
  { inEpisodes }: Occurrences,
  of: { grown: number; total: number; lengths: Float64Array; weights: Weights },
): void {
  const { episodeK1: k1, episodeB: b } = of.weights;
  const idf = idfOf(of.total, inEpisodes.size * of.grown);
  for (const [episode, count] of inEpisodes)
    scores[episode]! += (idf * count * (k1 + 1)) / (count + k1 * (1 - b + b * of.lengths[episode]!));
}

function idfOf(total: number, holding: number): number {
  return Math.log(1 + Math.max(0, total - holding + 0.5) / (holding + 0.5));
}
