/** The engine's own work in the background, as `engine.concurrency` shows it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import type { KindStats } from '../../../src/core/concurrency/tally.ts';
import { StoreUnavailableError } from '../../../src/core/errors.ts';
import { ContextEngine, openStore } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';
import { CONDITION_MS } from '../../support/patience.ts';

const summary = '## Goals and demands\nnone\n## Facts\nIt rained\n## Done and decided\nnone\n## Open\nnone';
const lines = Array.from({ length: 80 }, (_, i) => ({
  role: i % 2 ? 'assistant' : 'user',
  content: `Point ${i} is about the weather, which was as it is every day at this time of the year.`,
}));

const kind = (engine: ContextEngine, name: string): KindStats | undefined =>
  engine.concurrency.stats().kinds[name];
const soon = () => new Promise((done) => setImmediate(done));

/** A model that answers when it is let. */
function slowModel() {
  const answer = Promise.withResolvers<string>();
  const summarizer = vi.fn(() => answer.promise);
  return { summarizer, answer: () => answer.resolve(summary) };
}

/** Sessions that are long enough to be compacted, each with a window that says so. */
async function fill(engine: ContextEngine, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    await engine.sessions.create({ id, userId: 'u' });
    await engine.messages.append(id, lines);
    await engine.window.build(id, { maxTokens: 1200, recall: false });
  }
}

const slow = { autoCompact: true, strategy: 'summarize' } as const;

test('compactions are seen while they run, so many at a time, and the others wait', async () => {
  const { summarizer, answer } = slowModel();
  const engine = await inMemory({
    compaction: { ...slow, summarizer },
    concurrency: { maxCompactions: 2 },
  });
  await fill(engine, 'a', 'b', 'c');
  await vi.waitFor(() => expect(summarizer).toHaveBeenCalledTimes(2));
  await vi.waitFor(() => expect(kind(engine, 'compaction')).toMatchObject({ running: 2, queued: 1 }));
  answer();
  await engine.window.settled();
  expect(kind(engine, 'compaction')).toMatchObject({ running: 0, queued: 0, completed: 3, failed: 0 });
  expect(await engine.window.compactions('c')).toHaveLength(1);
});

test('a compaction that a window waits for does not queue behind others', async () => {
  const { summarizer, answer } = slowModel();
  const engine = await inMemory({
    compaction: { ...slow, summarizer, background: false },
    concurrency: { maxCompactions: 1 },
  });
  const filled = Promise.all([fill(engine, 'a'), fill(engine, 'b')]);
  await vi.waitFor(() => expect(kind(engine, 'compaction')).toMatchObject({ running: 2, queued: 0 }));
  answer();
  await filled;
});

test('nothing waits for slow compactions: no search, no job, no housekeeping, no index', async () => {
  const { summarizer, answer } = slowModel();
  const engine = await inMemory({
    compaction: { ...slow, summarizer },
    concurrency: { maxCompactions: 1, maxConcurrent: 1 },
    maintenanceIntervalMs: 5,
  });
  await fill(engine, 'a', 'b');
  await vi.waitFor(() => expect(kind(engine, 'compaction')).toMatchObject({ running: 1, queued: 1 }));
  const { hits, index } = await engine.messages.search('weather', { sessionId: 'a' });
  expect(index.complete).toBe(true);
  expect(hits).not.toEqual([]);
  expect(await engine.concurrency.run(() => 'done')).toBe('done');
  await vi.waitFor(() => expect(kind(engine, 'maintenance')!.completed).toBeGreaterThan(1));
  await vi.waitFor(() => expect(kind(engine, 'indexing')!.completed).toBeGreaterThan(0));
  answer();
  await engine.window.settled();
});

