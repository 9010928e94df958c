/** How much the words of a turn, of those around it and of its whole episode are the words of a question. */
import { eachPlace, placesOf, startingWith } from './stretch.ts';
import { synonymsOf } from './synonyms.ts';
import { asks, type OpenedStretch, type Table } from './table.ts';
import type { Weights } from './weights.ts';

/** Terms are related by a shared beginning of so many letters, with tails no longer than that. */
const SHARED = 4;
const TAIL = 4;
/** A turn of more terms than this is a page: some 150 words. */
const LONG = 64;

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

/** Where a term is in the table. */
interface Occurrences {
  /** A row for each time. */
  readonly rows: number[];
  /** 1 in the text of a turn, less in what goes with it. */
  readonly counts: number[];
  /** How many turns and stretches hold it. */
  turns: number;
  stretches: number;
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
    const found = occurrencesOf(table, term, weights);
    const grown = found.stretches === 0 ? share : grownBy(found, statistics.holding.get(term));
    const idf = idfOf(total, Math.max(1, found.turns) * grown);
    const reached: number[] = [];
    spread(table, found, 1, { field, reached, weights });
    for (const [kin, worth] of kinOf(table, term, weights)) {
      // A common word that stands for a rare one tells no more than common words do.
      const rarity = idfOf(total, kin.turns * share) / idf;
      spread(table, kin, worth * Math.min(1, rarity), { field, reached, weights });
    }
    const most = weightOf(term) * idf ** weights.idf * (weights.k1 + 1);
    const part = explain ? new Float64Array(table.rows) : undefined;
    for (const row of reached) {
      const count = field[row]!;
      field[row] = 0;
      const score = (most * count) / (count + saturation[row]!);
      turns[row]! += score;
      if (part) part[row] = score;
    }
    if (part) parts.set(term, part);
    addEpisodes(perEpisode, table, found, { grown, total: table.episodes * share, lengths, weights });
  }
  const episodes = Float64Array.from(table.episode, (episode) => perEpisode[episode]!);
  return { turns, episodes, parts, total };
}

/** How many times as many stretches hold a term as were given. */
function grownBy({ stretches }: Occurrences, holding = 0): number {
  return Math.max(1, holding / stretches);
}

function occurrencesOf(table: Table, term: string, weights: Weights): Occurrences {
  const found = noOccurrences();
  for (const stretch of table.stretches) addOccurrences(found, stretch, placesOf(stretch, term), weights);
  return found;
}

/** The synonyms of a term and those that share its beginning, where they are and what they count. */
function* kinOf(table: Table, term: string, weights: Weights): Iterable<[Occurrences, worth: number]> {
  const synonyms = synonymsOf(term);
  if (weights.synonym > 0)
    for (const synonym of synonyms) yield [occurrencesOf(table, synonym, weights), weights.synonym];
  if (weights.related === 0 || term.length < SHARED || /\d/.test(term)) return;
  const related = new Map<string, Occurrences>();
  for (const stretch of table.stretches) {
    for (const [other, places] of startingWith(stretch, term.slice(0, SHARED))) {
      if (synonyms.has(other) || !areRelated(term, other)) continue;
      const found = related.get(other) ?? noOccurrences();
      addOccurrences(found, stretch, places, weights);
      related.set(other, found);
    }
  }
  for (const found of related.values()) yield [found, weights.related];
}

function noOccurrences(): Occurrences {
  return { rows: [], counts: [], turns: 0, stretches: 0 };
}

function addOccurrences(found: Occurrences, stretch: OpenedStretch, places: string, weights: Weights): void {
  if (!places) return;
  found.stretches++;
  eachPlace(stretch, places, (turn, inBody) => {
    const row = stretch.from + turn;
    if (found.rows.at(-1) !== row) found.turns++;
    found.rows.push(row);
    found.counts.push(inBody ? 1 : weights.extra);
  });
}

/** Two stems that share their beginning, up to the last letter of the shorter: `educ` and `edu`, `poem` and `poet`. */
function areRelated(one: string, other: string): boolean {
  if (one === other) return false;
  const short = Math.min(one.length, other.length);
  let shared = 0;
  while (shared < short && one[shared] === other[shared]) shared++;
  return shared >= SHARED && shared >= short - 1 && Math.max(one.length, other.length) - shared <= TAIL;
}

/** Adds what is found to the turns around it, in `field`, and to `reached` the rows that it is the first to come to. */
function spread(
  table: Table,
  { rows, counts }: Occurrences,
  worth: number,
  { field, reached, weights }: { field: Float64Array; reached: number[]; weights: Weights },
): void {
  const add = (row: number, from: number, count: number): void => {
    if (count === 0 || table.episode[row] !== table.episode[from]) return;
    if (field[row] === 0) reached.push(row);
    field[row]! += count;
  };
  for (const [at, row] of rows.entries()) {
    const own = counts[at]! * worth;
    add(row, row, own);
    const count = own * reach(table, row);
    add(row + 1, row, count * (asks(table, row) ? weights.asked : weights.previous));
    add(row + 2, row, count * weights.beforePrevious);
    add(row - 1, row, count * weights.next);
    add(row - 2, row, count * weights.afterNext);
  }
}

/** How much a turn says of those around it: a page says less of them than a line, instructions nothing. */
function reach({ lengths, speakers }: Table, row: number): number {
  return speakers[row]!.role === 'system' ? 0 : Math.min(1, LONG / lengths[row]!);
}

/** BM25's k1 × (1 − b + b × length / average), where a turn's length counts those around it as its score does. */
function saturationOf(table: Table, weights: Weights): Float64Array {
  const { rows, lengths, extraLengths, episode } = table;
  const merged = new Float64Array(rows);
  const near = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    merged[row] = lengths[row]! + weights.extra * extraLengths[row]!;
    near[row] = merged[row]! * reach(table, row);
  }
  // Each gives to those around it: a loop over some thousand rows, on the way of every search.
  const give = (from: number, to: number, weight: number): void => {
    if (weight !== 0 && to >= 0 && to < rows && episode[from] === episode[to])
      merged[to]! += near[from]! * weight;
  };
  for (let row = 0; row < rows; row++) {
    give(row, row + 1, asks(table, row) ? weights.asked : weights.previous);
    give(row, row + 2, weights.beforePrevious);
    give(row, row - 1, weights.next);
    give(row, row - 2, weights.afterNext);
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
  { episode }: Table,
  { rows }: Occurrences,
  of: { grown: number; total: number; lengths: Float64Array; weights: Weights },
): void {
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(episode[row]!, (counts.get(episode[row]!) ?? 0) + 1);
  const { episodeK1: k1, episodeB: b } = of.weights;
  const idf = idfOf(of.total, counts.size * of.grown);
  for (const [at, count] of counts)
    scores[at]! += (idf * count * (k1 + 1)) / (count + k1 * (1 - b + b * of.lengths[at]!));
}

function idfOf(total: number, holding: number): number {
  return Math.log(1 + Math.max(0, total - holding + 0.5) / (holding + 0.5));
}
