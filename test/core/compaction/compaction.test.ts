import { describe, expect, test } from 'vitest';
import type { CompactionOptions } from '../../../src/core/compaction/options.ts';
import type { Compaction, CompactionResult, Strategy } from '../../../src/core/model/compaction.ts';
import {
  BudgetError,
  type ContextEngine,
  InvalidInputError,
  type MessageInput,
  NotFoundError,
} from '../../../src/index.ts';
import { FakeClock, newSession, onEveryStore } from '../../support/engines.ts';
import { letters } from '../window/histories.ts';

const say = (role: string, content: string, more: object = {}): MessageInput => ({ role, content, ...more });
/** A message of so many tokens. */
const sized = (role: string, tokens: number, more: object = {}) => say(role, 'abc'.repeat(tokens - 4), more);
const turns = (count: number, tokens = 10): MessageInput[] =>
  Array.from({ length: count }, (_, i) => sized(i % 2 ? 'assistant' : 'user', tokens));
const call = (id: string): MessageInput => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id, type: 'function', function: { name: 'read_file', arguments: '{}' } }],
});
const result = (id: string, content: string): MessageInput => ({ role: 'tool', tool_call_id: id, content });

async function sessionOf(engine: ContextEngine, messages: readonly MessageInput[]): Promise<void> {
  await newSession(engine);
  await engine.messages.append('s', messages);
}

async function compact(
  engine: ContextEngine,
  strategy: Strategy | readonly Strategy[],
  targetTokens: number,
): Promise<Compaction> {
  return made(await engine.window.compact('s', { strategy, targetTokens }));
}

function made(result: CompactionResult): Compaction {
  expect(result.refused).toBeUndefined();
  return result.compaction!;
}

/** A window of everything: without recall, so that only the history is in it. */
const build = (engine: ContextEngine, maxTokens = 1_000_000, more: object = {}) =>
  engine.window.build('s', { maxTokens, recall: false, ...more });
const seqsOf = async (engine: ContextEngine, maxTokens?: number, more?: object) =>
  (await build(engine, maxTokens, more)).messages.map(({ seq }) => seq);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