test("jobs that fill all slots hold up none of the engine's work", async () => {
  const engine = await inMemory({
    compaction: { autoCompact: true, strategy: 'truncate' },
    concurrency: { maxConcurrent: 1 },
    maintenanceIntervalMs: 5,
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  await engine.concurrency.submit(() => promise);
  await fill(engine, 'a');
  await engine.window.settled();
  expect(kind(engine, 'compaction')).toMatchObject({ completed: 1 });
  await vi.waitFor(() => expect(kind(engine, 'maintenance')!.completed).toBeGreaterThan(0));
  expect(engine.concurrency.stats()).toMatchObject({ running: 1 });
  resolve();
});

test('embedding is seen while the embedder is slow, and as failing while it fails', async () => {
  let failing = true;
  const { promise, resolve } = Promise.withResolvers<void>();
  const errors: unknown[] = [];
  const embed = async (texts: string[]) => {
    if (failing) throw new RangeError('no');
    await promise;
    return texts.map(() => [1, 2]);
  };
  const engine = await inMemory({
    embedder: { name: 'slow', embed },
    onError: (error) => errors.push(error),
  });
  await engine.sessions.create({ id: 's', userId: 'u' });
  await engine.messages.append('s', lines.slice(0, 3));
  await engine.messages.search('weather', { sessionId: 's' });
  await vi.waitFor(() =>
    expect(kind(engine, 'embedding')).toMatchObject({ running: 1, lastError: { code: 'embedder' } }),
  );
  expect(errors).toHaveLength(1);
  failing = false;
  expect(kind(engine, 'embedding')!.failuresInARow).toBeGreaterThan(0);
  resolve();
  await vi.waitFor(() => expect(kind(engine, 'embedding')!.completed).toBeGreaterThan(0));
  expect(kind(engine, 'embedding')!.failuresInARow).toBe(0);
});

test('sweeps and what memories settle are seen; a sweep that fails is told of and does not stop the next one', async () => {
  const store = await openStore('memory:');
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  await using engine = new ContextEngine(store, {
    maintenanceIntervalMs: 5,
    memory: { settleMs: 1 },
    onError,
  });
  await engine.memory.add({ content: 'Likes tea', userId: 'u' });
  await engine.memory.search('tea', { userId: 'u' });
  await vi.waitFor(() => expect(kind(engine, 'memory')!.completed).toBeGreaterThan(0));
  await vi.waitFor(() => expect(kind(engine, 'maintenance')!.completed).toBeGreaterThan(0));
  const broken = vi.spyOn(store, 'queryIndex').mockRejectedValue(new StoreUnavailableError('away'));
  await vi.waitFor(() => expect(kind(engine, 'maintenance')!.failuresInARow).toBeGreaterThan(1));
  expect(kind(engine, 'maintenance')!.lastError).toMatchObject({ code: 'store-unavailable' });
  expect(errors.length).toBeGreaterThan(1);
  broken.mockRestore();
  await vi.waitFor(() => expect(kind(engine, 'maintenance')!.failuresInARow).toBe(0));
});

test('a sweep that fails holds up neither the index nor the trimming of the journal', async () => {
  const store = await openStore('memory:');
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const trim = vi.spyOn(store, 'trimChanges');
  vi.spyOn(store, 'queryIndex').mockRejectedValue(new RangeError('a bad place'));
  await using engine = new ContextEngine(store, { maintenanceIntervalMs: 5, journalKeepMs: 0, onError });
  await engine.sessions.create({ id: 's', userId: 'u' });
  await vi.waitFor(() => expect(trim).toHaveBeenCalled());
  // Two steps need that index: each is told of.
  await vi.waitFor(() => expect(kind(engine, 'maintenance')!.failed).toBeGreaterThan(1));
  expect(errors.length).toBeGreaterThan(kind(engine, 'maintenance')!.failed);
});

test('a short-term memory that is deleted while its promotion waits does not come back', async () => {
  const store = await openStore('memory:');
  const commit = store.commit.bind(store);
  const { promise, resolve } = Promise.withResolvers<void>();
  await using engine = new ContextEngine(store, {
    maintenanceIntervalMs: 0,
    memory: { promoteUses: 1, settleMs: 1 },
  });
  const users = ['a', 'b', 'c', 'd', 'late'];
  const add = (userId: string) =>
    engine.memory.add({ content: 'Likes tea', userId, tags: ['drinks'], tier: 'short' });
  const memories = await Promise.all(users.map(add));
  vi.spyOn(store, 'commit').mockImplementation(async (batch) => {
    await promise;
    return commit(batch);
  });
  for (const userId of users) await engine.memory.searchByTags(['drinks'], { userId });
  await vi.waitFor(() => expect(kind(engine, 'memory')).toMatchObject({ running: 4, queued: 1 }));
  await engine.memory.delete(memories[4]!.id, { userId: 'late' });
  resolve();
  await engine.memory.settled();
  await expect(engine.memory.get(memories[4]!.id)).rejects.toMatchObject({ code: 'not-found' });
  expect((await engine.memory.get(memories[0]!.id)).tier).toBe('medium');
});

test("the engine's work for all tenants is counted together", async () => {
  const engine = await inMemory({ compaction: { autoCompact: true, strategy: 'truncate' } });
  const tenant = engine.tenant('acme');
  await fill(engine, 'a');
  await fill(tenant, 'a');
  await Promise.all([engine.window.settled(), tenant.window.settled()]);
  expect(kind(tenant, 'compaction')!.completed).toBe(2);
  await tenant.close();
  expect(await engine.concurrency.run(() => 1)).toBe(1);
});

test("what a caller's own job or task throws is counted, and lowers no score", async () => {
  await using engine = await ContextEngine.open('memory:', { maintenanceIntervalMs: 0 });
  const boom = () => Promise.reject(new RangeError('mine'));
  for (let i = 0; i < 20; i++) {
    await expect(engine.concurrency.run(boom)).rejects.toThrow('mine');
    await expect(engine.tasks.run({}, boom)).rejects.toThrow('mine');
  }
  await engine.concurrency.submit('job', boom);
  await expect(engine.concurrency.wait('job')).rejects.toThrow('mine');
  const { errors, health } = await engine.monitor.snapshot();
  expect(errors).toEqual({ internal: 41 });
  expect(health.parts.find(({ name }) => name === 'errors')).toMatchObject({ score: 100, value: 0 });
  expect(engine.concurrency.stats().kinds.job).toMatchObject({ failed: 21, failuresInARow: 21 });
});

test('close lets jobs finish with the engine still open, and then takes no more', async () => {
  const store = await openStore('memory:');
  const engine = new ContextEngine(store, { concurrency: { maxConcurrent: 1 }, maintenanceIntervalMs: 0 });
  await engine.sessions.create({ id: 's', userId: 'u' });
  const { promise, resolve } = Promise.withResolvers<void>();
  const append = async () => {
    await promise;
    return (await engine.messages.append('s', { role: 'user', content: 'last words' })).seq;
  };
  await engine.concurrency.submit('one', append);
  await engine.concurrency.submit('two', append);
  const closing = engine.close();
  await expect(engine.concurrency.submit(append)).rejects.toMatchObject({ code: 'closed' });
  resolve();
  await closing;
  expect(await engine.concurrency.wait('two')).toBe(2);
  await engine.close();
});

test('close ends compactions that run and those that wait, without a word', async () => {
  const { summarizer } = slowModel();
  const errors: unknown[] = [];
  const engine = await ContextEngine.open('memory:', {
    compaction: { ...slow, summarizer },
    concurrency: { maxCompactions: 1 },
    onError: (error) => errors.push(error),
  });
  await fill(engine, 'a', 'b', 'c');
  await vi.waitFor(() => expect(kind(engine, 'compaction')).toMatchObject({ running: 1, queued: 2 }));
  await engine.close();
  expect(summarizer).toHaveBeenCalledTimes(1);
  expect(kind(engine, 'compaction')).toMatchObject({ running: 0, queued: 0, cancelled: 2, failed: 0 });
  await soon();
  expect(errors).toEqual([]);
});

test('options that can not be are told with the others', () => {
  const open = () =>
    ContextEngine.open('memory:', {
      concurrency: { maxConcurrent: 0, maxQueud: 1 } as object,
      journalKeepMs: -1,
    });
  return expect(open()).rejects.toMatchObject({
    issues: [
      { path: 'journalKeepMs' },
      { path: 'concurrency.maxConcurrent' },
      { path: 'concurrency.maxQueud' },
    ],
  });
});

test('kept results and functions that never end hold no process', async () => {
  const program = `
    import { ConcurrencyController } from './src/core/concurrency/controller.ts';
    const controller = new ConcurrencyController({ timeoutMs: 20, graceMs: 3_600_000, keepEndedMs: 3_600_000 });
    await controller.submit('kept', () => 1);
    await controller.submit('never', () => new Promise(() => {}));
    await controller.wait('never').catch((error) => console.log(error.code));
  `;
  const args = ['--no-warnings', '--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: CONDITION_MS });
  expect(stdout).toBe('timeout\n');
});
