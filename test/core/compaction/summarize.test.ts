import { MockLanguageModelV3 } from 'ai/test';
import { expect, test } from 'vitest';
import type { ModelRequest } from '../../../src/core/model-call.ts';
import type { ContextEngine, MessageInput } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';

const filler = 'and so on, as it was agreed with everybody who had a say in it at that time';
const chat = (from: number, to: number): MessageInput[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: `Point ${from + i}: the order ORD-${1000 + from + i} is due, ${filler}.`,
  }));
/** Names an order, as no summary does that is worth anything. */
const summaryOf = (facts: string, order = 'ORD-1001') =>
  `## Goals and demands\nnone\n## Facts\n- ${order}: ${facts}\n## Done and decided\nnone\n## Open\nnone`;

const newestOrder = (prompt: string) => prompt.match(/ORD-\d+/g)!.at(-1);
const hollow = '## Goals and demands\nnone\n## Facts\n- None.\n## Done and decided\n\n## Open\nnone\n';

async function started(
  summarizer: (request: ModelRequest) => Promise<string>,
  more: object = {},
): Promise<ContextEngine> {
  const engine = await inMemory({ compaction: { autoCompact: false, summarizer, ...more } });
  await engine.sessions.create({ id: 's', userId: 'u' });
  await engine.messages.append('s', chat(1, 60));
  return engine;
}

const compact = (engine: ContextEngine) =>
  engine.window.compact('s', { strategy: 'summarize', targetTokens: 900 });

test('a model is given the summary so far and only what is new since', async () => {
  const prompts: string[] = [];
  const engine = await started(async ({ prompt }) => {
    prompts.push(prompt);
    return summaryOf(`summary number ${prompts.length}`, newestOrder(prompt));
  });
  const first = (await compact(engine)).compaction!;
  expect(first).toMatchObject({ strategy: 'summarize', sources: [[1, first.uptoSeq]] });
  expect(first.summary).toContain('summary number 1');
  await engine.messages.append('s', chat(61, 120));
  const second = (await compact(engine)).compaction!;
  expect(second).toMatchObject({ strategy: 'summarize', sources: [[1, second.uptoSeq]] });
  expect(prompts[1]).toContain('summary number 1');
  expect(prompts[1]).not.toContain('Point 2:');
  expect(prompts[1]).toContain(`Point ${first.uptoSeq + 1}:`);
  expect(prompts[1]).not.toContain(`Point ${second.uptoSeq + 1}:`);
});

