/**
 * The unit of the full-text index is a stretch: 32 consecutive messages of a log, aligned by seq, or one memory. Its
 * document is packed so that a search can look a few terms up in hundreds of them without taking them apart.
 */
import type { Turn } from './analyse.ts';

/** Stretch n of a log holds the seqs 32n to 32n + 31. */
export const STRETCH = 32;
/** In which stretch of its log a seq is. */
export function stretchOf(seq: number): number {
  return Math.floor(seq / STRETCH);
}

/** How often a term counts in one turn: more says no more. */
const MOST = 15;

/** What a store's text index is given. */
export interface StretchDocument {
  /** The distinct terms, each `[a-z0-9]{1,64}`, sorted. */
  terms: string[];
  /** JSON text: read it with {@link openStretch} or {@link unpackStretch}. */
  value: string;
}

/**
 * The packed form. `words` is ` term!places term!places …`, sorted: each place is one character, `#` to `B` for the
 * term in the body of turn 0 to 31, `]` to `|` for it in the extra text, as often as it is there. `turns` holds
 * {@link COLUMNS} numbers a turn.
 */
interface Packed {
  v: 1;
  seq: number;
  at: number;
  speakers: string[];
  words: string;
  turns: number[];
  importance?: (number | null)[];
}

const BODY = '#'.charCodeAt(0);
const EXTRA = ']'.charCodeAt(0);
const COLUMNS = 8;

/** A stretch that is looked into, not taken apart. Arrays are by turn, oldest first. */
export interface Stretch {
  readonly seqs: readonly number[];
  readonly versions: readonly number[];
  readonly createdAt: readonly number[];
  /** Indexes of `speakers`. */
  readonly speaker: readonly number[];
  readonly speakers: readonly Speaker[];
  /** How many terms, repetitions counted. */
  readonly lengths: readonly number[];
  readonly extraLengths: readonly number[];
  readonly asking: readonly number[];
  readonly flags: readonly number[];
  readonly importance: readonly (number | null)[];
  readonly words: string;
  /** Of turn `seq % 32`, its index in the arrays; -1: not there. */
  readonly index: Int8Array;
}

export interface Speaker {
  readonly role: string;
  readonly name?: string;
}

/** @param turns of one stretch, in the order of their seqs; some may be missing */
export function packStretch(turns: readonly Turn[]): StretchDocument {
  const speakers = [...new Set(turns.map(speakerKey))];
  const seq = turns[0]!.seq - (turns[0]!.seq % STRETCH);
  const places = new Map<string, string>();
  for (const turn of turns) {
    addPlaces(places, turn.body, String.fromCharCode(BODY + turn.seq - seq));
    addPlaces(places, turn.extra, String.fromCharCode(EXTRA + turn.seq - seq));
  }
  const terms = [...places.keys()].sort();
  let at = turns[0]!.createdAt;
  const packed: Packed = {
    v: 1,
    seq,
    at,
    speakers,
    words: terms.map((term) => ` ${term}!${places.get(term)}`).join(''),
    turns: turns.flatMap((turn) => {
      const since = turn.createdAt - at;
      at = turn.createdAt;
      return [
        turn.seq - seq,
        turn.version,
        since,
        speakers.indexOf(speakerKey(turn)),
        total(turn.body),
        total(turn.extra),
        Math.round(turn.asking * 100),
        turn.flags,
      ];
    }),
  };
  if (turns.some(({ importance }) => importance !== undefined))
    packed.importance = turns.map(({ importance }) => importance ?? null);
  return { terms, value: JSON.stringify(packed) };
}

/** Opens a packed stretch for looking terms up. */
export function openStretch(value: string): Stretch {
  const { seq, speakers, words, turns, importance = [], at } = JSON.parse(value) as Packed;
  const index = new Int8Array(STRETCH).fill(-1);
  const seqs: number[] = [];
  const versions: number[] = [];
  const createdAt: number[] = [];
  const speaker: number[] = [];
  const lengths: number[] = [];
  const extraLengths: number[] = [];
  const asking: number[] = [];
  const flags: number[] = [];
  let time = at;
  // A loop of its own, not one a column: a search opens hundreds of stretches.
  for (let from = 0; from < turns.length; from += COLUMNS) {
    index[turns[from]!] = seqs.length;
    time += turns[from + 2]!;
    seqs.push(seq + turns[from]!);
    versions.push(turns[from + 1]!);
    createdAt.push(time);
    speaker.push(turns[from + 3]!);
    lengths.push(turns[from + 4]!);
    extraLengths.push(turns[from + 5]!);
    asking.push(turns[from + 6]! / 100);
    flags.push(turns[from + 7]!);
  }
  return {
    seqs,
    versions,
    createdAt,
    speaker,
    lengths,
    extraLengths,
    asking,
    flags,
    speakers: speakers.map(parseSpeaker),
    importance,
    words,
    index,
  };
}

