import type { Offload } from '../model/compaction.ts';
import type { Message, Part } from '../model/message.ts';
import type { InReason, OutReason } from '../model/window.ts';
import { callKeysOf, isToolHalf, MAX_SPAN, pairUp, resultKeysOf } from './pairing.ts';

/** A message with its cost. `version` is that of its text in the log. */
export interface Counted {
  message: Message;
  tokens: number;
  version: number;
  /** Why a part of the message was left out. */
  trimmed?: OutReason;
  /** The indexes of the parts that were left out. */
  omitted?: number[];
  /** The parts that stand as markers, by their indexes in the message as it is in the log. */
  offloaded?: Offload[];
  /** Where some stand as markers: the message without those. */
  whole?: Message;
}

/** Messages that stay together: one message, or tool calls with their results right behind them. */
export interface Group {
  items: Counted[];
  tokens: number;
  /** The smallest seq among them. */
  firstSeq: number;
}

export interface Dropped {
  message: Message;
  tokens: number;
  reason: OutReason;
}

/**
 * Puts messages together into groups while they are read from the newest to the oldest. A provider rejects a request
 * whose tool calls and results don't match, so:
 * - a message with calls and the messages with their results are one group, whatever came in between stands after it;
 * - a result belongs to the nearest call before it, at most {@link MAX_SPAN} messages away: ids repeat;
 * - a call that was never answered is left out, and so is a result without a call.
 */
export class GroupReader {
  readonly #recount: (message: Message) => number;
  readonly dropped: Dropped[] = [];
  /** Newest first: messages that wait for the call of a result among them. */
  #open: Counted[] = [];
  /** Results whose call is looked for, the newest first: where each was read. */
  readonly #wanted = new Map<string, number>();
  #position = 0;

  /** @param recount the tokens of a message of which a part was left out */
  constructor(recount: (message: Message) => number) {
    this.#recount = recount;
  }

  /** Takes the next older message; gives the groups that are complete by it, newest first. */
  take(item: Counted): Group[] {
    this.#position++;
    if (this.#open.length === 0 && !isToolHalf(item.message))
      return [{ items: [item], tokens: item.tokens, firstSeq: item.message.seq }];
    this.#open.push(item);
    for (const [key, position] of this.#wanted) {
      if (this.#position - position < MAX_SPAN) break;
      this.#wanted.delete(key);
    }
    for (const key of resultKeysOf(item.message)) {
      if (!this.#wanted.has(key)) this.#wanted.set(key, this.#position);
    }
    for (const key of callKeysOf(item.message)) this.#wanted.delete(key);
    return this.#wanted.size === 0 ? this.end() : [];
  }

  /** Gives what is left when there are no older messages; results whose call was not found are left out. */
  end(): Group[] {
    const items = this.#open.reverse();
    this.#open = [];
    this.#wanted.clear();
    const together = pairUp(items.map((item) => item.message));
    const groups = together.groups.map((indexes) =>
      groupOf(indexes.map((index) => this.#without(items[index]!, together.omitted[index]))),
    );
    for (const [index, reason] of together.dropped) {
      const { message, tokens } = items[index]!;
      this.dropped.push({ message, tokens, reason });
    }
    return groups.sort((a, b) => lastSeq(b) - lastSeq(a));
  }

  /** Whether everything taken so far stands in a group, or was left out. */
  get idle(): boolean {
    return this.#open.length === 0;
  }

  #without(item: Counted, omitted: readonly number[] | undefined): Counted {
    if (!omitted) return item;
    const message = withoutParts(item.message, omitted);
    const tokens = this.#recount(message);
    const first = (item.message.content as Part[])[omitted[0]!]!;
    const trimmed = first.type === 'tool-call' ? 'unanswered-tool-call' : 'orphaned-tool-result';
    return { ...item, message: { ...message, tokens }, tokens, trimmed, omitted: [...omitted] };
  }
}

/** A message without the parts at some indexes. What its format says beyond our fields goes by them, and goes too. */
export function withoutParts(message: Message, omitted: readonly number[]): Message {
  const { wire: _, content, ...rest } = message;
  return { ...rest, content: (content as Part[]).filter((_, index) => !omitted.includes(index)) };
}

/** What a group is worth: the highest priority in it; low only where all of it is. */
export type Rank = 'high' | 'normal' | 'low';

/** A group with what became of it: without a reason it is left out. */
export interface Candidate extends Group {
  rank: Rank;
  reason?: InReason;
}

export function rankOf({ items }: Group): Rank {
  let low = true;
  for (const { message } of items) {
    if (message.priority === 'high') return 'high';
    if (message.priority !== 'low') low = false;
  }
  return low ? 'low' : 'normal';
}

export function groupOf(items: Counted[]): Group {
  let tokens = 0;
  let firstSeq = Number.POSITIVE_INFINITY;
  for (const item of items) {
    tokens += item.tokens;
    firstSeq = Math.min(firstSeq, item.message.seq);
  }
  return { items, tokens, firstSeq };
}

function lastSeq({ items }: Group): number {
  return items.at(-1)!.message.seq;
}
