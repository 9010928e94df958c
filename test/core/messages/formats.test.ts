import { isDeepStrictEqual } from 'node:util';
import { type ModelMessage, modelMessageSchema } from 'ai';
import fc from 'fast-check';
import type OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { formatMessages } from '../../../src/core/messages/formats/format.ts';
import { parseMessage } from '../../../src/core/messages/formats/parse.ts';
import { sameMessage } from '../../../src/core/messages/formats/same.ts';
import { textOf } from '../../../src/core/messages/formats/text.ts';
import { aiSdkMessage, hostileObject, openAiMessage, text, word } from './formats.arbitraries.ts';

const parse = (input: unknown) => parseMessage(input, 'messages[0]');
const parseAll = (inputs: unknown[]) => inputs.map(parse);

/** `toEqual` reads through `__proto__`; this does not. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
  expect(isDeepStrictEqual(actual, expected)).toBe(true);
}

describe('an OpenAI message', () => {
  it('comes back field for field', () => {
    fc.assert(
      fc.property(openAiMessage, (message) => {
        expectSame(formatMessages([parse(message)], 'openai'), [message]);
      }),
      { numRuns: 2000 },
    );
  });

  it('can be read as an AI SDK message, whatever it says', () => {
    fc.assert(
      fc.property(openAiMessage, (message) => {
        expect(formatMessages([parse(message)], 'ai-sdk')).toHaveLength(1);
      }),
    );
  });

  it('becomes a valid AI SDK conversation, with the names of the tools filled in', () => {
    const conversation: OpenAI.ChatCompletionMessageParam[] = [
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'Be ' },
          { type: 'text', text: 'kind.' },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Look:' },
          { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
          { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
          { type: 'file', file: { file_data: 'data:application/pdf;base64,JVBERg==', filename: 'a.pdf' } },
        ],
      },
      {
        role: 'assistant',
        content: 'Let me see.',
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'look', arguments: '{"at": "it"}' } },
          { id: 'b', type: 'custom', custom: { name: 'patch', input: '*** Begin' } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', content: 'seen' },
      { role: 'tool', tool_call_id: 'b', content: [{ type: 'text', text: 'done' }] },
      { role: 'assistant', content: null, function_call: { name: 'old', arguments: '{}' } },
      { role: 'function', name: 'old', content: 'fine' },
      { role: 'assistant', content: null, refusal: 'No.' },
    ];
    const stored = parseAll(conversation);
    const messages: ModelMessage[] = formatMessages(stored, 'ai-sdk');
    for (const message of messages) expect(modelMessageSchema.safeParse(message).error).toBeUndefined();
    expect(messages[0]).toEqual({ role: 'system', content: 'Be kind.' });
    expect(messages[2]?.content).toEqual([
      { type: 'text', text: 'Let me see.' },
      {
        type: 'tool-call',
        toolCallId: 'a',
        toolName: 'look',
        input: { at: 'it' },
        inputText: '{"at": "it"}',
      },
      { type: 'tool-call', toolCallId: 'b', toolName: 'patch', input: '*** Begin', custom: true },
    ]);
    expect(messages[3]?.content).toEqual([
      { type: 'tool-result', toolCallId: 'a', toolName: 'look', output: { type: 'text', value: 'seen' } },
    ]);
    expect(messages[4]?.content).toMatchObject([{ toolName: 'patch', output: { type: 'content' } }]);
    expect(messages[6]?.content).toMatchObject([{ toolCallId: '', toolName: 'old' }]);
    const back: OpenAI.ChatCompletionMessageParam[] = formatMessages(stored, 'openai');
    expect(back).toEqual(conversation);
  });

  it('keeps the text of arguments only where JSON would write another one', () => {
    const call = (text: string) => ({
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: text } }],
    });
    expect(parse(call('{"a":1}'))).toEqual({
      role: 'assistant',
      content: [{ type: 'tool-call', toolCallId: 'a', toolName: 'f', input: { a: 1 } }],
      wire: { format: 'openai' },
    });
    expect(parse(call('{"a": 1}')).content).toMatchObject([{ input: { a: 1 }, inputText: '{"a": 1}' }]);
    expect(parse(call('{"a": ')).content).toMatchObject([{ input: '{"a": ' }]);
    expect(parse(call('{"a":1e999}')).content).toMatchObject([{ input: '{"a":1e999}' }]);
  });

  it('can be told from the AI SDK message that says the same', () => {
    const parts = [{ type: 'tool-call', toolCallId: 'a', toolName: 'f', input: {} }];
    const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }];
    expect(parse({ role: 'assistant', content: null, tool_calls: calls }).wire).toEqual({ format: 'openai' });
    expect(parse({ role: 'assistant', content: parts }).wire).toBeUndefined();
    expect(parse({ role: 'user', content: 'either' }).wire).toBeUndefined();
  });

  it('takes the name of a repeated call id from the nearest call before the result', () => {
    const call = (name: string) => ({
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'same', type: 'function', function: { name, arguments: '{}' } }],
    });
    const result = { role: 'tool', tool_call_id: 'same', content: 'ok' };
    const messages = formatMessages(parseAll([call('first'), result, call('second'), result]), 'ai-sdk');
    expect(messages[1]?.content).toMatchObject([{ toolName: 'first' }]);
    expect(messages[3]?.content).toMatchObject([{ toolName: 'second' }]);
  });

  it('keeps unknown fields deep inside without keeping what is known twice', () => {
    const { wire } = parse({
      role: 'assistant',
      content: null,
      refusal: null,
      tool_calls: [
        { id: 'a', type: 'function', function: { name: 'f', arguments: '{}', strict: true }, index: 0 },
      ],
    });
    const call = { set: { index: 0 }, inside: { function: { set: { strict: true } } } };
    expect(wire).toEqual({
      format: 'openai',
      set: { refusal: null },
      inside: { tool_calls: { inside: { 0: call } } },
    });
  });
});

describe('an AI SDK message', () => {
  it('comes back field for field', () => {
    fc.assert(
      fc.property(aiSdkMessage, (message) => {
        expectSame(formatMessages([parse(message)], 'ai-sdk'), [message]);
      }),
      { numRuns: 2000 },
    );
  });

  it('can be read as OpenAI messages that are taken again', () => {
    fc.assert(
      fc.property(aiSdkMessage, (message) => {
        for (const written of formatMessages([parse(message)], 'openai')) parse(written);
      }),
    );
  });

  it('with several tool results becomes one OpenAI message for each', () => {
    const result = (toolCallId: string, output: unknown) => ({
      type: 'tool-result',
      toolCallId,
      toolName: 'f',
      output,
    });
    const content = [
      result('a', { type: 'text', value: 'fine' }),
      result('b', { type: 'json', value: { n: 1 } }),
      result('c', { type: 'error-text', value: 'broken' }),
      result('d', { type: 'execution-denied', reason: 'not now' }),
      result('e', {
        type: 'content',
        value: [
          { type: 'text', text: 'see' },
          { type: 'file-data', data: 'AA==', mediaType: 'image/png' },
        ],
      }),
    ];
    expect(formatMessages([parse({ role: 'tool', content })], 'openai')).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'fine' },
      { role: 'tool', tool_call_id: 'b', content: '{"n":1}' },
      { role: 'tool', tool_call_id: 'c', content: 'broken' },
      { role: 'tool', tool_call_id: 'd', content: 'not now' },
      {
        role: 'tool',
        tool_call_id: 'e',
        content: [
          { type: 'text', text: 'see' },
          { type: 'text', text: '[file-data image/png]' },
        ],
      },
    ]);
  });

  it('says pictures and files the OpenAI way', () => {
    const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a]);
    const content = [
      { type: 'image', image: png, providerOptions: { openai: { imageDetail: 'high' } } },
      { type: 'image', image: new URL('https://example.com/a.png') },
      {
        type: 'file',
        data: { type: 'reference', reference: { openai: 'file-1' } },
        mediaType: 'application/pdf',
      },
      { type: 'file', data: 'AAAA', mediaType: 'audio/mpeg' },
    ];
    expect(formatMessages([parse({ role: 'user', content })], 'openai')[0]?.content).toEqual([
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0K', detail: 'high' } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
      { type: 'file', file: { file_id: 'file-1' } },
      { type: 'input_audio', input_audio: { data: 'AAAA', format: 'mp3' } },
    ]);
  });
});

describe('a plain message', () => {
  const own = {
    id: word.filter((id) => !/^@\d+$/.test(id)),
    name: text,
    priority: fc.constantFrom('low', 'normal', 'high'),
    pinned: fc.boolean(),
    createdAt: fc.nat(),
    metadata: hostileObject,
  };
  const plain = fc
    .record(
      { role: fc.constantFrom('system', 'user', 'assistant', 'tool'), content: text, ...own },
      { requiredKeys: ['role', 'content'] },
    )
    .map((message) => ({ ...message }));
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constant(undefined), text, fc.constant('@1'));
  const broken = fc
    .record(
      {
        role: fc.constantFrom('system', 'user', 'robot', 1),
        content: fc.oneof(text, anything),
        id: anything,
        name: anything,
        priority: anything,
        pinned: anything,
        createdAt: anything,
        metadata: anything,
        other: anything,
      },
      { requiredKeys: ['role', 'content'] },
    )
    .map((message) => ({ ...message }));

  /** The fast path takes ordinary objects only, so the same fields without a prototype go the long way. */
  const theLongWay = (message: object) => Object.assign(Object.create(null), message);
  const outcome = (input: unknown) => {
    try {
      return { parsed: parse(input) };
    } catch (error) {
      return { error };
    }
  };

  it('is read the same on the fast path and on the long one', () => {
    fc.assert(
      fc.property(fc.oneof(plain, broken), (message) => {
        expectSame(outcome(message), outcome(theLongWay(message)));
      }),
      { numRuns: 2000 },
    );
  });

  it('is given back in both formats without what is ours alone', () => {
    fc.assert(
      fc.property(plain, (message) => {
        const { role, content, name } = message;
        const expected = [{ role, content, ...(name !== undefined && { name }) }];
        expectSame(formatMessages([parse(message)], 'openai'), expected);
        expectSame(formatMessages([parse(message)], 'ai-sdk'), expected);
      }),
    );
  });

  it('keeps unknown fields, in both formats', () => {
    const message = { role: 'user', content: 'hi', mood: 'good', ['__proto__']: { polluted: true } };
    expectSame(formatMessages([parse(message)], 'openai'), [message]);
    expectSame(formatMessages([parse(message)], 'ai-sdk'), [message]);
  });

  it('that is a stored one handed back is read as what was stored', () => {
    const message = { role: 'developer', content: 'hi', priority: 'high' };
    const stored = { ...parse(message), id: '@7', seq: 7, tokens: 3, createdAt: 5 };
    expect(parse(stored)).toEqual({ ...parse(message), createdAt: 5 });
    expect(parse({ ...stored, id: 'mine' }).id).toBe('mine');
    expect(sameMessage(parse(stored), parse(message))).toBe(true);
  });
});