test('what must not be lost is put behind the summary, when the model has left it out', async () => {
  const engine = await started(async ({ prompt }) => summaryOf('it was discussed', newestOrder(prompt)));
  await engine.messages.append('s', [
    { role: 'user', content: 'You must never write to /srv/prod/data.db. Nice weather today.' },
    ...chat(61, 120),
  ]);
  const { compaction } = await compact(engine);
  expect(compaction!.summary).toMatch(/## Verbatim\n- You must never write to \/srv\/prod\/data\.db\./);
  expect(compaction!.summary).toMatch(/ORD-10\d\d/);
});

test.for([
  ['nothing', '', 'it was empty'],
  ['an apology', "I'm sorry, but I can't help with that conversation.", 'it was an apology or an error'],
  ['an error as text', 'Error generating summary: 500', 'it was an apology or an error'],
  ['no structure', 'They spoke about orders for a long time.', 'it lacked the headings'],
  ['the instructions', `You keep the memory of a conversation … ${summaryOf('x')}`, 'it repeated its instr'],
  ['nothing under its headings', hollow, 'all its sections were empty'],
  [
    'control characters and half a pair',
    hollow.replace('none', '\u0000\ud800'),
    'all its sections were empty',
  ],
  ['nothing that must be kept', summaryOf('orders were discussed', 'They'), 'it held none of the ids'],
  ['more than was asked', summaryOf('much '.repeat(3000)), 'it had \\d+ tokens, more than'],
])(
  'of %s, also when asked again, sentences are kept instead, and the reason is recorded',
  async ([, answer, reason]) => {
    const asked: string[] = [];
    const engine = await started(async ({ prompt }) => {
      asked.push(prompt);
      return answer!;
    });
    const { compaction } = await compact(engine);
    expect(asked).toHaveLength(2);
    expect(asked[1]).toMatch(new RegExp(`not usable: ${reason}`));
    expect(compaction).toMatchObject({ strategy: 'extractive' });
    expect(compaction!.fallback).toMatch(new RegExp(`^summarize: ${reason}`));
    expect(compaction!.summary).toContain('ORD-');
    expect(compaction!.tokensAfter).toBeLessThanOrEqual(900);
  },
);

test('a model that fails or hangs is given up, and its error’s text goes nowhere', async () => {
  const failing = await started(() => Promise.reject(new TypeError('secret content')));
  expect((await compact(failing)).compaction!.fallback).toBe('summarize: the model failed (TypeError)');
  const hanging = await started(() => new Promise(() => undefined), { timeoutMs: 20 });
  expect((await compact(hanging)).compaction!.fallback).toBe('summarize: took longer than 20 ms');
  const none = await inMemory({ compaction: { autoCompact: false } });
  await none.sessions.create({ id: 's', userId: 'u' });
  await none.messages.append('s', chat(1, 60));
  expect((await compact(none)).compaction!.fallback).toBe('summarize: no summarizer was given');
});

test('more than the model takes is summarised in steps', async () => {
  const prompts: string[] = [];
  const engine = await started(
    async ({ prompt }) => {
      prompts.push(prompt);
      return summaryOf(`step ${prompts.length}`);
    },
    { modelMaxTokens: 1000 },
  );
  const { compaction } = await compact(engine);
  expect(prompts.length).toBeGreaterThan(2);
  for (const [i, prompt] of prompts.entries()) {
    expect(prompt.includes('<summary-so-far>')).toBe(i > 0);
    if (i > 0) expect(prompt).toContain(`step ${i}`);
  }
  expect(compaction!.summary).toContain(`step ${prompts.length}`);
});

test('a language model of the AI SDK writes summaries as it is', async () => {
  let unified: 'stop' | 'length' = 'stop';
  const model = new MockLanguageModelV3({
    modelId: 'small-one',
    doGenerate: async () => ({
      content: [{ type: 'text' as const, text: summaryOf('by the model') }],
      finishReason: { unified, raw: undefined },
      usage: {
        inputTokens: { total: 1, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
        outputTokens: { total: 1, text: undefined, reasoning: undefined },
      },
      warnings: [],
    }),
  });
  const engine = await inMemory({ compaction: { autoCompact: false } });
  await engine.sessions.create({ id: 's', userId: 'u' });
  await engine.messages.append('s', chat(1, 60));
  const { compaction } = await engine.window.compact('s', {
    strategy: 'summarize',
    targetTokens: 900,
    summarizer: model,
  });
  expect(compaction).toMatchObject({ strategy: 'summarize', model: 'small-one' });
  expect(compaction!.summary).toContain('by the model');
  const [{ prompt, maxOutputTokens }] = model.doGenerateCalls as [
    { prompt: unknown[]; maxOutputTokens: number },
  ];
  expect(prompt).toMatchObject([{ role: 'system' }, { role: 'user', content: [{ type: 'text' }] }]);
  expect(maxOutputTokens).toBeGreaterThan(48);
  unified = 'length';
  await engine.window.undo('s');
  const options = { strategy: 'summarize', targetTokens: 900, summarizer: model } as const;
  const again = await engine.window.compact('s', options);
  expect(again.compaction!.fallback).toBe('summarize: it was cut off');
});

/** Orders that a tool was asked for: what it says of each is far longer than what is told of it. */
const lookups = (count: number): MessageInput[] =>
  Array.from({ length: count }, (_, i): MessageInput[] => [
    { role: 'user', content: `Look up order ${100 + i}` },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: `c${i}`, type: 'function', function: { name: 'lookup', arguments: '{}' } }],
    },
    {
      role: 'tool',
      tool_call_id: `c${i}`,
      content: `${'A line of the log without anything in it.\n'.repeat(10)}Order ORD-${100 + i} has the tracking number TRK-${9000 + i}.\n${'debug trace\n'.repeat(60)}`,
    },
    { role: 'assistant', content: 'Done, I have it.' },
  ]).flat();

