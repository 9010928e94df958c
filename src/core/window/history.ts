import type { KeptCompaction } from '../compaction/compaction-log.ts';
import { withMarkers } from '../compaction/marker.ts';
import { isIn, readsOf } from '../compaction/ranges.ts';
import { renderSummary, summaryMessage } from '../compaction/summary.ts';
import { entriesAt, toMessage } from '../messages/entries.ts';
import type { Offload } from '../model/compaction.ts';
import { marks } from '../partitions.ts';
import type { Entry, LogBounds, LogPage, LogRange, Partition, Store } from '../store.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { TokenLedger } from '../tokens/ledger.ts';
import { countMessage } from '../tokens/message-tokens.ts';
import { type Counted, type Dropped, type Group, GroupReader, groupOf } from './groups.ts';
import { lastUserTurn } from './last-user-turn.ts';
import { isToolHalf, MAX_SPAN } from './pairing.ts';

/** Pages read from the log's end are as long as the budget makes likely, within these. */
const SHORTEST_PAGE = 32;
const LONGEST_PAGE = 512;
/** What a message costs, by a cautious guess: a page too long is cheaper than one more page. */
const TOKENS_A_MESSAGE = 48;
/** How many messages at the log's beginning are looked at for the system prompt. */
const SYSTEM_PAGE = 4;
/** Kept messages with no more than so many between them are read together. */
const NEAR = 32;

/** Where a history is, and how it is counted. */
export interface HistorySource {
  store: Store;
  partition: Partition;
  log: string;
  ledger: TokenLedger;
  counter: TokenCounter;
  sessionVersion: number;
  /** The log's end, for a window of the past; the real one where absent. */
  atSeq?: number | undefined;
  /** What stands for the log's older part. */
  compaction?: KeptCompaction | undefined;
}

/** A log as a window sees it: up to a seq, counted by one counter, read only as far as is needed. */
export class History {
  readonly #source: HistorySource;
  readonly #bounds: LogBounds;
  readonly #firstPage: readonly Entry[];
  readonly #reader: GroupReader;
  readonly #offloads: ReadonlyMap<number, Offload[]>;
  /** The log ends here for this window. */
  readonly atSeq: number;
  /** Up to this seq a compaction stands for the log; 0 where there is none. */
  readonly floor: number;
  /** The seq of the oldest message read from the log's end that stands in a group, or was left out. */
  oldestRead: number;
  #readCount = 0;

  private constructor(source: HistorySource, { entries, ...bounds }: LogPage) {
    this.#source = source;
    this.#bounds = bounds;
    this.atSeq = Math.min(source.atSeq ?? bounds.lastSeq, bounds.lastSeq);
    this.#firstPage = entries.filter((entry) => entry.seq <= this.atSeq);
    this.oldestRead = this.atSeq + 1;
    this.#reader = new GroupReader((message) => countMessage(source.counter, message));
    this.floor = source.compaction?.uptoSeq ?? 0;
    this.#offloads = offloadsOf(source.compaction);
  }

  static async open(source: HistorySource): Promise<History> {
    return new History(
      source,
      await source.store.readLog(source.partition, source.log, { limit: SYSTEM_PAGE }),
    );
  }

  /** The system messages that the log begins with. */
  async system(): Promise<Counted[]> {
    const found: Entry[] = [];
    for (
      let page = this.#firstPage;
      ;
      page = await this.#entries({ after: found.at(-1)!.seq, limit: SYSTEM_PAGE })
    ) {
      const other = page.findIndex((entry) => toMessage(entry).role !== 'system');
      found.push(...page.slice(0, other < 0 ? page.length : other));
      if (other >= 0 || page.length < SYSTEM_PAGE) return this.#counted(found);
    }
  }

  /** All pinned messages, however old, in chronological order. */
  async pinned(): Promise<Counted[]> {
    const found: Counted[] = [];
    for (let after = 0; ; after = found.at(-1)!.message.seq) {
      const page = await this.#read({ mark: marks.pinned, after, limit: LONGEST_PAGE });
      found.push(...page);
      if (page.length < LONGEST_PAGE) return found;
    }
  }

