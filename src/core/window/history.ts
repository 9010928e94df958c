import { toMessage } from '../messages/messages.ts';
import { marks } from '../partitions.ts';
import type { Entry, LogRange, Partition, Store } from '../store.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { TokenLedger } from '../tokens/ledger.ts';
import { countMessage } from '../tokens/message-tokens.ts';
import { type Counted, type Dropped, type Group, GroupReader, groupOf, isToolPart } from './groups.ts';

/** The first page read from the log's end; further ones are larger, up to the last. */
const FIRST_PAGE = 64;
const LARGEST_PAGE = 512;
/** How many messages at the log's beginning are looked at for the system prompt. */
const SYSTEM_PAGE = 4;

/** A log as a window sees it: up to a seq, counted by one counter, read only as far as is needed. */
export class History {
  readonly #store: Store;
  readonly #partition: Partition;
  readonly #log: string;
  readonly #ledger: TokenLedger;
  readonly #counter: TokenCounter;
  /** Entries from here on don't exist for this window. */
  readonly #end: number;
  /** The seq of the oldest message that was read from the log's end. */
  oldestRead: number;
  #readCount = 0;
  readonly #reader: GroupReader;

  constructor(source: {
    store: Store;
    partition: Partition;
    log: string;
    ledger: TokenLedger;
    counter: TokenCounter;
    atSeq: number;
  }) {
    this.#store = source.store;
    this.#partition = source.partition;
    this.#log = source.log;
    this.#ledger = source.ledger;
    this.#counter = source.counter;
    this.#end = source.atSeq + 1;
    this.oldestRead = this.#end;
    this.#reader = new GroupReader((message) => countMessage(source.counter, message));
  }

  /** The system messages that the log begins with. */
  async system(): Promise<Counted[]> {
    const found: Counted[] = [];
    for (let after = 0; ; after = found.at(-1)!.message.seq) {
      const page = await this.#read({ after, limit: SYSTEM_PAGE });
      const other = page.findIndex((item) => item.message.role !== 'system');
      found.push(...page.slice(0, other < 0 ? page.length : other));
      if (other >= 0 || page.length < SYSTEM_PAGE) return found;
    }
  }

  /** All pinned messages, however old, in chronological order. */
  async pinned(): Promise<Counted[]> {
    const found: Counted[] = [];
    for (let after = 0; ; after = found.at(-1)!.message.seq) {
      const page = await this.#read({ mark: marks.pinned, after, limit: LARGEST_PAGE });
      found.push(...page);
      if (page.length < LARGEST_PAGE) return found;
    }
  }

  /** Messages of high priority from before a seq, newest first, page by page. */
  async *highPriority(before: number): AsyncGenerator<Counted> {
    for (let end = before; ; ) {
      const page = await this.#read({ mark: marks.high, before: end, limit: FIRST_PAGE, reverse: true });
      yield* page;
      if (page.length < FIRST_PAGE) return;
      end = page.at(-1)!.message.seq;
    }
  }

  /** Groups from the newest to the oldest, page by page. Stop iterating, and no more is read. */
  async *newestFirst(): AsyncGenerator<Group> {
    for (let limit = FIRST_PAGE; ; limit = Math.min(limit * 2, LARGEST_PAGE)) {
      const page = await this.#read({ before: this.oldestRead, limit, reverse: true });
      for (const item of page) {
        this.oldestRead = item.message.seq;
        this.#readCount++;
        yield* this.#reader.take(item);
      }
      if (page.length < limit) break;
    }
    yield* this.#reader.end();
  }

  /** Messages that were read, but can't be sent: they stand in no group. */
  get dropped(): readonly Dropped[] {
    return this.#reader.dropped;
  }

  /** The group of a message that was found by its mark; undefined when it is half of a tool call without the other. */
  async groupOf(item: Counted): Promise<Group | undefined> {
    if (!isToolPart(item)) return groupOf([item]);
    const { seq } = item.message;
    const around = await this.#read({
      after: Math.max(0, seq - FIRST_PAGE),
      before: seq + FIRST_PAGE,
      limit: FIRST_PAGE * 2,
      reverse: true,
    });
    const reader = new GroupReader((message) => countMessage(this.#counter, message));
    const groups = [...around.flatMap((other) => reader.take(other)), ...reader.end()];
    return groups.find((group) => group.items.some((other) => other.message.seq === seq));
  }

  /** How many messages were not read, from the log's beginning on. */
  async unread(): Promise<{ count: number; firstSeq: number }> {
    const { firstSeq, lastSeq, count } = await this.#store.readLog(this.#partition, this.#log, { limit: 0 });
    // Of a window at an earlier seq, only the seqs tell; truncations may have left holes in them.
    return {
      firstSeq,
      count: this.#end > lastSeq ? count - this.#readCount : Math.max(0, this.oldestRead - firstSeq),
    };
  }

  /** Up to `limit` messages before a seq, newest first. */
  async olderThan(seq: number, limit: number): Promise<Counted[]> {
    return this.#read({ before: seq, limit, reverse: true });
  }

  /** The messages of given seqs, as they are now; those that are gone are left out. */
  async at(seqs: readonly number[]): Promise<Map<number, Counted>> {
    const found = new Map<number, Counted>();
    for (const seq of seqs) {
      const [item] = await this.#read({ after: seq - 1, before: seq + 1, limit: 1 });
      if (item) found.set(seq, item);
    }
    return found;
  }

  async #read(range: LogRange): Promise<Counted[]> {
    const before = Math.min(range.before ?? this.#end, this.#end);
    const { entries } = await this.#store.readLog(this.#partition, this.#log, { ...range, before });
    return this.#counted(entries);
  }

  async #counted(entries: readonly Entry[]): Promise<Counted[]> {
    const tokens = await this.#ledger.count(this.#partition, this.#log, entries, this.#counter);
    return entries.map((entry, i) => ({
      message: { ...toMessage(entry), tokens: tokens[i]! },
      tokens: tokens[i]!,
      version: entry.version,
    }));
  }
}