describe('a message that can not be taken', () => {
  const issuesOf = (input: unknown, path = 'messages[2]') => {
    try {
      parseMessage(input, path);
    } catch (error) {
      return (error as { issues: { path: string; message: string }[] }).issues.map(
        (i) => `${i.path}: ${i.message}`,
      );
    }
    return [];
  };

  it('has all its problems told at once', () => {
    const deep = Array.from({ length: 40 }).reduce((inner) => ({ inner }), {});
    const issues = issuesOf({
      role: 'robot',
      content: 5,
      id: 'x'.repeat(257),
      name: 'n'.repeat(257),
      priority: 'urgent',
      pinned: 'yes',
      createdAt: -1,
      metadata: deep,
      tool_calls: [{ id: 1, function: { name: 'f', arguments: {} } }],
    });
    expect(issues.sort()).toEqual([
      'messages[2].content: expected a string or an array of parts, got number',
      'messages[2].createdAt: must be at least 0',
      'messages[2].id: has 257 characters, the limit is 256',
      expect.stringMatching(/^messages\[2\]\.metadata(\.inner)+: is nested too deeply$/),
      'messages[2].name: has 257 characters, the limit is 256',
      'messages[2].pinned: expected a boolean, got string',
      'messages[2].priority: expected low, normal or high, got "urgent"',
      'messages[2].role: expected system, user, assistant or tool, got "robot"',
      'messages[2].tool_calls[0].function.arguments: expected a string, got object',
      'messages[2].tool_calls[0].id: expected a string, got number',
    ]);
  });

  it('has the problems of its parts told by index', () => {
    const content = [
      { type: 'text', text: 1 },
      { text: 'no type' },
      'text',
      { type: 'tool-result', toolCallId: 'a', toolName: 'f', output: { type: 'content', value: 'no list' } },
      { type: 'image', image: 5 },
      { type: 'file', file: { file_id: 5 } },
    ];
    expect(issuesOf({ role: 'user', content }, '')).toEqual([
      'content[0].text: expected a string, got number',
      'content[1].type: expected a string, got undefined',
      'content[2]: expected an object, got string',
      'content[3].output.value: expected an array, got string',
      'content[4].image: expected a string, a URL, bytes or an object, got number',
      'content[5].file.file_id: expected a string, got number',
    ]);
  });

  it.each([
    [null, 'messages[2]: expected an object, got null'],
    ['hi', 'messages[2]: expected an object, got string'],
    [[], 'messages[2]: expected an object, got array'],
    [{ role: 'user' }, 'messages[2].content: expected a string or an array of parts, got undefined'],
    [{ role: 'function', content: 'x' }, 'messages[2].name: expected a string, got undefined'],
    [{ role: 'user', content: 'x', metadata: [] }, 'messages[2].metadata: expected an object, got array'],
  ])('is named by its kind: %j', (input, issue) => {
    expect(issuesOf(input)).toEqual([issue]);
  });

  it('has an id of the reserved form', () => {
    expect(issuesOf({ role: 'user', content: 'x', id: '@12' })).toEqual([
      expect.stringContaining('messages[2].id: must not be @ and a number'),
    ]);
  });

  it('never has its content in the error', () => {
    const secret = 'sk-secret';
    const issues = issuesOf({
      role: 'user',
      content: [{ type: 'text', text: [secret] }],
      metadata: { a: () => secret },
      name: [secret],
    });
    expect(issues).toHaveLength(3);
    expect(issues.join()).not.toContain(secret);
  });
});

