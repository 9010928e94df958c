import fc from 'fast-check';
import { expect, test } from 'vitest';
import { strategies } from '../../../src/core/model/compaction.ts';
import { countMessage, PER_REQUEST } from '../../../src/core/tokens/message-tokens.ts';
import { BudgetError, type ContextEngine, type ContextWindow, type Message } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';
import { checkTools, letters, message, play, type Step, steps } from '../window/histories.ts';

const huge = fc.record({
  role: fc.constant('tool'),
  tool_call_id: fc.constantFrom('a', 'b', 'c'),
  content: fc.integer({ min: 400, max: 3000 }).map((length) => 'xyz '.repeat(length)),
});
const hugeStep: fc.Arbitrary<Step> = fc
  .tuple(message, huge)
  .map(([before, result]) => ({ do: 'append', messages: [before, call(result.tool_call_id), result] }));

function call(id: string) {
  const calls = [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }];
  return { role: 'assistant', content: null, tool_calls: calls };
}

/** Sentences, of which a summary can be made. */
const prose: fc.Arbitrary<Step> = fc.array(fc.nat(999), { minLength: 10, maxLength: 30 }).map((numbers) => ({
  do: 'append',
  messages: numbers.map((n) => ({
    role: n % 2 ? 'user' : 'assistant',
    content: `We moved build-${n} to depot ${n % 17}. It must be there before ${(n % 28) + 1} May.`,
  })),
}));

type Act =
  | { do: 'play'; steps: Step[] }
  | { do: 'compact'; strategy: (typeof strategies)[number][]; targetTokens: number }
  | { do: 'undo'; back: number }
  | { do: 'fill'; maxTokens: number };

const budget = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 4000 }));
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: steps.map((played) => ({ do: 'play' as const, steps: played })) },
    { weight: 2, arbitrary: prose.map((step) => ({ do: 'play' as const, steps: [step] })) },
    { weight: 2, arbitrary: hugeStep.map((step) => ({ do: 'play' as const, steps: [step] })) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('compact' as const),
        strategy: fc.uniqueArray(fc.constantFrom(...strategies), { minLength: 1, maxLength: 3 }),
        targetTokens: fc.oneof(budget, fc.integer({ min: 300, max: 900 })),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('undo' as const), back: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('fill' as const), maxTokens: budget }) },
  ),
  { minLength: 3, maxLength: 9 },
);

async function act(engine: ContextEngine, id: string, one: Act): Promise<void> {
  if (one.do === 'play') return play(engine, id, one.steps);
  if (one.do === 'compact') {
    const { strategy, targetTokens } = one;
    await engine.window.compact(id, { strategy, targetTokens });
  } else if (one.do === 'undo') {
    const all = (await engine.window.compactions(id)).filter(({ undone }) => !undone);
    const chosen = all[Math.min(one.back, all.length - 1)];
    if (chosen) await engine.window.undo(id, chosen.id);
  } else await build(engine, id, one.maxTokens);
}

async function build(
  engine: ContextEngine,
  id: string,
  maxTokens: number,
  atSeq?: number,
): Promise<ContextWindow | undefined> {
  const options = { maxTokens, recall: false, atSeq } as const;
  return engine.window.build(id, options).catch((error: unknown) => {
    expect(error).toBeInstanceOf(BudgetError);
    return undefined;
  });
}

/** What a provider asks of a window, and what ours promise besides, whatever was left out. */
function check(window: ContextWindow, log: readonly Message[]): void {
  const { messages, sections, leftOut, atSeq } = window;
  checkTools(messages);
  const tokens = messages.reduce((sum, one) => sum + countMessage(letters, one), PER_REQUEST);
  expect(window.tokens).toBe(tokens);
  expect(tokens).toBeLessThanOrEqual(window.budget.messages);
  const seqs = messages.map(({ seq }) => seq);
  expect(new Set(seqs).size).toBe(seqs.length);
  for (const seq of seqs) expect(seq === 0 || log.some((one) => one.seq === seq)).toBe(true);
  let place = 0;
  for (const { items } of sections) {
    const heads = items.filter((_, i) => messages[place + i]!.role !== 'tool').map(({ seq }) => seq);
    expect(heads).toEqual(heads.toSorted((a, b) => a - b));
    place += items.length;
  }
  const out = log.filter(({ seq }) => seq <= atSeq && !seqs.includes(seq));
  for (const { seq } of out) {
    expect(leftOut.some(({ fromSeq, toSeq }) => fromSeq <= seq && seq <= toSeq)).toBe(true);
  }
}

