import type { Entry, LogPage, LogRange } from '../../core/store.ts';

/** One log. What is read of it costs what is given, not what is kept. */
export class LogData {
  /** The last seq given out, whether or not its entry is still there. */
  lastSeq = 0;
  /** Sorted by seq. Truncated ends leave holes: seqs are not reused. */
  #entries: Entry[] = [];
  #byId = new Map<string, Entry>();
  /** The seqs of entries with a mark, sorted. */
  readonly #byMark = new Map<string, number[]>();

  get count(): number {
    return this.#entries.length;
  }

  /** The seq of the oldest entry; in an empty log, the one that the next append will get. */
  get firstSeq(): number {
    return this.#entries[0]?.seq ?? this.lastSeq + 1;
  }

  /** The seq of the newest entry; in an empty log, the last one given out. */
  get newestSeq(): number {
    return this.#entries.at(-1)?.seq ?? this.lastSeq;
  }

  at(seq: number): Entry | undefined {
    const entry = this.#entries[this.#placeOf(seq)];
    return entry?.seq === seq ? entry : undefined;
  }

  withId(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  append(entry: Entry): void {
    this.lastSeq = entry.seq;
    this.#entries.push(entry);
    if (entry.id) this.#byId.set(entry.id, entry);
    if (entry.mark) this.#addMark(entry.mark, entry.seq);
  }

  /** Puts an entry in the place of the one with its seq. */
  replace(entry: Entry): void {
    const place = this.#placeOf(entry.seq);
    const { mark } = this.#entries[place]!;
    this.#entries[place] = entry;
    if (entry.id) this.#byId.set(entry.id, entry);
    if (mark === entry.mark) return;
    if (mark) this.#removeMark(mark, entry.seq);
    if (entry.mark) this.#addMark(entry.mark, entry.seq);
  }

  /** Keeps entries whose seq is `before` or more, and `after` or less; returns how many went. */
  truncate(before: number | undefined, after: number | undefined): number {
    const start = before === undefined ? 0 : this.#placeOf(before);
    const end = after === undefined ? this.count : this.#placeOf(after + 1);
    const kept = this.#entries.slice(start, Math.max(start, end));
    const count = this.count - kept.length;
    if (count === 0) return 0;
    this.#entries = kept;
    this.#byId = new Map(kept.flatMap((entry) => (entry.id ? [[entry.id, entry]] : [])));
    for (const [mark, seqs] of this.#byMark) {
      const left = seqs.filter((seq) => this.at(seq));
      if (left.length > 0) this.#byMark.set(mark, left);
      else this.#byMark.delete(mark);
    }
    return count;
  }

  read(range: LogRange): LogPage {
    const named = range.ids?.map((id) => this.#byId.get(id)) ?? range.seqs?.map((seq) => this.at(seq));
    const entries = named
      ? among(named, range)
      : range.mark !== undefined
        ? this.#marked(range.mark, range)
        : page(this.#entries, seqOf, range);
    return { entries, firstSeq: this.firstSeq, lastSeq: this.lastSeq, count: this.count };
  }

  #marked(mark: string, range: LogRange): Entry[] {
    return page(this.#byMark.get(mark) ?? [], itself, range).map((seq) => this.at(seq)!);
  }

  #placeOf(seq: number): number {
    return placeOf(this.#entries, seqOf, seq);
  }

  #addMark(mark: string, seq: number): void {
    const seqs = this.#byMark.get(mark);
    if (seqs) seqs.splice(placeOf(seqs, itself, seq), 0, seq);
    else this.#byMark.set(mark, [seq]);
  }

  #removeMark(mark: string, seq: number): void {
    const seqs = this.#byMark.get(mark)!;
    seqs.splice(placeOf(seqs, itself, seq), 1);
    if (seqs.length === 0) this.#byMark.delete(mark);
  }
}

const seqOf = (entry: Entry) => entry.seq;
const itself = (seq: number) => seq;

/** Of entries found one by one, in any order and perhaps more than once, those that a range asks for. */
function among(found: readonly (Entry | undefined)[], range: LogRange): Entry[] {
  const entries = [...new Set(found)]
    .filter((entry) => entry !== undefined)
    .filter(({ mark }) => range.mark === undefined || mark === range.mark)
    .sort((a, b) => a.seq - b.seq);
  return page(entries, seqOf, range);
}

/** Of items sorted by seq, those that a range asks for: as many as its limit, from its end. */
function page<T>(
  items: readonly T[],
  seqOfItem: (item: T) => number,
  { after, before, limit, reverse }: LogRange,
): T[] {
  const from = after === undefined ? 0 : placeOf(items, seqOfItem, after + 1);
  const to = before === undefined ? items.length : Math.max(from, placeOf(items, seqOfItem, before));
  return reverse
    ? items.slice(Math.max(from, to - limit), to).reverse()
    : items.slice(from, Math.min(to, from + limit));
}

/** The index of the first item whose seq is at least `seq`. */
function placeOf<T>(items: readonly T[], seqOfItem: (item: T) => number, seq: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (seqOfItem(items[middle]!) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
