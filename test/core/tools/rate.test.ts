import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished, test, vi } from 'vitest';
import { toolRatePartition } from '../../../src/core/partitions.ts';
import { sweepExpired } from '../../../src/core/sessions/sweep.ts';
import { ContextEngine, defineTool, type Tool } from '../../../src/index.ts';
import { MemoryStore } from '../../../src/stores/memory/index.ts';
import { inMemory, onEverySharedStore } from '../../support/engines.ts';

function limited(rateLimit: NonNullable<Tool['rateLimit']>): Tool {
  return defineTool({
    name: 'send',
    description: 'Sends a letter.',
    input: { type: 'object' },
    rateLimit,
    execute: () => 'sent',
  });
}

const run = promisify(execFile);
/** The longest window, 25 days: tests do not run into its end. */
const LONG = 2 ** 31 - 1;

test('a call over the limit is told when to come again, and the tool is not called', async () => {
  const engine = await inMemory();
  engine.tools.register(limited({ calls: 2, perMs: LONG }));
  const codes: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    const { error, attempts } = await engine.tools.execute('send');
    codes.push([error?.code, attempts]);
    if (!error) continue;
    expect(error.details).toMatchObject({ scope: 'tool' });
    expect(error.details!.retryAfterMs).toBeGreaterThan(0);
    expect(error.details!.retryAfterMs).toBeLessThanOrEqual(LONG);
  }
  expect(codes).toEqual([
    [undefined, 1],
    [undefined, 1],
    ['rate-limited', 0],
    ['rate-limited', 0],
  ]);
});

test('calls are counted for each user, or each session, where the tool says so', async () => {
  const engine = await inMemory();
  engine.tools.register(limited({ calls: 1, perMs: LONG, scope: 'user' }));
  const code = async (userId?: string, tenant = 'default') =>
    (await engine.tenant(tenant).tools.execute('send', {}, { userId })).error?.code ?? 'ok';
  expect([await code('ada'), await code('ada'), await code('bob')]).toEqual(['ok', 'rate-limited', 'ok']);
  // Who names no user is counted with all who name none, and another tenant on its own.
  expect([await code(), await code(), await code('ada', 'other')]).toEqual(['ok', 'rate-limited', 'ok']);
});

test('what is given from the cache is no call', async () => {
  const engine = await inMemory();
  const { input } = limited({ calls: 1, perMs: LONG });
  engine.tools.register(
    defineTool({
      name: 'send',
      description: 'Sends.',
      input: input as { type: 'object' },
      rateLimit: { calls: 1, perMs: LONG },
      cache: { ttlMs: LONG },
      execute: () => 'sent',
    }),
  );
  const results = [];
  for (let i = 0; i < 3; i++) results.push(await engine.tools.execute('send'));
  expect(results.map(({ success }) => success)).toEqual([true, true, true]);
  expect((await engine.tools.execute('send', { other: 1 })).error!.code).toBe('rate-limited');
});

test('a clock that is set back keeps nobody out for longer than a window', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000_000 });
  onTestFinished(() => void vi.useRealTimers());
  const engine = await inMemory();
  engine.tools.register(limited({ calls: 1, perMs: 1000 }));
  const isAllowed = async () => (await engine.tools.execute('send')).success;
  expect([await isAllowed(), await isAllowed()]).toEqual([true, false]);
  vi.setSystemTime(1_000_000_000 - 3_600_000);
  expect([await isAllowed(), await isAllowed()]).toEqual([true, false]);
});

test('counts of windows that are over go away, and in the end all of them', async () => {
  let now = 1_000_000;
  const clock = { now: () => now };
  const store = new MemoryStore();
  await using engine = new ContextEngine(store, { clock, maintenanceIntervalMs: 0 });
  engine.tools.register(limited({ calls: 1000, perMs: 100 }));
  for (let window = 0; window < 20; window++) {
    await engine.tools.execute('send');
    now += 100;
  }
  const partitions = await store.queryIndex({ index: '$partitions', key: 'tool-rate', limit: 10 });
  expect(partitions.items).toHaveLength(1);
  const { partition } = partitions.items[0]!;
  const kept = await store.listRecords(partition, 'tool-rate', { limit: 100 });
  expect(kept.items.length).toBeLessThanOrEqual(2);
  expect(await sweepExpired(store, undefined, now + 61_000)).toBe(1);
});

test('a limit whose counts can not be kept lets nobody through', async () => {
  const store = new MemoryStore();
  await using engine = new ContextEngine(store, { maintenanceIntervalMs: 0, onError: () => {} });
  engine.tools.register(limited({ calls: 10, perMs: LONG }));
  await store.close();
  expect(await engine.tools.execute('send')).toMatchObject({ success: false, attempts: 0 });
});

test('no name is told of who is counted', () => {
  expect(toolRatePartition('t', 'limit', 'ada').id).not.toContain('ada');
});

onEverySharedStore('a rate limit', (place) => {
  it('is kept by all engines on a store together', async () => {
    const open = await place();
    const engines = [await open(), await open(), await open()];
    for (const engine of engines) engine.tools.register(limited({ calls: 25, perMs: LONG }));
    const calls = engines.flatMap((engine) => Array.from({ length: 20 }, () => engine.tools.execute('send')));
    const results = await Promise.all(calls);
    expect(results.filter(({ success }) => success)).toHaveLength(25);
    expect(new Set(results.map(({ error }) => error?.code))).toEqual(new Set([undefined, 'rate-limited']));
  });
});

test('a rate limit is kept by processes that share a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-rate-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const url = `file:${join(folder, 'store.db')}`;
  const caller = fileURLToPath(new URL('./caller.ts', import.meta.url));
  const callers = Array.from({ length: 3 }, () => run(process.execPath, [caller, url, '20', '25']));
  const sent = (await Promise.all(callers)).map(({ stdout }) => Number(stdout));
  expect(sent[0]! + sent[1]! + sent[2]!).toBe(25);
});

test('a window of a limit is followed by a new one', async () => {
  let now = 1_000_000;
  const engine = await inMemory({ clock: { now: () => now } });
  engine.tools.register(limited({ calls: 1, perMs: 50 }));
  const isAllowed = async () => (await engine.tools.execute('send')).success;
  expect([await isAllowed(), await isAllowed()]).toEqual([true, false]);
  now += 50;
  // The library remembers by the system's clock who is over the limit.
  await expect.poll(isAllowed).toBe(true);
});
