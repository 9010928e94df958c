/** Which tool call belongs to which result. */
import type { Message, Part, ToolCallPart, ToolResultPart } from '../model/message.ts';
import type { OutReason } from '../model/window.ts';

/** How many messages before a result its call is looked for. */
export const MAX_SPAN = 256;

/** What becomes of messages, by their indexes. */
export interface Pairing {
  /** Each a message alone, or one with calls and those with their results. */
  groups: number[][];
  /** The parts to leave out of a message: calls and results that lack their other half. */
  omitted: (number[] | undefined)[];
  /** Messages of which nothing is left. */
  dropped: [index: number, reason: OutReason][];
}

/** Whether a message is, or might be, one half of a tool call and its result. */
export function isToolHalf({ role, content }: Message): boolean {
  return role === 'tool' || (typeof content !== 'string' && content.some(isHalf));
}

/** Parts of the AI SDK's tool approvals go together like calls and results do. */
function isHalf({ type }: Part): boolean {
  return isAnswer(type) || type === 'tool-call' || type === 'tool-approval-request';
}

function isAnswer(type: string): boolean {
  return type === 'tool-result' || type === 'tool-approval-response';
}

/** What the results in a tool's message have in common with their calls. */
export function resultKeysOf({ role, content }: Message): string[] {
  if (role !== 'tool' || typeof content === 'string') return [];
  return content.filter(({ type }) => isAnswer(type)).map(keyOf);
}

export function callKeysOf({ role, content }: Message): string[] {
  if (role !== 'assistant' || typeof content === 'string') return [];
  return content.filter((part) => isHalf(part) && !isAnswer(part.type)).map(keyOf);
}

/** Legacy function calls have no id, only a name. */
function keyOf(part: Part): string {
  if (part.type.startsWith('tool-approval')) return `approval ${String(part.approvalId)}`;
  const { toolCallId, toolName } = part as ToolCallPart | ToolResultPart;
  return toolCallId === '' ? `name ${toolName}` : `id ${toolCallId}`;
}

/** Finds each result's call, the nearest one before it. @param messages in chronological order */
export function pairUp(messages: readonly Message[]): Pairing {
  const pairs = new Pairs();
  for (let index = messages.length - 1; index >= 0; index--) {
    const { role, content } = messages[index]!;
    if (typeof content === 'string') continue;
    if (role === 'tool') pairs.addResults(index, content);
    else if (role === 'assistant') pairs.addCalls(index, content);
  }
  const pairing: Pairing = { groups: [], omitted: [], dropped: [] };
  const groups = new Map<number, number[]>();
  for (const [index, message] of messages.entries()) {
    const halves = pairs.without(message);
    const reason = reasonToDrop(message, halves);
    if (reason) {
      pairing.dropped.push([index, reason]);
      continue;
    }
    if (halves.length > 0) pairing.omitted[index] = halves;
    const owner = pairs.owners.get(index) ?? index;
    const group = groups.get(owner);
    if (group) group.push(index);
    else groups.set(owner, [index]);
  }
  pairing.groups = [...groups.values()];
  return pairing;
}

/** Calls and results that have found each other, from the newest to the oldest. */
class Pairs {
  /** Of each message with results, the one with their calls: a message can't stand behind two. */
  readonly owners = new Map<number, number>();
  readonly #matched = new Set<Part>();
  readonly #pending = new Map<string, { index: number; part: Part }>();

  addResults(index: number, content: readonly Part[]): void {
    for (const part of content.toReversed()) {
      if (!isAnswer(part.type)) continue;
      const key = keyOf(part);
      // A call that was answered twice: the newer answer counts.
      const known = this.#pending.get(key);
      if (!known || known.index - index >= MAX_SPAN) this.#pending.set(key, { index, part });
    }
  }

  addCalls(index: number, content: readonly Part[]): void {
    const calls = content.filter((part) => isHalf(part) && !isAnswer(part.type));
    const seen = new Set<string>();
    for (const call of calls) {
      const key = keyOf(call);
      if (seen.has(key)) continue;
      seen.add(key);
      const result = this.#takePending(key, index) ?? ownResult(content, call, key);
      if (result) this.#matched.add(call).add(result);
    }
    this.#admitApproved(calls);
  }

  /** The indexes of a message's halves without the other. */
  without({ content }: Message): number[] {
    if (typeof content === 'string') return [];
    return content.flatMap((part, index) => (isHalf(part) && !this.#matched.has(part) ? [index] : []));
  }

  #takePending(key: string, callIndex: number): Part | undefined {
    const result = this.#pending.get(key);
    this.#pending.delete(key);
    if (!result || result.index - callIndex >= MAX_SPAN) return undefined;
    if ((this.owners.get(result.index) ?? callIndex) !== callIndex) return undefined;
    this.owners.set(result.index, callIndex);
    return result.part;
  }

  /** A call that a person has decided on is answered by that, until the tool has run. */
  #admitApproved(calls: readonly Part[]): void {
    const approved = calls
      .filter(({ type }) => type === 'tool-approval-request')
      .filter((part) => this.#matched.has(part));
    for (const call of calls) {
      if (approved.some((request) => request.toolCallId === call.toolCallId)) this.#matched.add(call);
    }
  }
}

/** What a provider's own tool has answered stands in the same message, behind the call. */
function ownResult(content: readonly Part[], call: Part, key: string): Part | undefined {
  return content
    .slice(content.indexOf(call))
    .find((part) => part.type === 'tool-result' && keyOf(part) === key);
}

/** Why nothing of a message can be sent, when its unmatched halves are left out. */
function reasonToDrop({ role, content }: Message, without: readonly number[]): OutReason | undefined {
  if (typeof content === 'string') return role === 'tool' ? 'orphaned-tool-result' : undefined;
  const kept = content.filter((_, index) => !without.includes(index));
  if (role === 'tool') return kept.some(({ type }) => isAnswer(type)) ? undefined : 'orphaned-tool-result';
  if (without.length === 0 || kept.some(saysSomething)) return undefined;
  return content[without[0]!]!.type === 'tool-call' ? 'unanswered-tool-call' : 'orphaned-tool-result';
}

/** Reasoning alone, or an empty text, is no message. */
function saysSomething({ type, text }: Part): boolean {
  return type !== 'reasoning' && !(type === 'text' && typeof text === 'string' && text.trim() === '');
}