  /** The text that stands for the older part, as a message. */
  summary(): Counted | undefined {
    const { compaction, counter } = this.#source;
    if (!compaction?.summary) return undefined;
    const message = summaryMessage(compaction, renderSummary(compaction.summary));
    const tokens = countMessage(counter, message);
    return { message: { ...message, tokens }, tokens, version: Number(compaction.id) };
  }

  /** Messages of high priority from before a seq, newest first, page by page; none that a compaction left out. */
  async *highPriority(before: number): AsyncGenerator<Counted> {
    const kept = this.#source.compaction?.kept ?? [];
    const oldest = kept[0]?.[0] ?? this.floor + 1;
    for (let end = before; end > oldest; ) {
      const page = await this.#read({ mark: marks.high, before: end, limit: SHORTEST_PAGE, reverse: true });
      for (const item of page) if (item.message.seq > this.floor || isIn(kept, item.message.seq)) yield item;
      if (page.length < SHORTEST_PAGE) return;
      end = page.at(-1)!.message.seq;
    }
  }

  /**
   * Groups from the newest to the oldest, page by page: down to a compaction, and what that one kept. Stop iterating,
   * and no more is read.
   * @param budget how many tokens are looked for: about so much is in the first page
   */
  async *newestFirst(budget: number): AsyncGenerator<Group[]> {
    const guess = Math.ceil(budget / TOKENS_A_MESSAGE);
    let before = this.oldestRead;
    let read = 0;
    for (
      let limit = Math.min(Math.max(guess, SHORTEST_PAGE), LONGEST_PAGE);
      ;
      limit = Math.min(limit * 2, LONGEST_PAGE)
    ) {
      const page = await this.#read({ before, after: this.floor, limit, reverse: true });
      const groups: Group[] = [];
      for (const item of page) {
        before = item.message.seq;
        read++;
        groups.push(...this.#reader.take(item));
        if (this.#reader.idle) this.#readUpTo(before, read);
      }
      const ended = page.length < limit;
      if (ended) {
        for (const item of await this.#kept()) groups.push(...this.#reader.take(item));
        groups.push(...this.#reader.end());
        this.#readUpTo(before, read);
      }
      yield groups;
      if (ended) return;
    }
  }

  #readUpTo(seq: number, count: number): void {
    this.oldestRead = seq;
    this.#readCount = count;
  }

  /** The newest user message before what was read. */
  async lastUser(): Promise<Counted | undefined> {
    const { store, partition, log } = this.#source;
    const entry = await lastUserTurn(store, partition, log, this.oldestRead);
    return entry && (await this.#counted([entry]))[0];
  }

  /** Messages that were read, but can't be sent: they stand in no group. */
  get dropped(): readonly Dropped[] {
    return this.#reader.dropped.filter(({ message }) => message.seq >= this.oldestRead);
  }

  /** Messages that can't be sent after all, since what they belong with stands elsewhere. */
  giveUp(items: readonly Counted[]): void {
    for (const { message, tokens } of items) {
      const reason = message.role === 'tool' ? 'orphaned-tool-result' : 'unanswered-tool-call';
      this.#reader.dropped.push({ message, tokens, reason });
    }
  }

  /** Calls that may yet be answered: a result finds its call so far away. */
  get waiting(): number[] {
    const waiting = this.#reader.dropped.filter(({ reason }) => reason === 'unanswered-tool-call');
    return waiting.map(({ message }) => message.seq).filter((seq) => seq > this.atSeq - MAX_SPAN);
  }

  /** The group of a message that was found by its mark; undefined when it is half of a tool call without the other. */
  async groupOf(item: Counted): Promise<Group | undefined> {
    if (!isToolHalf(item.message)) return groupOf([item]);
    const { seq } = item.message;
    // As far as its call may be, and as far as that one's results may be.
    const [older, newer] = await Promise.all([
      this.#read({ before: seq + 1, limit: MAX_SPAN + 1, reverse: true }),
      this.#read({ after: seq, limit: MAX_SPAN }),
    ]);
    const reader = new GroupReader((message) => countMessage(this.#source.counter, message));
    const groups = [...newer.reverse(), ...older].flatMap((other) => reader.take(other));
    return [...groups, ...reader.end()].find((group) =>
      group.items.some((other) => other.message.seq === seq),
    );
  }

  /** How many messages were not read, from the log's beginning or a compaction on. */
  get unread(): { count: number; firstSeq: number } {
    const { firstSeq, lastSeq, count } = this.#bounds;
    const { covered } = this;
    const from = covered > 0 ? this.floor + 1 : firstSeq;
    // Of a window at an earlier seq, only the seqs tell; truncations may have left holes in them.
    const unread = this.atSeq === lastSeq ? count - covered - this.#readCount : this.oldestRead - from;
    return { firstSeq: from, count: Math.max(0, unread) };
  }

  /** How many messages there are in all; of a window at an earlier seq only the seqs tell. */
  get length(): number {
    const { firstSeq, lastSeq, count } = this.#bounds;
    return this.atSeq === lastSeq ? count : this.atSeq - firstSeq + 1;
  }

  get firstSeq(): number {
    return this.#bounds.firstSeq;
  }

  /** How many messages a compaction stands for, those that it keeps among them. */
  get covered(): number {
    return this.#source.compaction?.covered ?? 0;
  }

  /** A message with parts of it as markers. */
  offload(item: Counted, offloads: readonly Offload[]): Counted {
    const offloaded = [...(item.offloaded ?? []), ...offloads];
    const message = withMarkers(item.message, offloads, item.omitted);
    const tokens = countMessage(this.#source.counter, message);
    return { ...item, message: { ...message, tokens }, tokens, offloaded, whole: item.whole ?? item.message };
  }

  /** What a compaction keeps, newest first. */
  async #kept(): Promise<Counted[]> {
    const kept = this.#source.compaction?.kept ?? [];
    const found = await Promise.all(
      readsOf(kept, NEAR, LONGEST_PAGE).map(([from, to]) =>
        this.#read({ after: from - 1, before: to + 1, limit: to - from + 1, reverse: true }),
      ),
    );
    return found.reverse().flatMap((page) => page.filter(({ message }) => isIn(kept, message.seq)));
  }

  /** When the last message of a window of the past was said: later memories are not of that time. */
  async endedAt(): Promise<number | undefined> {
    if (this.atSeq === this.#bounds.lastSeq) return undefined;
    const [last] = await this.olderThan(this.atSeq + 1, 1);
    return last?.message.createdAt ?? 0;
  }

  /** Up to `limit` messages before a seq, newest first. */
  async olderThan(seq: number, limit: number): Promise<Counted[]> {
    return this.#read({ before: seq, limit, reverse: true });
  }

  /** The messages of given seqs, as they are now; those that are gone are left out. */
  async at(seqs: readonly number[]): Promise<Map<number, Counted>> {
    const { store, partition, log } = this.#source;
    const wanted = seqs.filter((seq) => seq <= this.atSeq);
    const items = await this.#counted([...(await entriesAt(store, partition, log, wanted)).values()]);
    return new Map(items.map((item) => [item.message.seq, item]));
  }

  async #read(range: LogRange): Promise<Counted[]> {
    return this.#counted(await this.#entries(range));
  }

  async #entries(range: LogRange): Promise<readonly Entry[]> {
    const { store, partition, log } = this.#source;
    const end = this.atSeq + 1;
    const before = range.before === undefined ? end : Math.min(range.before, end);
    const { entries } = await store.readLog(partition, log, { ...range, before });
    return entries;
  }

  async #counted(entries: readonly Entry[]): Promise<Counted[]> {
    const { ledger, counter } = this.#source;
    const counts = await ledger.count(this.#source, entries, counter);
    return entries.map((entry, i) => {
      const message = toMessage(entry);
      const tokens = counts[i]!;
      message.tokens = tokens;
      const item: Counted = { message, tokens, version: entry.version };
      const offloads = this.#offloads.get(entry.seq);
      return offloads && !message.pinned ? this.offload(item, offloads) : item;
    });
  }
}

function offloadsOf(compaction: KeptCompaction | undefined): Map<number, Offload[]> {
  const found = new Map<number, Offload[]>();
  for (const [seq, ...offload] of compaction?.offloaded ?? [])
    found.set(seq, [...(found.get(seq) ?? []), offload]);
  return found;
}
