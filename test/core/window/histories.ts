/** Random histories as agents leave them, and what every window on one must keep to. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { TokenCounter } from '../../../src/core/tokens/counter.ts';
import { countMessage, PER_REQUEST } from '../../../src/core/tokens/message-tokens.ts';
import { withoutParts } from '../../../src/core/window/groups.ts';
import { pairUp } from '../../../src/core/window/pairing.ts';
import type { ContextEngine, ContextWindow, Message, MessageInput, Part } from '../../../src/index.ts';

/** Three characters a token: quick, and different for different texts. */
export const letters: TokenCounter = { name: 'letters', count: (text) => Math.ceil(text.length / 3) };

const callId = fc.constantFrom('a', 'b', 'c');
const text = fc.string({ maxLength: 60 });
const priority = fc.constantFrom('low', 'normal', 'high', undefined, undefined, undefined);
const call = callId.map((id) => ({ type: 'tool-call', toolCallId: id, toolName: 'f', input: { id } }));
const result = fc.record({
  type: fc.constant('tool-result'),
  toolCallId: callId,
  toolName: fc.constant('f'),
  output: text.map((value) => ({ type: 'text', value })),
});
const said = text.map((value) => ({ type: 'text', text: value }));
const thought = text.map((value) => ({ type: 'reasoning', text: value }));
const openAiCall = fc.record({
  id: callId,
  type: fc.constant('function'),
  function: fc.record({ name: fc.constant('f'), arguments: fc.constantFrom('{}', '{ "a": 1 }', 'no json') }),
});

const body = fc.oneof(
  { weight: 3, arbitrary: text.map((content) => ({ role: 'user', content })) },
  { weight: 2, arbitrary: text.map((content) => ({ role: 'assistant', content })) },
  { weight: 1, arbitrary: text.map((content) => ({ role: 'system', content })) },
  { weight: 1, arbitrary: text.map((content) => ({ role: 'tool', content })) },
  {
    weight: 4,
    arbitrary: fc
      .array(fc.oneof(call, call, said, thought, result), { minLength: 1, maxLength: 4 })
      .map((content) => ({ role: 'assistant', content })),
  },
  {
    weight: 4,
    arbitrary: fc.array(result, { minLength: 1, maxLength: 3 }).map((content) => ({ role: 'tool', content })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      role: fc.constant('assistant'),
      content: fc.option(text),
      tool_calls: fc.array(openAiCall, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ role: fc.constant('tool'), tool_call_id: callId, content: text }) },
);

export const message: fc.Arbitrary<MessageInput> = fc
  .tuple(body, priority, fc.constantFrom(true, false, false, false, false, false, false))
  .map(([input, rank, pinned]) => ({
    ...input,
    ...(rank && { priority: rank as 'low' }),
    ...(pinned && { pinned }),
  }));

