import type { Message, Part, ToolCallPart, ToolResultPart } from '../model/message.ts';
import type { OutReason } from '../model/window.ts';

/** A message with its cost. `version` is that of its text in the log. */
export interface Counted {
  message: Message;
  tokens: number;
  version: number;
  /** Part of the message was left out. */
  trimmed?: OutReason;
}

/** Messages that stay together: one message, or tool calls with their results. In chronological order. */
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

/** How far back a result's call is looked for. */
const MAX_SPAN = 256;

/**
 * Puts messages together into groups while they are read from the newest to the oldest. A provider rejects a request
 * whose tool calls and results don't match, so:
 * - a call and its results are one group, calls first, results right behind them, and whatever came in between after;
 * - a result belongs to the nearest call before it: ids repeat in real conversations;
 * - a call that was never answered is left out, and so is a result without a call.
 */
export class GroupReader {
  readonly #recount: (message: Message) => number;
  readonly dropped: Dropped[] = [];
  /** Newest first: messages that wait for the call of a result among them. */
  #open: Counted[] = [];
  /** Results whose call is looked for. */
  readonly #wanted = new Map<string, ToolResultPart>();

  /** @param recount the tokens of a message of which a part was left out */
  constructor(recount: (message: Message) => number) {
    this.#recount = recount;
  }

  /** Takes the next older message; gives the groups that are complete by it, newest first. */
  take(item: Counted): Group[] {
    const calls = callsOf(item.message);
    const isResult = item.message.role === 'tool';
    if (this.#wanted.size === 0 && calls.length === 0 && !isResult) return [groupOf([item])];
    const kept = isResult ? this.#takeResults(item) : this.#takeCalls(item, calls);
    if (kept) this.#open.push(kept);
    if (this.#wanted.size === 0) return this.#close();
    return this.#open.length >= MAX_SPAN ? this.end() : [];
  }

  /** Gives what is left when there are no older messages; results whose call was not found are left out. */
  end(): Group[] {
    const orphans = new Set<Part>(this.#wanted.values());
    const items = this.#open;
    this.#open = [];
    this.#wanted.clear();
    // Without the orphans every result has its call among these.
    return items.flatMap((item) => {
      const kept = this.#without(item, orphans, 'orphaned-tool-result');
      return kept ? this.take(kept) : [];
    });
  }

  /** Whether everything taken so far stands in a group, or was left out. */
  get idle(): boolean {
    return this.#open.length === 0;
  }

  #takeResults(item: Counted): Counted | undefined {
    const doubled = new Set<Part>();
    for (const result of resultsOf(item.message)) {
      const key = keyOf(result);
      // A call that was answered twice: the newer answer counts.
      if (this.#wanted.has(key)) doubled.add(result);
      else this.#wanted.set(key, result);
    }
    return this.#without(item, doubled, 'orphaned-tool-result');
  }

  #takeCalls(item: Counted, calls: readonly ToolCallPart[]): Counted | undefined {
    const own = new Set(resultsOf(item.message).map(keyOf));
    const unanswered = calls.filter((call) => !this.#wanted.delete(keyOf(call)) && !own.has(keyOf(call)));
    return this.#without(item, new Set<Part>(unanswered), 'unanswered-tool-call');
  }

  /** The message without some of its parts; undefined when nothing that says something is left. */
  #without(item: Counted, parts: ReadonlySet<Part>, reason: OutReason): Counted | undefined {
    const { content } = item.message;
    if (typeof content === 'string' || !content.some((part) => parts.has(part))) return item;
    const kept = content.filter((part) => !parts.has(part));
    if (kept.every((part) => part.type === 'reasoning')) {
      this.dropped.push({ message: item.message, tokens: item.tokens, reason });
      return undefined;
    }
    const message = { ...item.message, content: kept };
    return { ...item, message, tokens: this.#recount(message), trimmed: reason };
  }

  #close(): Group[] {
    const items = this.#open.reverse();
    this.#open = [];
    if (items.length === 0) return [];
    const together = items.filter(isToolPart);
    const between = items.filter((item) => !isToolPart(item));
    return [groupOf([...together, ...between])];
  }
}

/** Whether a message is one half of a tool call and its result. */
export function isToolPart({ message }: Pick<Counted, 'message'>): boolean {
  return message.role === 'tool' || callsOf(message).length > 0;
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

function callsOf({ role, content }: Message): ToolCallPart[] {
  if (role !== 'assistant' || typeof content === 'string') return [];
  return content.filter((part): part is ToolCallPart => part.type === 'tool-call');
}

function resultsOf({ content }: Message): ToolResultPart[] {
  if (typeof content === 'string') return [];
  return content.filter((part): part is ToolResultPart => part.type === 'tool-result');
}

/** What a call and its result have in common. Legacy function calls have no id, only a name. */
function keyOf({ toolCallId, toolName }: ToolCallPart | ToolResultPart): string {
  return toolCallId === '' ? `name ${toolName}` : `id ${toolCallId}`;
}
