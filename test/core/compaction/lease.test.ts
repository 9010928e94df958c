import { afterEach, expect, test, vi } from 'vitest';
import { ContextEngine, type ContextEngine as Engine, openStore } from '../../../src/index.ts';
import { FakeClock } from '../../support/engines.ts';

const summary = '## Goals and demands\nnone\n## Facts\nIt rained\n## Done and decided\nnone\n## Open\nnone';
const options = { strategy: 'summarize', targetTokens: 600 } as const;
const chat = Array.from({ length: 80 }, (_, i) => ({
  role: i % 2 ? 'assistant' : 'user',
  content: `Point ${i} is about the weather, which was as it is every day at this time of the year.`,
}));

afterEach(() => void vi.useRealTimers());

/** Two engines of one store; the model takes as long as it is let. */
async function two(
  summarizer: () => Promise<string>,
): Promise<{ clock: FakeClock; one: Engine; other: Engine }> {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const store = await openStore('memory:');
  const clock = new FakeClock();
  const compaction = { autoCompact: false, summarizer };
  const open = () => new ContextEngine(store, { clock, compaction, maintenanceIntervalMs: 0 });
  const [one, other] = [open(), open()];
  await one.sessions.create({ id: 's', userId: 'u' });
  await one.messages.append('s', chat);
  return { clock, one, other };
}

test('a compaction that takes long is alone at it for as long, and says until when', async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<string>();
  const { clock, one, other } = await two(() => {
    asked.resolve();
    return answer.promise;
  });
  const first = one.window.compact('s', options);
  await asked.promise;
  for (let i = 0; i < 20; i++) {
    clock.forward(15_000);
    await vi.advanceTimersByTimeAsync(5_000);
    await new Promise((done) => setImmediate(done));
    const { refused } = await other.window.compact('s', options);
    expect(refused).toEqual({ reason: 'under-way', until: clock.now() + 20_000 });
  }
  answer.resolve(summary);
  expect((await first).compaction).toMatchObject({ id: '1', strategy: 'summarize' });
});

test('who no longer renews its right stands in the way for 20 seconds, and gives up when it sees another', async () => {
  const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const answer = Promise.withResolvers<string>();
  let calls = 0;
  const { clock, one, other } = await two(() => {
    asked[calls++]!.resolve();
    return answer.promise;
  });
  const first = one.window.compact('s', options);
  await asked[0]!.promise;
  clock.forward(19_999);
  expect((await other.window.compact('s', options)).refused).toMatchObject({ reason: 'under-way' });
  clock.forward(1);
  const second = other.window.compact('s', options);
  await asked[1]!.promise;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await first).toEqual({ refused: { reason: 'changed-meanwhile' } });
  answer.resolve(summary);
  expect((await second).compaction).toMatchObject({ id: '1' });
});
