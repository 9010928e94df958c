import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BudgetError, type ContextEngine } from '../../../src/index.ts';
import { inMemory, onEveryStore } from '../../support/engines.ts';
import { TEST_MS } from '../../support/patience.ts';
import { checkOpenAiTools, checkWindow, expectedOf, letters, message, play, steps } from './histories.ts';

const budget = fc.oneof(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 1500 }));
let sessions = 0;

async function session(engine: ContextEngine): Promise<string> {
  return (await engine.sessions.create({ id: `s${sessions++}`, userId: 'u' })).id;
}

onEveryStore('windows on random histories', (open) => {
  // Thousands of round trips, where the store is a server.
  const slow = { timeout: 2 * TEST_MS };
  test(
    'hold all they must, explain the rest, and are refused only when what must be in does not fit',
    slow,
    async () => {
      const engine = await open({ tokenCounter: letters });
      let refused = 0;
      let built = 0;
      await fc.assert(
        fc.asyncProperty(
          steps,
          fc.array(budget, { minLength: 3, maxLength: 3 }),
          async (history, budgets) => {
            const id = await session(engine);
            await play(engine, id, history);
            const log = await engine.messages.list(id, { limit: 1000 });
            for (const maxTokens of budgets) {
              const { requiredTokens } = expectedOf(log, letters);
              if (requiredTokens > maxTokens) {
                refused++;
                const error = await engine.window
                  .build(id, { recall: false, maxTokens })
                  .catch((reason: unknown) => reason);
                expect(error).toBeInstanceOf(BudgetError);
                if (maxTokens >= 3) expect(error).toMatchObject({ requiredTokens, budgetTokens: maxTokens });
                continue;
              }
              built++;
              const window = await engine.window.build(id, { recall: false, maxTokens, record: true });
              checkWindow(window, log, letters);
              const again = await engine.window.build(id, { recall: false, maxTokens });
              const { manifest, ...first } = window;
              expect(again).toEqual(first);
              expect((await engine.window.replay(id, manifest!.id)).messages).toEqual(window.messages);
              checkOpenAiTools(
                (await engine.window.build(id, { recall: false, maxTokens, as: 'openai' })).messages,
              );
            }
          },
        ),
        { numRuns: 150 },
      );
      expect(Math.min(refused, built)).toBeGreaterThan(20);
    },
  );
});

const appends = fc.array(message, { minLength: 2, maxLength: 40 });

test('a window of the past is the one that was built when the log was that long', async () => {
  const engine = await inMemory({ tokenCounter: letters });
  await fc.assert(
    fc.asyncProperty(appends, budget, async (history, maxTokens) => {
      const id = await session(engine);
      const build = async (atSeq?: number) =>
        engine.window.build(id, { recall: false, maxTokens, atSeq }).catch((error: unknown) => String(error));
      const then = [];
      for (const one of history) {
        await engine.messages.append(id, one);
        then.push(await build());
      }
      for (const [index, window] of then.entries()) expect(await build(index + 1)).toEqual(window);
    }),
    { numRuns: 60 },
  );
});

test('a window whose prefix hash is that of a shorter log begins with all of that window', async () => {
  const engine = await inMemory({ tokenCounter: letters });
  let same = 0;
  await fc.assert(
    fc.asyncProperty(appends, budget, async (history, maxTokens) => {
      const id = await session(engine);
      await engine.messages.append(id, history);
      const seen = new Map<string, unknown[]>();
      for (let atSeq = 1; atSeq <= history.length; atSeq++) {
        const window = await engine.window
          .build(id, { recall: false, maxTokens, atSeq })
          .catch(() => undefined);
        if (!window) continue;
        const before = seen.get(window.prefixHash);
        if (before) {
          same++;
          expect(window.messages.slice(0, before.length)).toEqual(before);
        }
        seen.set(window.prefixHash, window.messages);
      }
    }),
    { numRuns: 150 },
  );
  expect(same).toBeGreaterThan(100);
});

test('recalled messages are within the budget, marked, before the last user message, and said once', async () => {
  const engine = await inMemory({ tokenCounter: letters });
  let recalled = 0;
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 60, max: 400 }), async (history, maxTokens) => {
      const id = await session(engine);
      const facts = Array.from({ length: 20 }, (_, i) => ({
        role: 'user',
        content: `fact ${i} about zebras`,
      }));
      await engine.messages.append(id, facts);
      await play(engine, id, history);
      const log = await engine.messages.list(id, { limit: 1000 });
      const query = 'zebras';
      const window = await engine.window.build(id, { maxTokens, query, record: true }).catch(() => undefined);
      if (!window) return;
      const { manifest, ...rest } = window;
      const marked = rest.messages.filter((one) => one.metadata?.recalled === true);
      recalled += marked.length;
      expect(rest.tokens).toBeLessThanOrEqual(maxTokens);
      const told = rest.sections.flatMap(({ items }) => items).flatMap((item) => item.recalled ?? []);
      const again = told.flatMap((one) => ('seq' in one ? [one.seq] : []));
      const seqs = [...rest.messages.map((one) => one.seq).filter((seq) => seq > 0), ...again];
      expect(new Set(seqs).size).toBe(seqs.length);
      const out = rest.leftOut.reduce((sum, part) => sum + part.count, 0);
      expect(out + seqs.length).toBe(log.length);
      expect(marked.length).toBe(again.length > 0 ? 1 : 0);
      if (marked.length > 0) {
        const end = rest.messages.indexOf(marked.at(-1)!) + 1;
        const last = rest.messages.findLast((one) => one.role === 'user');
        expect(marked).not.toContain(last);
        expect(rest.messages[end]).toBe(last);
        expect(rest.messages.slice(end - marked.length, end)).toEqual(marked);
      }
      expect((await engine.window.replay(id, manifest!.id)).messages).toEqual(rest.messages);
    }),
    { numRuns: 100 },
  );
  expect(recalled).toBeGreaterThan(20);
});
