import { toMessage } from '../messages/entries.ts';
import type { Message } from '../model/message.ts';
import { messageLog, TIMELINE_LOG } from '../partitions.ts';
import type { Entry, Partition, Store } from '../store.ts';
import { type TimelineUpdate, toTimelineUpdate } from './update.ts';

/** What happened in a session: an update, or a message of its conversation. */
export type TimelineItem =
  | { kind: 'update'; timestamp: number; update: TimelineUpdate }
  | { kind: 'message'; timestamp: number; message: Message };

export interface TimelineOptions {
  /** The `next` of the page before. */
  after?: string | undefined;
  /** 1 to 1000; 50 where absent. */
  limit?: number | undefined;
  /** Only updates of these types; `message` stands for the messages of the conversation, too. */
  types?: readonly string[] | undefined;
  /** The newest first; false where absent. */
  reverse?: boolean | undefined;
}

/** Where a page ended, in both logs: seqs, exclusive. */
export interface TimelinePlace {
  messages: number;
  updates: number;
}

/** So many entries are read at once, at most. */
const PAGE = 200;

/** One of the two logs, from some place on. */
class Side {
  readonly #read: (place: number) => Promise<readonly Entry[]>;
  readonly #item: (entry: Entry) => TimelineItem;
  #items: TimelineItem[] = [];
  #seqs: number[] = [];
  #next: number;
  #done = false;
  /** The last entry that was taken. */
  place: number;

  constructor(
    place: number,
    read: (place: number) => Promise<readonly Entry[]>,
    item: (e: Entry) => TimelineItem,
  ) {
    this.place = place;
    this.#next = place;
    this.#read = read;
    this.#item = item;
  }

  async head(): Promise<TimelineItem | undefined> {
    if (this.#items.length === 0 && !this.#done) {
      const entries = await this.#read(this.#next);
      this.#done = entries.length === 0;
      this.#items = entries.map(this.#item).reverse();
      this.#seqs = entries.map(({ seq }) => seq).reverse();
      this.#next = entries.at(-1)?.seq ?? this.#next;
    }
    return this.#items.at(-1);
  }

  take(): void {
    this.#items.pop();
    this.place = this.#seqs.pop()!;
  }
}

/**
 * Messages and updates of a session, merged by time. Each of the two logs keeps its own order, whatever the clocks that
 * dated them.
 */
export async function readTimeline(
  store: Store,
  partition: Partition,
  {
    limit,
    types,
    reverse,
    from,
  }: {
    limit: number;
    types: ReadonlySet<string> | undefined;
    reverse: boolean;
    from: TimelinePlace | undefined;
  },
): Promise<{ items: TimelineItem[]; next?: TimelinePlace }> {
  const reader = (log: string) => async (place: number) => {
    const beyond = reverse ? (place === 0 ? {} : { before: place }) : { after: place };
    // Of some types only, a page may be made of many entries.
    const size = types ? PAGE : Math.min(limit, PAGE);
    return (await store.readLog(partition, log, { ...beyond, limit: size, reverse })).entries;
  };
  const nothing = async () => [];
  const wantsMessages = !types || types.has('message');
  const messages = new Side(from?.messages ?? 0, wantsMessages ? reader(messageLog()) : nothing, messageItem);
  const updates = new Side(from?.updates ?? 0, reader(TIMELINE_LOG), updateItem);
  const items: TimelineItem[] = [];
  for (;;) {
    const [message, update] = await Promise.all([messages.head(), updates.head()]);
    const first = earlier(message, update, reverse);
    if (!first) return { items };
    if (items.length === limit) {
      return { items, next: { messages: messages.place, updates: updates.place } };
    }
    (first.kind === 'message' ? messages : updates).take();
    const wanted = first.kind === 'message' || !types || types.has(first.update.updateType);
    if (wanted) items.push(first);
  }
}

function earlier(a: TimelineItem | undefined, b: TimelineItem | undefined, reverse: boolean) {
  if (!a || !b) return a ?? b;
  const aFirst = a.timestamp <= b.timestamp;
  return aFirst === reverse ? b : a;
}

function messageItem(entry: Entry): TimelineItem {
  const message = toMessage(entry);
  return { kind: 'message', timestamp: message.createdAt, message };
}

function updateItem(entry: Entry): TimelineItem {
  const update = toTimelineUpdate(entry);
  return { kind: 'update', timestamp: update.timestamp, update };
}
