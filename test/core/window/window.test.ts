import { describe, expect, onTestFinished, test } from 'vitest';
import {
  BudgetError,
  ContextEngine,
  InvalidInputError,
  NotFoundError,
  openStore,
} from '../../../src/index.ts';
import { newSession, onEveryStore } from '../../support/engines.ts';
import { watched } from '../../support/stores.ts';
import { letters } from './histories.ts';

const say = (role: string, content: string, more: object = {}) => ({ role, content, ...more });
const call = (id: string) => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
});
const result = (id: string, content: string) => ({ role: 'tool', tool_call_id: id, content });
/** A message of so many tokens. */
const sized = (role: string, tokens: number, more: object = {}) => say(role, 'abc'.repeat(tokens - 4), more);

async function sessionOf(
  engine: ContextEngine,
  messages: Parameters<ContextEngine['messages']['append']>[1][],
) {
  await newSession(engine);
  await engine.messages.append('s', messages as never);
}

onEveryStore('a window', (open) => {
  test('is laid out from what changes least to what changes most, and explains itself', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [
      sized('system', 10),
      sized('user', 10, { pinned: true }),
      sized('assistant', 10),
      sized('user', 10, { priority: 'low' }),
      sized('assistant', 10, { priority: 'high' }),
      sized('assistant', 10),
      sized('user', 10),
      sized('assistant', 10),
    ] as never);
    const window = await engine.window.build('s', { recall: false, maxTokens: 3 + 70 });
    expect(
      window.sections.map(({ name, tokens, items }) => [name, tokens, items.map(({ seq }) => seq)]),
    ).toEqual([
      ['system', 10, [1]],
      ['pinned', 10, [2]],
      ['older', 30, [3, 5, 6]],
      ['recent', 20, [7, 8]],
    ]);
    expect(window.sections.flatMap(({ items }) => items.map(({ reason }) => reason))).toEqual([
      'system',
      'pinned',
      'fits',
      'high-priority',
      'fits',
      'last-user-turn',
      'newest',
    ]);
    expect(window.leftOut).toEqual([{ reason: 'low-priority', fromSeq: 4, toSeq: 4, count: 1, tokens: 10 }]);
    expect(window).toMatchObject({ tokens: 73, atSeq: 8, cacheBreakpoints: [1, 4, 6] });
    expect(window.messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 5, 6, 7, 8]);
    const all = await engine.window.build('s', { recall: false, maxTokens: 3 + 80 });
    expect(all.leftOut).toEqual([]);
    const few = await engine.window.build('s', { recall: false, maxTokens: 3 + 50 });
    expect(few.messages.map(({ seq }) => seq)).toEqual([1, 2, 5, 7, 8]);
    expect(few.leftOut).toEqual([
      { reason: 'budget', fromSeq: 3, toSeq: 3, count: 1, tokens: 10 },
      { reason: 'low-priority', fromSeq: 4, toSeq: 4, count: 1, tokens: 10 },
      { reason: 'budget', fromSeq: 6, toSeq: 6, count: 1, tokens: 10 },
    ]);
  });

  test('of an empty session is empty, and costs its frame', async () => {
    const engine = await open();
    await newSession(engine);
    expect(await engine.window.build('s', { recall: false, maxTokens: 3 })).toMatchObject({
      messages: [],
      tokens: 3,
      leftOut: [],
    });
    await expect(engine.window.build('s', { recall: false, maxTokens: 2 })).rejects.toThrow(BudgetError);
    await expect(engine.window.build('none', { recall: false, maxTokens: 100 })).rejects.toThrow(
      NotFoundError,
    );
    await expect(engine.window.build('s', { maxTokens: 0 })).rejects.toThrow(InvalidInputError);
  });

  test('leaves room for the reply and the tools', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, Array.from({ length: 20 }, () => sized('user', 10)) as never);
    const tools = [{ name: 'search', description: 'Finds things' }];
    const cost = letters.count(JSON.stringify(tools));
    const window = await engine.window.build('s', { recall: false, maxTokens: 100, replyTokens: 20, tools });
    expect(window.budget).toEqual({ maxTokens: 100, reply: 20, tools: cost, messages: 80 - cost });
    expect(window.messages).toHaveLength(Math.floor((80 - cost - 3) / 10));
    const counted = await engine.window.build('s', {
      recall: false,
      maxTokens: 100,
      replyTokens: 20,
      tools: 27,
    });
    expect(counted.messages).toHaveLength(5);
    const tooMuch = engine.window.build('s', { recall: false, maxTokens: 100, replyTokens: 80, tools: 20 });
    await expect(tooMuch).rejects.toMatchObject({
      code: 'budget',
      requiredTokens: 103,
      budgetTokens: 100,
      details: { parts: { reply: 80, tools: 20, frame: 3 } },
    });
  });

  test('that can’t hold what it must is refused with the numbers, and the budget they name is enough', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [
      sized('system', 50),
      sized('user', 20, { pinned: true }),
      sized('user', 30),
      call('c'),
      result('c', 'abc'.repeat(40)),
    ] as never);
    const error = await engine.window
      .build('s', { maxTokens: 60, replyTokens: 10 })
      .catch((reason) => reason);
    expect(error).toBeInstanceOf(BudgetError);
    const { requiredTokens, budgetTokens, details } = error as BudgetError;
    expect(budgetTokens).toBe(50);
    expect(details?.parts).toMatchObject({ system: 50, pinned: 20, lastUserTurn: 30 });
    const enough = { maxTokens: requiredTokens + 10, replyTokens: 10 };
    expect((await engine.window.build('s', enough)).tokens).toBe(requiredTokens);
    await expect(engine.window.build('s', { ...enough, maxTokens: enough.maxTokens - 1 })).rejects.toThrow(
      BudgetError,
    );
  });

  test('that is refused names the part that is too large, and how to make it smaller', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [sized('user', 60, { pinned: true }), sized('user', 30)] as never);
    const hint = (request: object) =>
      engine.window.build('s', { maxTokens: 60, ...request }).catch((error: BudgetError) => error.hint);
    expect(await hint({})).toBe('The largest part is pinned: unpin messages, or raise maxTokens.');
    expect(await hint({ replyTokens: 60 })).toContain('lower replyTokens');
    expect(await hint({ tools: 70 })).toContain('fewer tools');
  });

  test('of a model whose counts are estimates says so', async () => {
    const engine = await open();
    await sessionOf(engine, [say('user', 'hello')] as never);
    const build = (model?: string) => engine.window.build('s', { recall: false, maxTokens: 100, model });
    expect((await build()).counter).toEqual({ name: 'o200k_base', estimated: false });
    expect((await build('claude-opus')).counter).toEqual({ name: 'o200k_base*1.2', estimated: true });
  });

  test('in another format has its breakpoints at the same places', async () => {
    const engine = await open({ tokenCounter: letters });
    const both = [
      { type: 'tool-call', toolCallId: 'a', toolName: 'f', input: {} },
      { type: 'tool-call', toolCallId: 'b', toolName: 'f', input: {} },
    ];
    const results = ['a', 'b'].map((toolCallId) => ({
      type: 'tool-result',
      toolCallId,
      toolName: 'f',
      output: { type: 'text', value: toolCallId },
    }));
    await sessionOf(engine, [
      say('system', 'x'),
      { role: 'assistant', content: both },
      { role: 'tool', content: results },
      say('user', 'next'),
    ] as never);
    const window = await engine.window.build('s', { recall: false, maxTokens: 500, as: 'openai' });
    expect(window.messages.map(({ role }) => role)).toEqual(['system', 'assistant', 'tool', 'tool', 'user']);
    expect(window.cacheBreakpoints).toEqual([0, 3, 4]);
    expect(
      (await engine.window.build('s', { recall: false, maxTokens: 500, as: 'ai-sdk' })).cacheBreakpoints,
    ).toEqual([0, 2, 3]);
  });

  test('keeps its prefix hash while the log only grows, and changes it when something is evicted', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [sized('system', 10), sized('user', 10)] as never);
    const build = () => engine.window.build('s', { recall: false, maxTokens: 203 });
    let before = await build();
    for (let i = 0; i < 9; i++) {
      await engine.messages.append('s', [sized('assistant', 10), sized('user', 10)]);
      const window = await build();
      expect(window.prefixHash).toBe(before.prefixHash);
      expect(window.messages.slice(0, before.messages.length)).toEqual(before.messages);
      before = window;
    }
    await engine.messages.append('s', sized('user', 10));
    expect((await build()).prefixHash).not.toBe(before.prefixHash);
  });
});

