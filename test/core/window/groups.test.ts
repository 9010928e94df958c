import { describe, expect, test } from 'vitest';
import type { Message, Part } from '../../../src/core/model/message.ts';
import { type Counted, type Group, GroupReader } from '../../../src/core/window/groups.ts';
import { MAX_SPAN } from '../../../src/core/window/pairing.ts';

/**
 * Reads a history written as words, one a message: `u` a user's, `a` an assistant's, `a:x,y` one with calls x and y,
 * `t:x` a tool's with the result of x, `a:x!` one whose provider has answered x by itself, `a+x` one with a text and a call.
 */
function read(history: string): { groups: string[]; dropped: string[] } {
  const messages = history.split(' ').map(toMessage);
  const reader = new GroupReader(() => 1);
  const groups: Group[] = messages.toReversed().flatMap((item) => reader.take(item));
  groups.push(...reader.end());
  const named = ({ message }: Pick<Counted, 'message'>) => `${message.seq}${trace(message)}`;
  return {
    groups: groups.map(({ items }) => items.map(named).join(' ')),
    dropped: reader.dropped.map(({ message, reason }) => `${message.seq} ${reason}`).toSorted(),
  };
}

function toMessage(word: string, index: number): Counted {
  const [, role, mark, ids = ''] = /^([uat])([:+])?(.*)$/.exec(word)!;
  const seq = index + 1;
  const parts: Part[] = ids.split(',').flatMap((id): Part[] => {
    const toolCallId = id.replace('!', '');
    const call = { type: 'tool-call', toolCallId, toolName: 'f', input: {} };
    const result = { type: 'tool-result', toolCallId, toolName: 'f', output: { type: 'text', value: '' } };
    if (role === 't') return [result];
    return id.endsWith('!') ? [call, result] : [call];
  });
  if (mark === '+') parts.unshift({ type: 'text', text: 'said' });
  const content = mark ? parts : 'text';
  const names = { u: 'user', a: 'assistant', t: 'tool' } as const;
  const message: Message = { id: `@${seq}`, seq, role: names[role as 'u'], content, createdAt: 0 };
  return { message, tokens: 1, version: 1 };
}

/** The ids of the calls and results that a message still has. */
function trace({ content }: Message): string {
  if (typeof content === 'string') return '';
  return `:${content.flatMap(({ toolCallId }) => toolCallId ?? []).join()}`;
}

describe('messages are put into groups', () => {
  const cases: [what: string, history: string, groups: string[], dropped?: string[]][] = [
    ['each alone', 'u a u', ['3', '2', '1']],
    ['a call with its result', 'u a:x t:x a', ['4', '2:x 3:x', '1']],
    ['parallel calls with the results of each', 'a:x,y t:x t:y', ['1:x,y 2:x 3:y']],
    ['results in one message', 'a:x,y t:x,y', ['1:x,y 2:x,y']],
    ['results in another order', 'a:x,y t:y t:x', ['1:x,y 2:y 3:x']],
    ['ids that repeat, each result with the nearest call', 'a:x t:x a:x t:x', ['3:x 4:x', '1:x 2:x']],
    ['what came in between by itself', 'a:x u t:x', ['1:x 3:x', '2']],
    ['calls of several messages each with its own', 'a:x a:y t:x t:y', ['2:y 4:y', '1:x 3:x']],
    ['a provider’s own result with its call', 'u a:x! u', ['3', '2:x,x', '1']],
    ['a provider’s own result beside another call', 'a:x!,y t:y', ['1:x,x,y 2:y']],
    ['without a call that nobody answered', 'u a:x u', ['3', '1'], ['2 unanswered-tool-call']],
    ['with what was said beside such a call', 'u a+x u', ['3', '2:', '1']],
    ['with the one of two calls that was answered', 'a:x,y t:x', ['1:x 2:x']],
    ['without a result that no call wanted', 'u t:x u', ['3', '1'], ['2 orphaned-tool-result']],
    ['without a tool’s text that answers nothing', 'u t u', ['3', '1'], ['2 orphaned-tool-result']],
    ['with the newer of two answers', 'a:x t:x t:x', ['1:x 3:x'], ['2 orphaned-tool-result']],
    ['with a call once, where a message says it twice', 'a:x,x t:x', ['1:x 2:x']],
    ['with a result once, where the provider and a tool have answered', 'a:x! t:x', ['1:x 2:x']],
    [
      'without what stands in the user’s message and is a tool’s',
      'u:x t:x u',
      ['3'],
      ['1 unanswered-tool-call', '2 orphaned-tool-result'],
    ],
    [
      'without the half of a message whose other half stands behind another call',
      'a:x a:y t:x,y',
      ['2:y 3:y'],
      ['1 unanswered-tool-call'],
    ],
  ];
  test.each(cases)('%s: %s', (_, history, groups, dropped = []) => {
    expect(read(history)).toEqual({ groups, dropped });
  });

  const others = (count: number) => Array.from({ length: count }, () => 'u').join(' ');
  test('with a result that comes late, but not one that comes too late', () => {
    const late = read(`a:x ${others(MAX_SPAN - 2)} t:x`);
    expect(late.groups[0]).toBe(`1:x ${MAX_SPAN}:x`);
    const tooLate = read(`a:x ${others(MAX_SPAN - 1)} t:x`);
    expect(tooLate.dropped).toEqual(['1 unanswered-tool-call', `${MAX_SPAN + 1} orphaned-tool-result`]);
  });

  test('so that an orphan holds up only what is near it', () => {
    const reader = new GroupReader(() => 1);
    const words = `${others(2 * MAX_SPAN)} t:x`.split(' ');
    const emitted = words
      .map(toMessage)
      .toReversed()
      .map((item) => reader.take(item).length);
    expect(emitted.indexOf(MAX_SPAN)).toBe(MAX_SPAN);
    expect(emitted.slice(MAX_SPAN + 1).every((count) => count === 1)).toBe(true);
  });
});

test('a call that was approved, and has not run yet, is kept with the approval', () => {
  const request = { type: 'tool-approval-request', approvalId: 'p', toolCallId: 'x' };
  const response = { type: 'tool-approval-response', approvalId: 'p', approved: true };
  const call = toMessage('a:x', 0);
  (call.message.content as Part[]).push(request);
  const approval = toMessage('t:', 1);
  approval.message.content = [response];
  const reader = new GroupReader(() => 1);
  const groups = [approval, call].flatMap((item) => reader.take(item));
  expect(groups.map(({ items }) => items.map(({ message }) => message.seq))).toEqual([[1, 2]]);
  const alone = new GroupReader(() => 1);
  expect([...alone.take(call), ...alone.end()]).toEqual([]);
});
