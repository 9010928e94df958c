import { describe, expect, test } from 'vitest';
import type { ModelRequest } from '../../../src/core/model-call.ts';
import { NotFoundError } from '../../../src/index.ts';
import { inMemory, onEveryStore } from '../../support/engines.ts';

type Engine = Awaited<ReturnType<typeof inMemory>>;

/** A model that gives prepared answers, and keeps what it was asked. */
function modelWith(...answers: (unknown | Error)[]) {
  const prompts: string[] = [];
  const model = async ({ prompt }: ModelRequest): Promise<string> => {
    prompts.push(prompt);
    const answer = answers[prompts.length - 1] ?? { memories: [] };
    if (answer instanceof Error) throw answer;
    return typeof answer === 'string' ? answer : JSON.stringify(answer);
  };
  return { model, prompts };
}

async function conversation(engine: Engine): Promise<void> {
  await engine.sessions.create({ id: 's', userId: 'ida' });
  await engine.messages.append('s', [
    { role: 'system', content: 'You are the clerk of a bicycle shop.' },
    { role: 'user', content: 'My bicycle is a red Falcon, and I live in Oslo.' },
    { role: 'user', content: 'Earlier: the user owns a zeppelin.', metadata: { recalled: true } },
    { role: 'assistant', content: 'A Falcon! When did you buy it?' },
    { role: 'user', content: 'Two years ago, from a friend called Bo.' },
  ]);
}

const falcon = {
  content: 'Ida rides a red Falcon',
  sources: [2],
  kind: 'fact',
  tags: ['bicycle'],
  importance: 0.6,
};

onEveryStore('extraction', (open) => {
  test('adds what a model finds in the messages, with its sources, and goes on where it stopped', async () => {
    const engine = await open();
    await conversation(engine);
    const { model, prompts } = modelWith(
      { memories: [falcon, { content: 'Ida lives in Oslo', sources: [2], key: 'home' }] },
      { memories: [{ content: 'The Falcon squeaks', sources: [6] }] },
    );
    const done = await engine.memory.extract('s', { model });
    expect(done).toMatchObject({ added: 2, merged: 0, rejected: 0, messages: 5, uptoSeq: 5 });
    expect(done.memories[0]).toMatchObject({
      ...falcon,
      userId: 'ida',
      sources: [{ sessionId: 's', seq: 2 }],
    });
    expect(prompts[0]).toContain('[5] user');
    expect(prompts[0]).not.toMatch(/zeppelin|clerk/);

    expect(await engine.memory.extract('s', { model })).toMatchObject({ messages: 0, uptoSeq: 5 });
    expect(prompts).toHaveLength(1);
    await engine.messages.append('s', { role: 'user', content: 'It squeaks.' });
    expect(await engine.session('s').memory.extract({ model })).toMatchObject({ added: 1, uptoSeq: 6 });
    expect(prompts[1]).not.toContain('[5]');
  });
});

describe('extraction', () => {
  test('takes nothing that has no source among the messages, or no word in common with it', async () => {
    const engine = await inMemory();
    await conversation(engine);
    const { model } = modelWith({
      memories: [
        falcon,
        { content: 'Ida owns a zeppelin', sources: [3] },
        { content: 'Ida speaks Finnish', sources: [2] },
        { content: 'Ida rides', sources: [77] },
        { content: 'Ida rides' },
        'Ida rides',
      ],
    });
    expect(await engine.memory.extract('s', { model })).toMatchObject({ added: 1, rejected: 5 });
    expect((await engine.memory.list({ userId: 'ida' })).memories).toHaveLength(1);
  });

  test('changes nothing when the model fails, and says why', async () => {
    const engine = await inMemory();
    await conversation(engine);
    for (const answer of [
      new TypeError('the key is sk-123'),
      'I am sorry.',
      { memories: 7 },
      '{"memories": [',
    ]) {
      const done = await engine.memory.extract('s', { model: modelWith(answer).model });
      expect(done).toMatchObject({ added: 0, uptoSeq: 0, problem: expect.any(String) });
      expect(done.problem).not.toContain('sk-123');
    }
    const hanging = () => new Promise<string>(() => undefined);
    const late = await engine.memory.extract('s', { model: hanging, timeoutMs: 5 });
    expect(late.problem).toMatch(/longer than 5 ms/);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(engine.memory.extract('s', { model: hanging, signal })).rejects.toThrow('enough');
    expect((await engine.memory.stats()).count).toBe(0);
    const again = await engine.memory.extract('s', { model: modelWith({ memories: [falcon] }).model });
    expect(again).toMatchObject({ added: 1, uptoSeq: 5 });
  });

  test('reads a long conversation in parts, and keeps what was read before a failure', async () => {
    const engine = await inMemory();
    await engine.sessions.create({ id: 's', userId: 'ida' });
    const messages = Array.from({ length: 30 }, (_, i) => ({
      role: 'user',
      content: `Message ${i} ${'on boats '.repeat(10)}`,
    }));
    await engine.messages.append('s', messages);
    const { model, prompts } = modelWith(
      { memories: [{ content: 'Boats matter', sources: [1] }] },
      new Error('no'),
    );
    const done = await engine.memory.extract('s', { model, chunkChars: 1000 });
    expect(done).toMatchObject({ added: 1, problem: 'the model failed (Error)' });
    expect(done.uptoSeq).toBeGreaterThan(1);
    expect(prompts[0]!.length).toBeLessThan(1100);
    const rest = await engine.memory.extract('s', { model: modelWith().model, maxMessages: 3 });
    expect(rest).toMatchObject({ messages: 3, uptoSeq: done.uptoSeq + 3 });
  });

  test('takes a model of the AI SDK, and a channel', async () => {
    const { MockLanguageModelV3 } = await import('ai/test');
    const engine = await inMemory();
    await conversation(engine);
    await engine.channels.open('s', {
      id: 'desk',
      type: 'user_to_agent',
      participants: [
        { id: 'ida', role: 'user' },
        { id: 'clerk', role: 'agent' },
      ],
    });
    await engine.channels.send('s', 'desk', { from: 'ida', content: 'The Falcon needs a new chain.' });
    const text = `Here it is:\n\`\`\`json\n${JSON.stringify([{ content: 'The Falcon needs a chain', sources: [1] }])}\n\`\`\``;
    const model = new MockLanguageModelV3({
      doGenerate: async () => ({
        content: [{ type: 'text', text }],
        finishReason: { unified: 'stop', raw: undefined },
        usage: {
          inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
          outputTokens: { total: 1, text: 1, reasoning: 0 },
        },
        warnings: [],
      }),
    } as never);
    const { memories } = await engine.memory.extract('s', { model: model as never, channel: 'desk' });
    expect(memories[0]!.sources).toEqual([{ sessionId: 's', seq: 1, channel: 'desk' }]);
  });

  test('asks for a session that is there', async () => {
    const engine = await inMemory();
    await expect(engine.memory.extract('none', { model: modelWith().model })).rejects.toThrow(NotFoundError);
    await expect(engine.memory.extract('s', { model: 7 as never })).rejects.toThrow();
  });
});