onEveryStore('a recorded window', (open) => {
  test('tells what it shares with the one before, and can be shown again', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [sized('system', 10), sized('user', 10), sized('assistant', 10)] as never);
    const record = (options: object = {}) =>
      engine.window.build('s', { recall: false, maxTokens: 200, record: true, ...options });
    const first = await record();
    expect(first.manifest).toMatchObject({ id: '1', atSeq: 3, sharedPrefix: { messages: 0, tokens: 0 } });
    await engine.messages.append('s', sized('user', 10));
    const second = await record({ model: 'gpt-5', query: 'nothing' });
    expect(second.manifest).toMatchObject({
      id: '2',
      model: 'gpt-5',
      query: 'nothing',
      sharedPrefix: { messages: 3, tokens: 30 },
    });
    await engine.messages.edit('s', '@2', { content: 'edited' });
    const third = await record();
    expect(third.manifest?.sharedPrefix).toEqual({ messages: 1, tokens: 10 });
    expect((await engine.window.manifests('s')).map(({ id }) => id)).toEqual(['3', '2', '1']);
    expect((await engine.window.manifests('s', { limit: 1, before: '3' })).map(({ id }) => id)).toEqual([
      '2',
    ]);
    const replayed = await engine.window.replay('s', '2');
    expect(replayed).toMatchObject({ changed: [2], gone: [] });
    await engine.messages.pop('s');
    expect(await engine.window.replay('s', '2')).toMatchObject({ changed: [2], gone: [4] });
    for (const id of ['9', 'x', '0', '-1'])
      await expect(engine.window.replay('s', id)).rejects.toThrow(NotFoundError);
  });

  test('shows calls without those that were never answered, and recalled messages as they were', async () => {
    const engine = await open({ tokenCounter: letters });
    const calls = { ...call('a'), tool_calls: [...call('a').tool_calls, ...call('b').tool_calls], odd: 1 };
    await sessionOf(engine, [
      say('user', 'zebras are striped'),
      ...Array.from({ length: 40 }, () => sized('user', 20)),
      calls,
      result('b', 'done'),
      say('user', 'what of zebras?'),
    ] as never);
    const window = await engine.window.build('s', { maxTokens: 300, record: true, query: 'zebras' });
    const trimmed = window.sections.flatMap(({ items }) => items).filter((item) => item.trimmed);
    expect(trimmed).toMatchObject([{ seq: 42, trimmed: 'unanswered-tool-call' }]);
    expect(window.messages.filter(({ metadata }) => metadata?.recalled)).toHaveLength(1);
    const { messages } = await engine.window.replay('s', window.manifest!.id);
    expect(messages).toEqual(window.messages);
  });
});