test('every window on every history is valid, at every seq, whatever was compacted, undone, edited and taken away', async () => {
  const engine = await inMemory({
    tokenCounter: letters,
    compaction: { background: false, minSaving: 0.01 },
  });
  const seen = { compacted: 0, summaries: 0, markers: 0, past: 0 };
  let sessions = 0;
  await fc.assert(
    fc.asyncProperty(acts, fc.array(budget, { minLength: 3, maxLength: 3 }), async (done, budgets) => {
      const { id } = await engine.sessions.create({ id: `s${sessions++}`, userId: 'u' });
      for (const one of done) await act(engine, id, one);
      const log = await engine.messages.list(id, { limit: 1000 });
      const last = log.at(-1)?.seq ?? 0;
      for (const maxTokens of [...budgets, 100_000]) {
        for (const atSeq of [undefined, last - 1, Math.floor(last / 2)]) {
          if (atSeq !== undefined && atSeq < 0) continue;
          const window = await build(engine, id, maxTokens, atSeq);
          if (!window) continue;
          check(window, log);
          if (window.compaction) seen.compacted++;
          if (window.messages.some(({ seq }) => seq === 0)) seen.summaries++;
          if (window.sections.some(({ items }) => items.some((item) => item.offloaded))) seen.markers++;
          if (window.compaction && atSeq !== undefined) seen.past++;
        }
      }
    }),
    { numRuns: 300 },
  );
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(20);
});

test('a window of the past is the one that was built then, compactions included', async () => {
  const engine = await inMemory({ tokenCounter: letters, compaction: { background: false } });
  let sessions = 0;
  let compacted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 20, maxLength: 60 }), async (history) => {
      const { id } = await engine.sessions.create({ id: `s${sessions++}`, userId: 'u' });
      const then: (ContextWindow | undefined)[] = [];
      for (const one of history) {
        await engine.messages.append(id, one);
        await build(engine, id, 300);
        then.push(await build(engine, id, 300));
      }
      for (const [i, window] of then.entries()) {
        expect(await build(engine, id, 300, i + 1)).toEqual(window);
        if (window?.compaction) compacted++;
      }
    }),
    { numRuns: 40 },
  );
  expect(compacted).toBeGreaterThan(100);
});

/** Plays a conversation turn by turn; tells how much of the windows their forerunners began with. */
async function played(engine: ContextEngine): Promise<{ cachedShare: number; breaks: number }> {
  await engine.sessions.create({ id: 's', userId: 'u' });
  let before: string[] = [];
  const sums = { cached: 0, tokens: 0, breaks: 0 };
  for (let i = 0; i < 600; i++) {
    const content = `Turn ${i}: the parcel ${i * 7919} went from depot ${i % 13} to depot ${(i * 5) % 17}, as planned by Ines.`;
    await engine.messages.append('s', { role: i % 2 ? 'assistant' : 'user', content });
    const window = await engine.window.build('s', { maxTokens: 4000, recall: false });
    const now = window.messages.map((one) => JSON.stringify([one.role, one.content]));
    const other = now.findIndex((one, index) => one !== before[index]);
    const shared = window.messages.slice(0, other < 0 ? now.length : other);
    if (shared.length < before.length) sums.breaks++;
    sums.cached += shared.reduce((sum, one) => sum + one.tokens!, 0);
    sums.tokens += window.tokens;
    before = now;
  }
  return { cachedShare: sums.cached / sums.tokens, breaks: sums.breaks };
}

test.for([['extractive'], ['truncate']] as const)(
  'between two compactions by %s each window begins with all of the one before it',
  async ([strategy]) => {
    const engine = await inMemory({ compaction: { background: false, strategy } });
    const { cachedShare, breaks } = await played(engine);
    expect(breaks).toBe((await engine.window.compactions('s')).length);
    expect(cachedShare).toBeGreaterThan(0.95);
  },
);

test('a window that is never compacted begins at the same turn for long', async () => {
  const { cachedShare } = await played(await inMemory({ compaction: { autoCompact: false } }));
  expect(cachedShare).toBeGreaterThan(0.95);
});