onEveryStore('a compaction', (open) => {
  test('stands for the older part of a session, and changes nothing of the log', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [sized('system', 10), ...turns(40)]);
    const before = await engine.messages.list('s', { limit: 100 });
    const one = await compact(engine, 'truncate', 113);
    expect(one).toMatchObject({
      id: '1',
      strategy: 'truncate',
      fromSeq: 1,
      uptoSeq: 31,
      atSeq: 41,
      covered: 31,
      tokensBefore: 413,
      tokensAfter: 113,
      sources: [],
      kept: [],
      offloaded: [],
      counter: 'letters',
    });
    const window = await build(engine);
    expect(window.messages.map(({ seq }) => seq)).toEqual([1, ...range(32, 41)]);
    expect(window).toMatchObject({ tokens: 113, compaction: '1' });
    expect(window.leftOut).toEqual([{ reason: 'compacted', fromSeq: 2, toSeq: 31, count: 30 }]);
    expect(await engine.messages.list('s', { limit: 100 })).toEqual(before);
    expect(await engine.window.compactions('s')).toEqual([one]);
  });

  test('goes on from the one before, and each can be taken back with all after it', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, turns(20));
    const first = await compact(engine, 'truncate', 103);
    await engine.messages.append('s', turns(10));
    const second = await compact(engine, 'truncate', 103);
    expect(second).toMatchObject({ base: '1', fromSeq: 1, uptoSeq: 20, tokensBefore: 203, tokensAfter: 103 });
    expect(await seqsOf(engine)).toEqual(range(21, 30));
    expect(await engine.window.undo('s')).toMatchObject({ id: '2', undone: { reason: 'undone' } });
    expect(await seqsOf(engine)).toEqual(range(11, 30));
    const third = await compact(engine, 'truncate', 53);
    expect(third).toMatchObject({ id: '3', base: '1', uptoSeq: 25 });
    await engine.window.undo('s', first.id);
    expect(await seqsOf(engine)).toEqual(range(1, 30));
    const all = await engine.session('s').window.compactions();
    expect(all.map(({ id, undone }) => [id, undone?.reason])).toEqual([
      ['3', 'undone'],
      ['2', 'undone'],
      ['1', 'undone'],
    ]);
    expect(await engine.window.compactions('s', { limit: 1, before: '3' })).toMatchObject([{ id: '2' }]);
    await expect(engine.window.undo('s')).rejects.toThrow(NotFoundError);
    await expect(engine.window.undo('s', '9')).rejects.toThrow(NotFoundError);
    await expect(engine.window.compactions('s', { before: '9' })).rejects.toThrow(NotFoundError);
  });

  test('does not stand in windows of the time before it was made', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, turns(20));
    await compact(engine, 'truncate', 53);
    await engine.messages.append('s', turns(20));
    await compact(engine, 'truncate', 53);
    expect(await seqsOf(engine)).toEqual(range(36, 40));
    expect(await seqsOf(engine, undefined, { atSeq: 39 })).toEqual(range(16, 39));
    expect(await seqsOf(engine, undefined, { atSeq: 20 })).toEqual(range(16, 20));
    expect(await seqsOf(engine, undefined, { atSeq: 19 })).toEqual(range(1, 19));
    await engine.window.undo('s', '1');
    expect(await seqsOf(engine, undefined, { atSeq: 39 })).toEqual(range(1, 39));
  });

  test('is refused where it would save too little, or there is nothing to leave out', async () => {
    const engine = await open({ tokenCounter: letters, compaction: { autoCompact: false, minSaving: 0.2 } });
    await newSession(engine);
    const nothing = { reason: 'nothing-to-compact', tokensBefore: 3 };
    expect(await engine.window.compact('s')).toEqual({ refused: nothing });
    await engine.messages.append('s', turns(20));
    expect(await engine.window.compact('s', { strategy: 'truncate', targetTokens: 173 })).toEqual({
      refused: { reason: 'saves-too-little', tokensBefore: 203, tokensAfter: 173 },
    });
    expect(await engine.window.compact('s', { strategy: 'tool-results', targetTokens: 50 })).toEqual({
      refused: { reason: 'nothing-to-compact', tokensBefore: 203 },
    });
    expect(await engine.window.compactions('s')).toEqual([]);
    const half = made(await engine.window.compact('s', { strategy: 'truncate' }));
    expect(half.tokensAfter).toBeLessThanOrEqual(103);
    await expect(engine.window.compact('none')).rejects.toThrow(NotFoundError);
    await expect(engine.window.compact('s', { strategy: 'shorter' as never })).rejects.toThrow(
      InvalidInputError,
    );
  });

  test('keeps pinned messages, the newest group and the user’s last turn as they are', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [
      ...turns(4),
      sized('user', 10, { pinned: true }),
      ...turns(10),
      sized('user', 10),
      ...Array.from({ length: 10 }, () => sized('assistant', 10)),
    ]);
    await compact(engine, 'truncate', 43);
    expect(await seqsOf(engine)).toEqual([5, 16, 25, 26]);
    await compact(engine, 'extractive', 33);
    expect(await seqsOf(engine)).toEqual([5, 16, 26]);
    await engine.messages.edit('s', '@3', { pinned: true });
    expect(await seqsOf(engine)).toEqual([3, 5, 16, 26]);
  });

  test('keeps a call that waits for its result', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, [...turns(10), call('late'), ...turns(20)]);
    await compact(engine, 'truncate', 103);
    expect(await seqsOf(engine)).toEqual(range(22, 31));
    await engine.messages.append('s', [result('late', 'done'), sized('user', 10)]);
    expect((await build(engine)).messages.map(({ role }) => role).slice(0, 2)).toEqual(['assistant', 'tool']);
  });

  test('leaves messages of high priority for last, and with priority takes the low ones first', async () => {
    const engine = await open({ tokenCounter: letters });
    const ranks = ['high', 'low', 'normal', 'low', 'normal', 'normal', 'low', 'normal'];
    await sessionOf(
      engine,
      ranks.map((priority) => sized('user', 10, { priority })),
    );
    const one = await compact(engine, 'priority', 43);
    expect(await seqsOf(engine)).toEqual([1, 5, 6, 8]);
    expect(one).toMatchObject({
      uptoSeq: 7,
      kept: [
        [1, 1],
        [5, 6],
      ],
    });
    await engine.window.undo('s');
    await compact(engine, 'truncate', 43);
    expect(await seqsOf(engine)).toEqual([1, 6, 7, 8]);
    await compact(engine, 'truncate', 13);
    expect(await seqsOf(engine)).toEqual([8]);
  });

  test('puts markers in place of tool results, and the whole is read back by their handles', async () => {
    const engine = await open({ tokenCounter: letters });
    const log = (i: number) => `line ${i}\n`.repeat(300);
    const steps = range(1, 6).flatMap((i) => [
      say('user', `look at ${i}`),
      call(`c${i}`),
      result(`c${i}`, log(i)),
    ]);
    await sessionOf(engine, steps);
    const one = await compact(engine, 'tool-results', 2000);
    expect(one).toMatchObject({
      strategy: 'tool-results',
      offloaded: [
        [3, 0],
        [6, 0],
        [9, 0],
        [12, 0],
      ],
    });
    const window = await build(engine);
    expect(window.messages.map(({ seq }) => seq)).toEqual(range(1, 18));
    const [marked] = window.messages.filter(({ seq }) => seq === 6);
    const shown = (marked!.content as { output: { value: string } }[])[0]!.output.value;
    expect(shown).toMatch(/^\[Left out to save room: 2,100 characters.*handle @6\/0\. They begin: line 2/);
    const read = await engine.messages.readOffloaded('s', /@\d+\/\d+/.exec(shown)![0]);
    expect(read).toMatchObject({ messageId: '@6', seq: 6, text: log(2) });
    expect(window.sections.flatMap(({ items }) => items).find(({ seq }) => seq === 6)).toMatchObject({
      offloaded: [[0]],
    });
    await expect(engine.messages.readOffloaded('s', '@99/0')).rejects.toThrow(NotFoundError);
    await expect(engine.messages.readOffloaded('s', 'nonsense')).rejects.toThrow(InvalidInputError);
  });

  test('says a text once, and points to it where it was said before', async () => {
    const engine = await open({ tokenCounter: letters });
    const page = 'The same page of a manual, read again. '.repeat(40);
    await sessionOf(engine, [
      say('user', page),
      call('a'),
      result('a', page),
      call('b'),
      result('b', `${page}\n`),
      sized('user', 10),
    ]);
    const one = await compact(engine, ['dedup'], 100);
    expect(one).toMatchObject({
      strategy: 'dedup',
      offloaded: [
        [1, -1, 5],
        [3, 0, 5],
      ],
    });
    const { messages } = await build(engine);
    expect(messages[0]!.content).toBe('[The same as in message @5. Left out here; handle @1]');
    expect((await engine.messages.readOffloaded('s', '@1')).text).toBe(page);
    expect(messages.map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'assistant',
      'tool',
      'user',
    ]);
  });

  test('with a summary puts it behind system and pinned messages, marked as what it is', async () => {
    const engine = await open();
    const chat = range(1, 60).map((i) =>
      i % 2
        ? say(
            'user',
            `Step ${i}: please put the report for ticket T-${1000 + i} into /srv/out/report-${i}.pdf.`,
          )
        : say('assistant', 'Sure, sounds good! Anything else?'),
    );
    await sessionOf(engine, [
      say('system', 'Be brief.'),
      say('user', 'Answer in Dutch.', { pinned: true }),
      ...chat,
    ]);
    const one = await compact(engine, ['tool-results', 'dedup', 'extractive'], 500);
    expect(one.strategy).toBe('extractive');
    expect(one.tokensAfter).toBeLessThanOrEqual(500);
    const window = await build(engine);
    expect(window.tokens).toBe(one.tokensAfter);
    expect(window.sections.map(({ name }) => name)).toEqual([
      'system',
      'pinned',
      'summary',
      'older',
      'recent',
    ]);
    const [, , summary] = window.messages;
    expect(summary).toMatchObject({ seq: 0, role: 'user', metadata: { summary: true, compaction: '1' } });
    expect(summary!.content).toBe(
      `[Summary of the earlier part of this conversation, messages 1 to ${one.uptoSeq}; not said by the user]\n${one.summary}`,
    );
    expect(one.summary).toMatch(/T-10\d\d.*\/srv\/out\/report-\d+\.pdf/);
    expect(one.summary).not.toContain('sounds good');
    for (const [from, to] of one.sources) expect(to).toBeGreaterThanOrEqual(from);
    expect(window.cacheBreakpoints).toHaveLength(4);
    const recorded = await build(engine, undefined, { record: true });
    await engine.window.undo('s');
    expect((await engine.window.replay('s', recorded.manifest!.id)).messages).toEqual(window.messages);
  });

  test('of a message that is edited or taken away no longer counts, and its text is erased', async () => {
    const engine = await open();
    const secret = 'My card number is 4000-1234-5678-9010, and I must never be called.';
    await sessionOf(engine, [say('user', secret), ...turns(40, 30)]);
    const one = await compact(engine, 'extractive', 300);
    expect(one.summary).toContain('4000-1234');
    await engine.messages.edit('s', '@40', { content: 'after it' });
    await engine.messages.edit('s', '@1', { metadata: { checked: true } });
    expect((await build(engine)).compaction).toBe('1');
    await engine.messages.edit('s', '@1', { content: 'nothing' });
    expect(await seqsOf(engine)).toEqual(range(1, 41));
    const [after] = await engine.window.compactions('s');
    expect(after).toMatchObject({ id: '1', undone: { reason: 'changed' } });
    expect(after).not.toHaveProperty('summary');
    const again = await compact(engine, 'extractive', 300);
    expect(again.base).toBeUndefined();
    await engine.messages.truncate('s', { beforeSeq: 1 });
    expect((await build(engine)).compaction).toBe(again.id);
    await engine.messages.truncate('s', { beforeSeq: 2 });
    expect(await seqsOf(engine)).toEqual(range(2, 41));
    const last = await compact(engine, 'truncate', 300);
    await engine.messages.pop('s', { count: 41 - last.uptoSeq });
    expect((await build(engine)).compaction).toBe(last.id);
    await engine.messages.pop('s');
    expect((await build(engine)).compaction).toBeUndefined();
    await engine.messages.clear('s');
    expect(await seqsOf(engine)).toEqual([]);
  });

  test('of a channel is that channel’s alone', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, turns(20));
    const participants = [
      { id: 'u', role: 'user' as const },
      { id: 'a', role: 'agent' as const },
    ];
    await engine.channels.open('s', { id: 'c', type: 'user_to_agent', participants });
    await engine.messages.append('s', turns(20), { channel: 'c' });
    const options = { channel: 'c', strategy: 'truncate', targetTokens: 53 } as const;
    expect((await engine.window.compact('s', options)).compaction).toMatchObject({ id: '1', channel: 'c' });
    expect(await seqsOf(engine, undefined, { channel: 'c' })).toEqual(range(16, 20));
    expect(await seqsOf(engine)).toEqual(range(1, 20));
    expect(await engine.window.compactions('s')).toEqual([]);
    await engine.window.undo('s', undefined, { channel: 'c' });
    expect(await seqsOf(engine, undefined, { channel: 'c' })).toEqual(range(1, 20));
  });

  test('goes along with a fork that holds what it covers', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, turns(20));
    await compact(engine, 'truncate', 103);
    await engine.messages.append('s', turns(20));
    await compact(engine, 'truncate', 103);
    const windowOf = async (id: string) =>
      (await engine.window.build(id, { maxTokens: 10_000, recall: false })).messages.map(({ seq }) => seq);
    const whole = await engine.sessions.fork('s');
    expect(await windowOf(whole.id)).toEqual(range(31, 40));
    const part = await engine.sessions.fork('s', { atSeq: 25 });
    expect(await windowOf(part.id)).toEqual(range(11, 25));
    expect(await engine.window.compactions(part.id)).toMatchObject([{ id: '1' }]);
    const start = await engine.sessions.fork('s', { atSeq: 5 });
    expect(await windowOf(start.id)).toEqual(range(1, 5));
    const next = await engine.window.compact(part.id, { strategy: 'truncate', targetTokens: 53 });
    expect(next.compaction).toMatchObject({ base: '1', uptoSeq: 20 });
    await engine.window.undo(part.id, '1');
    expect(await windowOf('s')).toEqual(range(31, 40));
  });

  test('is told by an event', async () => {
    const engine = await open({ tokenCounter: letters });
    await sessionOf(engine, turns(20));
    await compact(engine, 'truncate', 53);
    const types = ['window.compacted'] as const;
    for await (const event of engine.events.subscribe({
      after: 'oldest',
      types: [...types],
      sessionId: 's',
    })) {
      expect(event).toMatchObject({ type: 'window.compacted', sessionId: 's', id: '1' });
      break;
    }
  });
});