test('a summary is made from what tools said, not from the markers that stand for it', async () => {
  const prompts: string[] = [];
  const summarizer = async ({ prompt }: ModelRequest) => {
    prompts.push(prompt);
    return summaryOf(/TRK-\d+/.exec(prompt)?.[0] ?? 'no number');
  };
  for (const strategy of ['extractive', 'summarize'] as const) {
    const engine = await inMemory({ compaction: { autoCompact: false, summarizer } });
    await engine.sessions.create({ id: 's', userId: 'u' });
    await engine.messages.append('s', lookups(30));
    const { compaction } = await engine.window.compact('s', {
      strategy: ['tool-results', 'dedup', strategy],
      targetTokens: 1500,
    });
    expect(compaction).toMatchObject({ strategy: expect.stringContaining(strategy) });
    expect(compaction!.summary).toMatch(/TRK-90\d\d/);
    expect(compaction!.summary).not.toContain('read them back');
  }
  expect(prompts.join()).toContain('TRK-9000');
  expect(prompts.join()).not.toContain('read them back');
});

const quarters = { name: 'quarters', count: (text: string) => Math.ceil(text.length / 4) };

test.for([500, 2000, 8000])(
  'no call has more than %i tokens, instructions and reply included, and nothing of a long message is lost',
  async (modelMaxTokens) => {
    const calls: ModelRequest[] = [];
    const summarizer = async (request: ModelRequest) => {
      calls.push(request);
      const ids = request.prompt.match(/ORD-\d+/g) ?? [];
      return summaryOf('x '.repeat(request.maxOutputTokens * 0.5), ids.at(-1));
    };
    const engine = await inMemory({
      tokenCounter: quarters,
      compaction: { autoCompact: false, summarizer, modelMaxTokens },
    });
    await engine.sessions.create({ id: 's', userId: 'u' });
    await engine.messages.append('s', [...chat(1, 200)]);
    const first = await engine.window.compact('s', { strategy: 'extractive', targetTokens: 4000 });
    expect(first.compaction).toBeDefined();
    const lines = Array.from({ length: 3000 }, (_, i) => `line-${10_000 + i}`);
    await engine.messages.append('s', [{ role: 'assistant', content: lines.join('\n') }, ...chat(201, 230)]);
    const { compaction } = await engine.window.compact('s', { strategy: 'summarize', targetTokens: 4000 });
    expect([compaction!.strategy, compaction!.fallback]).toEqual(['summarize', undefined]);
    expect(compaction!.fallback).toBeUndefined();
    for (const { system, prompt, maxOutputTokens } of calls)
      expect(quarters.count(system) + quarters.count(prompt) + maxOutputTokens).toBeLessThanOrEqual(
        modelMaxTokens,
      );
    const parts = calls.map(({ prompt }) => /<messages>([\s\S]*)<\/messages>/.exec(prompt)![1]!);
    const seen = new Set(parts.join('').match(/line-\d+/g));
    expect(seen.size).toBeGreaterThan(lines.length - parts.length);
  },
);

test('a call that fails is made again, and of those before one that fails for good the summary is kept', async () => {
  let calls = 0;
  let fails = (call: number): boolean => call === 3;
  const summarizer = async ({ prompt }: ModelRequest) => {
    if (fails(++calls)) throw new Error('busy');
    return summaryOf(`call ${calls}`, newestOrder(prompt));
  };
  const engine = await started(summarizer, { modelMaxTokens: 1000 });
  const whole = (await compact(engine)).compaction!;
  expect(whole).toMatchObject({ strategy: 'summarize' });
  expect(whole.fallback).toBeUndefined();
  await engine.window.undo('s');
  const all = calls - 1;
  calls = 0;
  fails = (call) => call >= all;
  const part = (await compact(engine)).compaction!;
  expect(part).toMatchObject({ strategy: 'summarize', fallback: 'summarize: the model failed (Error)' });
  expect(part.uptoSeq).toBeLessThan(whole.uptoSeq);
  expect(part.sources).toEqual([[1, part.uptoSeq]]);
  expect(part.summary).toContain(`call ${all - 1}`);
});
