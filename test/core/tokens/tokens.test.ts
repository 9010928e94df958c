import { describe, expect, onTestFinished, test } from 'vitest';
import { type TokenCounter, TokenCounters } from '../../../src/core/tokens/counter.ts';
import { countMessage } from '../../../src/core/tokens/message-tokens.ts';
import { ContextEngine, InvalidInputError, openStore } from '../../../src/index.ts';
import { inMemory, newSession, onEveryStore } from '../../support/engines.ts';
import { watched } from '../../support/stores.ts';

describe('the counter of a model', () => {
  const counters = new TokenCounters();
  const known: [model: string | undefined, counter: string][] = [
    [undefined, 'o200k_base'],
    ['gpt-5-mini', 'o200k_base'],
    ['openai/gpt-4o', 'o200k_base'],
    ['ft:gpt-4o-2024-08-06:me', 'o200k_base'],
    ['o3', 'o200k_base'],
    ['GPT-4-turbo', 'cl100k_base'],
    ['gpt-3.5-turbo', 'cl100k_base'],
  ];
  test.each(known)('of %s is that of its tokenizer, %s', async (model, name) => {
    const counter = await counters.for(model);
    expect(counter.name).toBe(name);
    expect(counter.estimated ?? false).toBe(false);
    expect(counter.count('hello world')).toBe(2);
    expect(counter.count('')).toBe(0);
  });

  test.each(['claude-opus-4', 'llama-3', 'toString'])(
    'of %s is a marked estimate, a little too high',
    async (model) => {
      const counter = await counters.for(model);
      expect(counter).toMatchObject({ name: 'o200k_base*1.2', estimated: true });
      expect(counter.count('hello world')).toBe(3);
    },
  );

  test.each(['<|endoftext|>', '<|fim_prefix|>', '<|im_start|>system'])('takes %s for text', async (text) => {
    expect((await counters.for()).count(text)).toBeGreaterThan(1);
  });

  test.each(['a', ' ', '!', '\n', 'é', '漢', 'aB', '7', '👩‍👩‍👧'])(
    'is not held up by four million characters of %j',
    async (unit) => {
      const counter = await counters.for();
      const count = counter.count(unit.repeat(4_000_000 / unit.length));
      expect(count).toBeGreaterThan(1000);
    },
  );

  test('counts long texts of ordinary words exactly', async () => {
    const tokenizer = await import('gpt-tokenizer/encoding/o200k_base');
    const text = 'It’s 12,345.67 — naïve “words”, x_y(z) => {}\n\n\t'.repeat(500);
    expect((await counters.for()).count(text)).toBe(tokenizer.countTokens(text));
  });
});

describe('a counter of the caller’s', () => {
  const counter = (count: (text: string) => number): TokenCounter => ({ name: 'mine', count });

  test('counts for every model, in whole tokens', async () => {
    const engine = await inMemory({ tokenCounter: counter((text) => text.length / 2) });
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'abc' });
    const window = await engine.window.build('s', { maxTokens: 100, model: 'gpt-5' });
    expect(window).toMatchObject({ counter: { name: 'mine', estimated: false }, tokens: 2 + 4 + 3 });
  });

  test.each([Number.NaN, -1, 'three'])('that says %s is told so', async (nonsense) => {
    const engine = await inMemory({ tokenCounter: counter(() => nonsense as number) });
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'abc' });
    await expect(engine.window.build('s', { maxTokens: 100 })).rejects.toThrow(/token counter mine: count/);
  });

  test('needs a name', () => {
    expect(() => new TokenCounters({ name: '', count: () => 1 })).toThrow(InvalidInputError);
    expect(() => new TokenCounters({ name: 'x'.repeat(65), count: () => 1 })).toThrow(InvalidInputError);
  });
});

test('a message costs no less than its texts, in each of its parts', () => {
  const letter: TokenCounter = { name: 'letter', count: (text) => text.length };
  const cost = (content: unknown) => countMessage(letter, { content: content as string });
  expect(cost('12345')).toBe(9);
  expect(cost([{ type: 'text', text: '12345' }])).toBe(10);
  expect(cost([{ type: 'tool-call', toolCallId: 'c', toolName: 'f', input: { a: 1 } }])).toBe(4 + 8 + 11);
  const output = {
    type: 'content',
    value: [
      { type: 'text', text: '123' },
      { type: 'image-data', data: 'x' },
    ],
  };
  expect(cost([{ type: 'tool-result', toolCallId: 'c', toolName: 'f', output }])).toBe(4 + 8 + 3 + 3 + 765);
  expect(cost([{ type: 'image', image: new Uint8Array(9) }])).toBe(4 + 765);
  expect(cost([{ type: 'file', data: 'hello', mediaType: 'text/plain' }])).toBe(4 + 5);
  expect(cost([{ type: 'strange', bytes: new Uint8Array(1000) }])).toBeLessThan(60);
});

onEveryStore('stored token counts', (open) => {
  test('are made once for each text and counter, and anew for an edited one', async () => {
    const texts: string[] = [];
    const tokenCounter = { name: 'watched', count: (text: string) => texts.push(text) && text.length };
    const engine = await open({ tokenCounter });
    await newSession(engine);
    await engine.messages.append(
      's',
      Array.from({ length: 150 }, (_, i) => ({ role: 'user', content: `message ${i}` })),
    );
    await engine.messages.settled();
    expect(texts).toHaveLength(150);
    await engine.window.build('s', { maxTokens: 5000 });
    await engine.messages.list('s', { limit: 1000 });
    expect(texts).toHaveLength(150);
    await engine.messages.edit('s', '@70', { content: 'edited' });
    await engine.messages.settled();
    const window = await engine.window.build('s', { maxTokens: 5000 });
    expect(texts.slice(150)).toEqual(['edited']);
    expect(window.messages.find(({ seq }) => seq === 70)).toMatchObject({ tokens: 4 + 6, content: 'edited' });
    await engine.messages.pop('s', { count: 100 });
    await engine.messages.append('s', { role: 'user', content: 'new' });
    await engine.messages.settled();
    await engine.messages.list('s');
    expect(texts.slice(151)).toEqual(['new']);
  });

  test('of a session that was deleted say nothing of the next one with its id', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'a text of several words' });
    await engine.messages.settled();
    await engine.sessions.delete('s');
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'one' });
    expect((await engine.messages.get('s', '@1')).tokens).toBe(5);
  });
});

test('counts that come too late for a deleted session leave nothing behind', async () => {
  const plain = await openStore('memory:');
  let deleteNow = false;
  const { store } = watched(plain, ({ operations }) => {
    const counts = operations.some((operation) => operation.op === 'put' && operation.kind === 'tokens');
    if (counts && deleteNow) {
      deleteNow = false;
      // What another process may do at any moment.
      plain.commit({
        partition: { tenant: 'default', type: 'session', id: 's' },
        operations: [{ op: 'drop' }],
      });
    }
    return false;
  });
  const engine = await ContextEngine.open(store, { maintenanceIntervalMs: 0 });
  onTestFinished(() => engine.close());
  await newSession(engine);
  await engine.messages.append('s', { role: 'user', content: 'x' });
  deleteNow = true;
  await engine.messages.settled();
  expect(deleteNow).toBe(false);
  const left = await plain.listRecords({ tenant: 'default', type: 'session', id: 's' }, undefined, {
    limit: 10,
  });
  expect(left.items).toEqual([]);
});