onEveryStore('a tool result that is too large for a window', (open) => {
  const long = 'a line of a log file\n'.repeat(2000);

  test('is shown as a marker, the newest as well, and is read back whole', async () => {
    const engine = await open();
    await sessionOf(engine, [say('user', 'what went wrong?'), call('c'), result('c', long)]);
    const window = await build(engine, 400);
    expect(window.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
    expect(JSON.stringify(window.messages[2])).toContain('handle @3/0');
    expect((await engine.messages.readOffloaded('s', '@3/0')).text).toBe(long);
    expect((await build(engine, 20_000)).messages[2]!.content).toMatchObject([{ output: { value: long } }]);
    await engine.messages.append('s', [say('assistant', 'It ran out of space.'), say('user', 'thanks')]);
    expect((await build(engine, 400)).messages).toHaveLength(5);
  });

  test('is no way around the budget: what a user says is never left out', async () => {
    const engine = await open();
    await sessionOf(engine, [say('user', long)]);
    await expect(build(engine, 400)).rejects.toThrow(BudgetError);
    await engine.messages.append('s', [call('c'), result('c', long), say('user', 'short')]);
    expect(await seqsOf(engine, 400)).toEqual([2, 3, 4]);
  });
});

const automatic: CompactionOptions = { background: false, strategy: 'truncate' };

onEveryStore('a window that gets full', (open) => {
  test('is compacted in one step, and then only grows until it is full again', async () => {
    const engine = await open({ tokenCounter: letters, compaction: automatic });
    await sessionOf(engine, []);
    const lengths: number[] = [];
    for (let i = 0; i < 30; i++) {
      await engine.messages.append('s', sized('user', 10));
      const { tokens, atSeq } = await build(engine, 103);
      expect(tokens).toBeLessThanOrEqual(103);
      lengths.push((tokens - 3) / 10);
      expect(atSeq).toBe(i + 1);
    }
    expect(lengths).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6,
    ]);
    const all = await engine.window.compactions('s');
    expect(all[0]).toMatchObject({ forTokens: 103, strategy: 'truncate', base: String(all.length - 1) });
  });

  test('goes out as it is while the compaction runs in the background', async () => {
    const engine = await open({ tokenCounter: letters, compaction: { ...automatic, background: true } });
    await sessionOf(engine, turns(9));
    expect(await seqsOf(engine, 103)).toEqual(range(1, 9));
    await engine.window.settled();
    expect(await seqsOf(engine, 103)).toEqual(range(5, 9));
  });

  test('does not make those shorter that hold much more', async () => {
    const engine = await open({ tokenCounter: letters, compaction: automatic });
    await sessionOf(engine, turns(50));
    expect(await seqsOf(engine, 103)).toEqual(range(46, 50));
    expect(await seqsOf(engine, 120)).toEqual(range(46, 50));
    expect(await seqsOf(engine, 1000)).toEqual(range(1, 50));
    expect(await seqsOf(engine, 403)).toEqual(range(31, 50));
    expect(await seqsOf(engine, 103)).toEqual(range(46, 50));
    expect(await seqsOf(engine, 53)).toEqual(range(49, 50));
    const all = await engine.window.compactions('s');
    expect(all.map(({ forTokens }) => forTokens)).toEqual([53, 403, 103]);
    await engine.messages.append('s', turns(4));
    await compact(engine, 'truncate', 33);
    expect(await seqsOf(engine, 1000)).toEqual([52, 53, 54]);
  });

  test('is left alone for a while after an undo, and after a compaction of no use', async () => {
    const engine = await open({ tokenCounter: letters, compaction: automatic });
    await sessionOf(engine, [sized('user', 200), ...turns(12)]);
    await seqsOf(engine, 203);
    expect(await engine.window.compactions('s')).toHaveLength(1);
    await engine.window.undo('s');
    await seqsOf(engine, 203);
    expect(await engine.window.compactions('s')).toHaveLength(1);
    await engine.messages.append('s', turns(64));
    await seqsOf(engine, 203);
    expect(await engine.window.compactions('s')).toHaveLength(2);
  });
});

