import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../../src/core/messages/codec.ts';
import { formatMessages } from '../../../src/core/messages/formats/format.ts';
import { messageId, seqOfMessageId } from '../../../src/core/messages/formats/message-id.ts';
import { parseMessage } from '../../../src/core/messages/formats/parse.ts';
import { sameMessage } from '../../../src/core/messages/formats/same.ts';
import { aiSdkMessage, openAiMessage } from './formats.arbitraries.ts';

const parse = (input: unknown) => parseMessage(input, 'message');
const stored = (input: unknown) => decodeMessage(encodeMessage(parse(input), 5), 1, '@1');

describe('the stored form of a message', () => {
  it('is short for a plain one', () => {
    expect(encodeMessage(parse({ role: 'user', content: 'a "b"' }), 5)).toBe(
      '{"role":"user","content":"a \\"b\\"","createdAt":5}',
    );
    const all = {
      id: 'x',
      role: 'user',
      content: '',
      name: 'Bo',
      priority: 'low',
      pinned: false,
      createdAt: 7,
    };
    expect(decodeMessage(encodeMessage(parse(all), 5), 3, 'x')).toEqual({ ...all, seq: 3 });
  });

  it('gives back every OpenAI message', () => {
    fc.assert(
      fc.property(openAiMessage, (message) => {
        expect(isDeepStrictEqual(formatMessages([stored(message)], 'openai'), [message])).toBe(true);
        expect(sameMessage(stored(message), parse(message))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('gives back every AI SDK message, bytes and URLs too', () => {
    fc.assert(
      fc.property(aiSdkMessage, (message) => {
        expect(isDeepStrictEqual(formatMessages([stored(message)], 'ai-sdk'), [message])).toBe(true);
        expect(sameMessage(stored(message), parse(message))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('gives every kind of bytes back as Uint8Array', () => {
    const bytes = Uint8Array.from([1, 2, 3]);
    const window = new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4);
    for (const data of [bytes, bytes.buffer, Buffer.from(bytes), window]) {
      const { content } = stored({
        role: 'user',
        content: [{ type: 'file', data, mediaType: 'text/plain' }],
      });
      expect(content).toEqual([{ type: 'file', data: bytes, mediaType: 'text/plain' }]);
    }
  });

  it('mistakes nobody’s objects for bytes or URLs', () => {
    const metadata = {
      a: { $bytes: 'AA==' },
      b: { $$url: 'x' },
      c: { $url: 'no url' },
      d: { $bytes: 1, other: 2 },
    };
    expect(stored({ role: 'user', content: 'x', metadata }).metadata).toEqual(metadata);
    expect(stored({ role: 'user', content: '{"$url":"x"}', metadata: {} }).content).toBe('{"$url":"x"}');
  });

  it.each([
    [
      'a cycle',
      () => {
        const a: Record<string, unknown> = {};
        a.a = a;
        a.b = [a, new Uint8Array(1)];
        return a;
      },
    ],
    ['a function', () => () => 1],
    ['a BigInt', () => 1n],
    ['a date', () => new Date()],
    ['floats', () => new Float32Array(1)],
    ['NaN', () => NaN],
  ])('can not be made of %s, and the error names the field', (_, input) => {
    const call = { type: 'tool-call', toolCallId: 'a', toolName: 'f', input: input() };
    const message = parse({ role: 'assistant', content: [call] });
    expect(() => encodeMessage(message, 5, 'messages[3]')).toThrow(/messages\[3\]\.content\[0\]\.input/);
  });

  it('names an unknown field as it was given', () => {
    const message = parse({ role: 'user', content: 'x', audio: { id: 1n } });
    expect(() => encodeMessage(message, 5, 'messages[3]')).toThrow(
      'messages[3].audio.id: a bigint is not JSON',
    );
  });

  it('has a limit of 4 MiB and of 64 levels', () => {
    const big = 'é'.repeat(2 * 1024 * 1024 + 1);
    expect(() => encodeMessage(parse({ role: 'user', content: big }), 5, 'messages[0]')).toThrow(
      /messages\[0\]: has \d+ bytes, the limit is 4194304/,
    );
    const deep = Array.from({ length: 70 }).reduce((inner) => [inner], 1);
    expect(() => encodeMessage(parse({ role: 'user', content: [{ type: 'x', deep }] }), 5)).toThrow(
      /too deeply/,
    );
  });
});

describe('a message id', () => {
  it('of a message without one says its place', () => {
    expect(seqOfMessageId(messageId(12))).toBe(12);
    for (const id of ['12', '@', '@x', '@012', ' @1', '@1\n', '@99999999999999999999']) {
      expect(seqOfMessageId(id)).toBeUndefined();
    }
  });
});