describe('sameMessage', () => {
  const messages = fc.oneof(openAiMessage, aiSdkMessage);

  it('holds for what is ours alone and breaks for what is said', () => {
    const base = { role: 'user', content: 'hi', name: 'Bo' };
    const same = (other: object) => sameMessage(parse(base), parse({ ...base, ...other }));
    expect(same({ id: 'x', priority: 'high', pinned: true, createdAt: 1, metadata: { a: 1 } })).toBe(true);
    for (const other of [{ role: 'assistant' }, { content: 'ho' }, { name: 'Di' }, { mood: 'good' }]) {
      expect(same(other)).toBe(false);
    }
  });

  it('knows a message that was read as the AI SDK has it and is handed back', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const stored = parse(message);
        const [read] = formatMessages([stored], 'ai-sdk');
        expect(sameMessage(stored, parse(read))).toBe(true);
      }),
    );
  });

  it('does not mind a tool name that was found later', () => {
    const stored = parse({ role: 'tool', tool_call_id: 'a', content: 'ok' });
    const result = {
      type: 'tool-result',
      toolCallId: 'a',
      toolName: 'f',
      output: { type: 'text', value: 'ok' },
    };
    expect(sameMessage(stored, parse({ role: 'tool', content: [result] }))).toBe(true);
    expect(sameMessage(stored, parse({ role: 'tool', content: [{ ...result, toolCallId: 'b' }] }))).toBe(
      false,
    );
  });
});

describe('textOf', () => {
  it('gives texts, calls and results, a line each, and no bytes', () => {
    const content = [
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'hello' },
      { type: 'file', data: Buffer.from('x'), mediaType: 'text/plain', filename: 'a.txt' },
      { type: 'tool-call', toolCallId: 'a', toolName: 'find', input: { q: 'x' } },
      {
        type: 'tool-result',
        toolCallId: 'a',
        toolName: 'find',
        output: { type: 'json', value: { n: 1, b: Buffer.from('x') } },
      },
      {
        type: 'tool-result',
        toolCallId: 'a',
        toolName: 'find',
        output: { type: 'content', value: [{ type: 'text', text: 'in' }] },
      },
    ];
    expect(textOf(parse({ role: 'assistant', content }))).toBe(
      'hm\nhello\na.txt\nfind {"q":"x"}\n{"n":1}\nin',
    );
    expect(textOf({ content: 'plain' })).toBe('plain');
  });
});