describe('compactions', () => {
  test('are one at a time for a log, and a lease that was left behind runs out', async () => {
    const clock = new FakeClock();
    const { inMemory } = await import('../../support/engines.ts');
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<string>();
    const summarizer = () => {
      asked.resolve();
      return answer.promise;
    };
    const engine = await inMemory({ clock, compaction: { autoCompact: false, summarizer } });
    await sessionOf(engine, turns(100, 30));
    const first = engine.window.compact('s', { strategy: 'summarize', targetTokens: 600 });
    await asked.promise;
    const refused = { refused: { reason: 'under-way', until: expect.any(Number) } };
    expect(await engine.window.compact('s', { strategy: 'truncate', targetTokens: 600 })).toEqual(refused);
    clock.forward(60 * 60 * 1000);
    expect(
      (await engine.window.compact('s', { strategy: 'truncate', targetTokens: 600 })).compaction?.id,
    ).toBe('1');
    answer.resolve('too late');
    expect(await first).toEqual({ refused: { reason: 'changed-meanwhile' } });
    expect(await engine.window.compactions('s')).toHaveLength(1);
  });

  test('under way don’t cover what is changed meanwhile, but let edits of newer messages pass', async () => {
    const { inMemory } = await import('../../support/engines.ts');
    let change: () => Promise<unknown> = async () => undefined;
    const summarizer = async () => {
      await change();
      return 'no';
    };
    const engine = await inMemory({ compaction: { autoCompact: false, summarizer } });
    await sessionOf(engine, turns(100, 30));
    const run = () => engine.window.compact('s', { strategy: 'summarize', targetTokens: 600 });
    change = () => engine.messages.edit('s', '@2', { content: 'changed' });
    expect(await run()).toEqual({ refused: { reason: 'changed-meanwhile' } });
    change = () => engine.messages.edit('s', '@100', { content: 'changed' });
    expect((await run()).compaction).toBeDefined();
  });

  test('that are aborted, or whose engine is closed, change nothing', async () => {
    const { inMemory } = await import('../../support/engines.ts');
    const asked = Promise.withResolvers<void>();
    const summarizer = () => {
      asked.resolve();
      return new Promise<string>(() => undefined);
    };
    const engine = await inMemory({ compaction: { autoCompact: false, summarizer } });
    await sessionOf(engine, turns(100, 30));
    const stop = new AbortController();
    const options = { strategy: 'summarize', targetTokens: 600, signal: stop.signal } as const;
    const compacting = engine.window.compact('s', options);
    await asked.promise;
    stop.abort(new Error('enough'));
    await expect(compacting).rejects.toThrow('enough');
    expect(
      (await engine.window.compact('s', { strategy: 'truncate', targetTokens: 600 })).compaction?.id,
    ).toBe('1');
  });
});