describe('what a window reads', () => {
  async function entriesRead(length: number, options: object = {}, each: (i: number) => object = () => ({})) {
    const { store, asked } = watched(await openStore('memory:'));
    const engine = await ContextEngine.open(store, {
      maintenanceIntervalMs: 0,
      compaction: { autoCompact: false },
      tokenCounter: letters,
    });
    onTestFinished(() => engine.close());
    await newSession(engine);
    const filler = Array.from({ length: length - 20 }, (_, i) => ({ ...sized('user', 20), ...each(i) }));
    const messages = [sized('system', 20), sized('user', 20, { pinned: true }), ...filler];
    for (let i = 0; i < messages.length; i += 10_000)
      await engine.messages.append('s', messages.slice(i, i + 10_000));
    const tail = Array.from({ length: 9 }, (_, i) => [call(`${i}`), result(`${i}`, 'done')]);
    await engine.messages.append('s', [...tail.flat(), sized('user', 20)]);
    await engine.messages.settled();
    asked.entries = 0;
    const window = await engine.window.build('s', { recall: false, maxTokens: 700, ...options });
    return { entries: asked.entries, window, engine, asked };
  }

  test('is the same whatever the length of the history', async () => {
    const short = await entriesRead(100);
    const long = await entriesRead(20_000);
    expect(long.entries).toBe(short.entries);
    expect(long.window.tokens).toBe(short.window.tokens);
    expect(long.window.leftOut.reduce((sum, { count }) => sum + count, 0)).toBe(
      20_001 - long.window.messages.length,
    );
  });

  test('is not much more when everything is of low priority, or everything of high', async () => {
    const plain = await entriesRead(5000);
    const low = await entriesRead(5000, {}, () => ({ priority: 'low' }));
    expect(low.entries).toBeLessThan(plain.entries + 600);
    const high = await entriesRead(5000, {}, () => ({ priority: 'high' }));
    expect(high.entries).toBeLessThan(plain.entries + 600);
  });

  test('is not all when the last user message is far behind: where it was found is remembered', async () => {
    const agent = (i: number) => ({ role: i === 0 ? 'user' : 'assistant' });
    const { store, asked } = watched(await openStore('memory:'));
    const engine = await ContextEngine.open(store, {
      maintenanceIntervalMs: 0,
      compaction: { autoCompact: false },
      tokenCounter: letters,
    });
    onTestFinished(() => engine.close());
    await newSession(engine);
    const work = Array.from({ length: 5000 }, (_, i) => ({ ...sized('assistant', 20), ...agent(i) }));
    await engine.messages.append('s', work);
    const lastUser = async (maxTokens = 700) => {
      asked.entries = 0;
      const { messages } = await engine.window.build('s', { recall: false, maxTokens });
      return messages.find(({ role }) => role === 'user')?.seq;
    };
    expect(await lastUser()).toBe(1);
    expect(asked.entries).toBeGreaterThan(4900);
    await engine.messages.append('s', work.slice(1, 300));
    expect(await lastUser()).toBe(1);
    expect(asked.entries).toBeLessThan(1000);
    await engine.messages.append('s', [say('user', 'and now?'), ...work.slice(1, 600)]);
    expect(await lastUser()).toBe(5300);
    expect(await lastUser()).toBe(5300);
    expect(asked.entries).toBeLessThan(200);
    expect(
      (await engine.window.build('s', { recall: false, maxTokens: 700, atSeq: 5200 })).messages[0]!.seq,
    ).toBe(1);
    await engine.messages.truncate('s', { beforeSeq: 5301 });
    expect(await lastUser()).toBeUndefined();
    const fork = await engine.sessions.fork('s', { atSeq: 5600 });
    await engine.messages.append(fork.id, [say('user', 'here'), ...work.slice(1, 600)]);
    const forked = await engine.window.build(fork.id, { recall: false, maxTokens: 700 });
    expect(forked.messages.find(({ role }) => role === 'user')?.seq).toBe(5601);
  });
});