/** The whole of a packed stretch, as it was packed: to add a turn to it, or to take one out. */
export function unpackStretch(value: string): Turn[] {
  const stretch = openStretch(value);
  const counts = stretch.seqs.map(() => ({
    body: new Map<string, number>(),
    extra: new Map<string, number>(),
  }));
  for (const word of stretch.words.split(' ').slice(1)) {
    const [term = '', places = ''] = word.split('!');
    eachPlace(stretch, places, (turn, inBody) => {
      const field = inBody ? counts[turn]!.body : counts[turn]!.extra;
      field.set(term, (field.get(term) ?? 0) + 1);
    });
  }
  return stretch.seqs.map((seq, turn) => ({
    seq,
    version: stretch.versions[turn]!,
    ...stretch.speakers[stretch.speaker[turn]!]!,
    createdAt: stretch.createdAt[turn]!,
    ...counts[turn]!,
    asking: stretch.asking[turn]!,
    flags: stretch.flags[turn]!,
    ...(stretch.importance[turn] == null ? {} : { importance: stretch.importance[turn] }),
  }));
}

/** Where a term is, as packed; empty: nowhere. */
export function placesOf({ words }: Stretch, term: string): string {
  const at = firstWord(words, `${term}!`);
  if (!words.startsWith(`${term}!`, at + 1)) return '';
  return words.slice(at + term.length + 2, endOfWord(words, at));
}

/** The terms that begin with a prefix, with their places. */
export function startingWith({ words }: Stretch, prefix: string): [term: string, places: string][] {
  const found: [string, string][] = [];
  for (let at = firstWord(words, prefix); words.startsWith(prefix, at + 1); ) {
    const mark = words.indexOf('!', at);
    const end = endOfWord(words, mark);
    found.push([words.slice(at + 1, mark), words.slice(mark + 1, end)]);
    at = end;
  }
  return found;
}

/** Where the first word begins that is not before `key`: a binary search, since `!` sorts before letters and digits. */
function firstWord(words: string, key: string): number {
  let low = 0;
  for (let high = words.length; low < high; ) {
    const at = words.lastIndexOf(' ', (low + high) >> 1);
    if (isBefore(words, at + 1, key)) low = endOfWord(words, at + 1);
    else high = at;
  }
  return low;
}

function endOfWord(words: string, from: number): number {
  const end = words.indexOf(' ', from + 1);
  return end < 0 ? words.length : end;
}

/** Whether the word at `from` sorts before a key that it does not begin with. */
function isBefore(words: string, from: number, key: string): boolean {
  for (let at = 0; at < key.length; at++) {
    const difference = words.charCodeAt(from + at) - key.charCodeAt(at);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** Calls back for each time that a term is in a turn: the turn's index, and whether in its body. */
export function eachPlace(
  { index }: Stretch,
  places: string,
  visit: (turn: number, inBody: boolean) => void,
): void {
  for (let at = 0; at < places.length; at++) {
    const code = places.charCodeAt(at);
    const inBody = code < EXTRA;
    const turn = index[code - (inBody ? BODY : EXTRA)]!;
    if (turn >= 0) visit(turn, inBody);
  }
}

function addPlaces(places: Map<string, string>, counts: ReadonlyMap<string, number>, place: string): void {
  for (const [term, count] of counts)
    places.set(term, (places.get(term) ?? '') + place.repeat(Math.min(count, MOST)));
}

function total(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

function speakerKey({ role, name }: Speaker): string {
  return name === undefined ? role : `${role}:${name}`;
}

function parseSpeaker(key: string): Speaker {
  const colon = key.indexOf(':');
  return colon < 0 ? { role: key } : { role: key.slice(0, colon), name: key.slice(colon + 1) };
}
