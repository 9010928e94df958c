/** The turns of many stretches in one table: columns by row, the rows of a log in the order of its seqs. */
import { signals } from './signals.ts';
import { openStretch, type Speaker, STRETCH, type Stretch } from './stretch.ts';

/** A pause of more than an hour ends an episode: what comes after it is another occasion. */
const PAUSE_MS = 3_600_000;

/** One document of the text index, as the store gave it. */
export interface StretchSource {
  /** What log it is of: turns are neighbours only within one. */
  readonly log: string;
  readonly value: string;
  /** What comes after this seq counts for nothing: neither as a hit nor as a neighbour. */
  readonly upTo?: number;
}

export interface Table {
  readonly rows: number;
  readonly stretches: readonly OpenedStretch[];
  readonly logs: readonly string[];
  readonly seqs: Float64Array;
  readonly versions: Float64Array;
  /** Who speaks: one object for one speaker. */
  readonly speakers: readonly Speaker[];
  readonly createdAt: Float64Array;
  readonly lengths: Float64Array;
  readonly extraLengths: Float64Array;
  readonly asking: Float64Array;
  readonly flags: Uint8Array;
  /** 0 to 1; NaN where it is not known. */
  readonly importance: Float64Array;
  /** The episode of a row: a run of messages that follow each other without a pause. */
  readonly episode: Int32Array;
  readonly episodes: number;
}

export interface OpenedStretch extends Stretch {
  readonly log: string;
  /** The row of its first turn. */
  readonly from: number;
}

/** Opens the stretches and lines their turns up. */
export function tableOf(sources: readonly StretchSource[]): Table {
  let rows = 0;
  const stretches = sources
    .map(({ log, value, upTo }) => ({ log, ...mute(openStretch(value), upTo) }))
    .sort((a, b) => (a.log === b.log ? a.seqs[0]! - b.seqs[0]! : a.log < b.log ? -1 : 1))
    .map((stretch) => {
      const from = rows;
      rows += stretch.seqs.length;
      return { ...stretch, from };
    });
  const column = (pick: (stretch: Stretch) => readonly number[]): Float64Array => {
    const values = new Float64Array(rows);
    for (const stretch of stretches) values.set(pick(stretch), stretch.from);
    return values;
  };
  const createdAt = column((stretch) => stretch.createdAt);
  const { episode, episodes } = episodesOf(stretches, createdAt);
  return {
    rows,
    stretches,
    logs: stretches.flatMap(({ log, seqs }) => seqs.map(() => log)),
    seqs: column((stretch) => stretch.seqs),
    versions: column((stretch) => stretch.versions),
    speakers: speakersOf(stretches),
    createdAt,
    lengths: column((stretch) => stretch.lengths),
    extraLengths: column((stretch) => stretch.extraLengths),
    asking: column((stretch) => stretch.asking),
    flags: Uint8Array.from(column((stretch) => stretch.flags)),
    importance: column(({ seqs, importance }) => seqs.map((_, turn) => importance[turn] ?? Number.NaN)),
    episode,
    episodes,
  };
}

/** Takes what comes after a seq out of a stretch's words. */
function mute(stretch: Stretch, upTo = Number.POSITIVE_INFINITY): Stretch {
  for (const seq of stretch.seqs) if (seq > upTo) stretch.index[seq % STRETCH] = -1;
  return stretch;
}

/** Whether a turn asks something of the next. */
export function asks({ flags }: Table, row: number): boolean {
  return (flags[row]! & signals.asks) !== 0;
}

function episodesOf(
  stretches: readonly OpenedStretch[],
  createdAt: Float64Array,
): { episode: Int32Array; episodes: number } {
  const episode = new Int32Array(createdAt.length);
  let current = -1;
  let before: OpenedStretch | undefined;
  for (const stretch of stretches) {
    const adjoining = before?.log === stretch.log && numberOf(stretch) === numberOf(before) + 1;
    for (let turn = 0; turn < stretch.seqs.length; turn++) {
      const row = stretch.from + turn;
      const follows = turn > 0 || adjoining;
      if (!follows || createdAt[row]! - createdAt[row - 1]! > PAUSE_MS) current++;
      episode[row] = current;
    }
    before = stretch;
  }
  return { episode, episodes: current + 1 };
}

/** Who speaks, by row: one object for one speaker. */
function speakersOf(stretches: readonly OpenedStretch[]): Speaker[] {
  const known = new Map<string, Speaker>();
  return stretches.flatMap(({ speaker, speakers }) => {
    const same = speakers.map((one) => {
      const key = `${one.role}:${one.name ?? ''}`;
      if (!known.has(key)) known.set(key, one);
      return known.get(key)!;
    });
    return speaker.map((index) => same[index]!);
  });
}

/** Which of its log's stretches it is. */
function numberOf({ seqs }: Stretch): number {
  return Math.floor(seqs[0]! / STRETCH);
}