onEveryStore('what the provider has counted', (open) => {
  test('corrects later windows of that model, within bounds, and is summed up', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, Array.from({ length: 100 }, () => sized('user', 10)) as never);
    const build = (model?: string) => engine.window.build('s', { recall: false, maxTokens: 303, model });
    expect((await build('m')).messages).toHaveLength(30);
    await engine.window.reportUsage('s', {
      model: 'm',
      inputTokens: 606,
      cachedTokens: 100,
      outputTokens: 5,
    });
    const corrected = await build('m');
    expect(corrected.messages).toHaveLength(14);
    expect(corrected.tokens).toBe((14 * 10 + 3) * 2);
    expect((await build()).messages).toHaveLength(30);
    await engine.window.reportUsage('s', { model: 'm', inputTokens: 1_000_000 });
    // Averaged with the report before, and none counts more than fourfold.
    expect((await build('m')).tokens).toBeLessThanOrEqual(303);
    expect((await build('m')).messages).toHaveLength(Math.floor((303 / 3 - 3) / 10));
    expect(await engine.window.usage('s')).toEqual({
      calls: 2,
      inputTokens: 1_000_606,
      cachedTokens: 100,
      outputTokens: 5,
      byModel: { m: { calls: 2, inputTokens: 1_000_606, cachedTokens: 100, outputTokens: 5 } },
    });
  });

  test('never makes a window too large, whatever the ratio', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, Array.from({ length: 60 }, () => sized('user', 7)) as never);
    let refused = 0;
    for (let i = 0; i < 40; i++) {
      const maxTokens = 50 + 7 * i;
      const window = await engine.window.build('s', { recall: false, maxTokens, model: 'm' });
      expect(window.tokens).toBeLessThanOrEqual(maxTokens);
      await engine.window.reportUsage('s', {
        model: 'm',
        inputTokens: Math.ceil(window.tokens * (0.5 + ((i * 7) % 11) / 7)),
      });
      const error = await engine.window
        .build('s', { recall: false, maxTokens: 13, model: 'm' })
        .catch((reason) => reason);
      if (!(error instanceof BudgetError)) continue;
      refused++;
      const enough = await engine.window.build('s', {
        recall: false,
        maxTokens: error.requiredTokens,
        model: 'm',
      });
      expect(enough.tokens).toBe(error.requiredTokens);
    }
    expect(refused).toBeGreaterThan(5);
  });

  test('must make sense', async () => {
    const engine = await open();
    await newSession(engine);
    const report = (usage: object) => engine.window.reportUsage('s', usage as { inputTokens: number });
    await expect(report({ inputTokens: 1, cachedTokens: 2 })).rejects.toThrow(
      /cachedTokens: must not exceed/,
    );
    await expect(report({ inputTokens: -1 })).rejects.toThrow(InvalidInputError);
    await expect(report({ tokens: 1 })).rejects.toThrow(/inputTokens: is missing/);
    expect((await engine.window.usage('s')).calls).toBe(0);
  });
});