export type Step =
  | { do: 'append'; messages: MessageInput[] }
  | { do: 'pop'; count: number }
  | { do: 'forget'; count: number }
  | { do: 'edit'; at: number; content: string; pinned: boolean };

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        messages: fc.array(message, { minLength: 1, maxLength: 10 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('pop' as const), count: fc.integer({ min: 1, max: 4 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('forget' as const), count: fc.integer({ min: 1, max: 4 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('edit' as const),
        at: fc.nat(),
        content: text,
        pinned: fc.boolean(),
      }),
    },
  ),
  { minLength: 1, maxLength: 8 },
);

export async function play(engine: ContextEngine, id: string, history: readonly Step[]): Promise<void> {
  for (const step of history) {
    const log = await engine.messages.list(id, { limit: 1000 });
    if (step.do === 'append') await engine.messages.append(id, step.messages);
    else if (step.do === 'pop') await engine.messages.pop(id, { count: step.count });
    else if (log.length === 0) continue;
    else if (step.do === 'forget') {
      const first = log[Math.min(step.count, log.length - 1)]!;
      await engine.messages.truncate(id, { beforeSeq: first.seq });
    } else {
      const { content, pinned } = step;
      await engine.messages.edit(id, log[step.at % log.length]!.id, { content, pinned });
    }
  }
}

/** What a window on a log must hold, worked out from the whole of the log. */
export interface Expected {
  /** The messages that can be sent, by seq, as they can be sent. */
  sendable: Map<number, Message>;
  required: Set<number>;
  /** What the required ones cost, with the frame of the request. */
  requiredTokens: number;
}

export function expectedOf(log: readonly Message[], counter: TokenCounter): Expected {
  const { groups, omitted } = pairUp(log);
  const sendable = new Map<number, Message>();
  for (const index of groups.flat()) {
    const found = log[index]!;
    sendable.set(found.seq, omitted[index] ? withoutParts(found, omitted[index]) : found);
  }
  const seqs = groups.map((group) => group.map((index) => log[index]!.seq));
  const start = log.findIndex(({ role }) => role !== 'system');
  const required = new Set(log.slice(0, start < 0 ? log.length : start).map(({ seq }) => seq));
  const turns = seqs.filter((group) => !group.every((seq) => required.has(seq)));
  const newest = turns.toSorted((a, b) => b.at(-1)! - a.at(-1)!)[0] ?? [];
  const lastUser = log.findLast(({ role }) => role === 'user');
  const pinned = seqs.filter((group) => group.some((seq) => sendable.get(seq)!.pinned));
  for (const seq of [newest, lastUser ? [lastUser.seq] : [], pinned.flat()].flat()) required.add(seq);
  const requiredTokens = [...required].reduce(
    (sum, seq) => sum + countMessage(counter, sendable.get(seq)!),
    PER_REQUEST,
  );
  return { sendable, required, requiredTokens };
}

/** Checks a window against the whole log it was built on. */
export function checkWindow(window: ContextWindow, log: readonly Message[], counter: TokenCounter): void {
  const { sendable, required } = expectedOf(log, counter);
  const recount = window.messages.reduce((sum, one) => sum + countMessage(counter, one), PER_REQUEST);
  expect(recount).toBe(window.tokens);
  expect(recount).toBeLessThanOrEqual(window.budget.messages);
  checkTools(window.messages);

  const inside = window.sections.flatMap((section) => section.items.map((item) => item.seq));
  expect(new Set(inside).size).toBe(inside.length);
  expect(inside).toEqual(window.messages.map((one) => one.seq));
  for (const seq of required) expect(inside).toContain(seq);
  for (const one of window.messages) expect(one.content).toEqual(sendable.get(one.seq)?.content);

  const out = log.filter(({ seq }) => !inside.includes(seq));
  for (const { seq } of out) {
    const reasons = window.leftOut.filter((part) => part.fromSeq <= seq && seq <= part.toSeq);
    expect(reasons.length, `reasons of ${seq}`).toBeGreaterThan(0);
  }
  const count = window.leftOut.reduce((sum, part) => sum + part.count, 0);
  expect(count).toBe(out.length);
  checkOrder(window);
}

/** Messages stand in chronological order in each section, results right behind their calls. */
function checkOrder(window: ContextWindow): void {
  let index = 0;
  for (const { items } of window.sections) {
    const heads = items.filter((_, i) => window.messages[index + i]!.role !== 'tool').map(({ seq }) => seq);
    expect(heads).toEqual(heads.toSorted((a, b) => a - b));
    index += items.length;
  }
}

/** No call without its result right behind it, no result without its call. */
export function checkTools(messages: readonly Message[]): void {
  const open = new Set<string>();
  for (const { role, content } of messages) {
    if (role !== 'tool') expect([...open]).toEqual([]);
    const parts: Part[] = typeof content === 'string' ? [] : content;
    const results = parts.filter(({ type }) => type === 'tool-result');
    for (const part of parts.filter(({ type }) => type === 'tool-call')) {
      expect(role).toBe('assistant');
      expect(open).not.toContain(part.toolCallId);
      open.add(part.toolCallId as string);
    }
    if (role === 'tool') expect(results.length).toBeGreaterThan(0);
    for (const part of results) expect(open.delete(part.toolCallId as string)).toBe(true);
  }
  expect([...open]).toEqual([]);
}

interface OpenAi {
  role: string;
  tool_calls?: { id: string }[] | undefined;
  tool_call_id?: string;
}

export function checkOpenAiTools(messages: readonly unknown[]): void {
  const open = new Set<string>();
  for (const { role, tool_calls: calls = [], tool_call_id: id } of messages as OpenAi[]) {
    if (role === 'tool') expect(open.delete(id!)).toBe(true);
    else expect([...open]).toEqual([]);
    for (const one of calls) {
      expect(open).not.toContain(one.id);
      open.add(one.id);
    }
  }
  expect([...open]).toEqual([]);
}
