import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { ContextEngine, openStore, type Store } from '../../../src/index.ts';
import { newSession } from '../../support/engines.ts';
import { watched } from '../../support/stores.ts';

const chat = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: `Point ${i}: lot L-${4000 + i} goes to hall ${i % 9}, and Ines signs for it on day ${i % 28}.`,
  }));

async function worker(url: string): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('./compaction-worker.ts', import.meta.url)), [url]);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

/** An engine on a file, and a session with a long conversation in it. */
async function onFile() {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const url = `file:${join(folder, 'store.db')}`;
  const options = { durability: 'normal', compaction: { autoCompact: false } } as const;
  const engine = await ContextEngine.open(url, options);
  onTestFinished(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });
  await newSession(engine);
  await engine.messages.append('s', chat(400));
  return { url, engine };
}

/** Resolves when the journal has told so many commits, or the signal is aborted. */
async function told(
  store: Store,
  after: string,
  { commits, signal }: { commits: number; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const { changes, cursor } = await store.readChanges(after, 100);
    if (changes.length >= commits) return;
    await store.waitForChanges(cursor, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

test('of processes that compact a session at once, one does, and each compaction is told once', async () => {
  const { url, engine } = await onFile();
  const workers = await Promise.all([worker(url), worker(url), worker(url)]);
  for (let round = 1; round <= 5; round++) {
    const answers = workers.map((child) => once(child, 'message'));
    for (const child of workers) child.send(1);
    const made = (await Promise.all(answers)).flatMap(([{ made }]) => made as string[]);
    expect(made).toEqual([String(round)]);
    await engine.messages.append('s', chat(100));
  }
  const all = await engine.window.compactions('s');
  expect(all.map(({ id, base }) => [id, base])).toEqual([
    ['5', '4'],
    ['4', '3'],
    ['3', '2'],
    ['2', '1'],
    ['1', undefined],
  ]);
});

test('a process that is killed while it compacts leaves the windows as they were, or as they are to be', async () => {
  const { url, engine } = await onFile();
  const windows = async () => {
    const window = await engine.window.build('s', { maxTokens: 100_000, recall: false });
    return { compaction: window.compaction, last: window.messages.at(-1)!.seq };
  };
  const store = await openStore(url);
  onTestFinished(() => store.close());
  for (const commits of [0, 1, 2, 3]) {
    const child = await worker(url);
    const before = (await engine.window.compactions('s')).length;
    const { cursor } = await store.readChanges('newest', 0);
    const over = new AbortController();
    child.once('message', () => over.abort());
    child.send(1);
    await told(store, cursor, { commits, signal: over.signal });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { compaction, last } = await windows();
    const after = await engine.window.compactions('s');
    expect([before, before + 1]).toContain(after.length);
    expect(compaction).toBe(after[0]?.id);
    await engine.messages.append('s', chat(50));
    expect((await windows()).last).toBe(last + 50);
  }
});

test('a compaction that is cut off before its commit changes nothing, and the next one makes up for it', async () => {
  let alive = true;
  const base = await openStore('memory:');
  const isCompaction = ({ operations }: { operations: readonly { op: string; log?: string }[] }) =>
    operations.some(({ op, log }) => op === 'append' && log === 'compactions');
  const { store } = watched(base, (batch) => !alive && isCompaction(batch as never));
  const now = { at: Date.UTC(2026, 0, 1) };
  const engine = new ContextEngine(store, {
    maintenanceIntervalMs: 0,
    compaction: { autoCompact: false },
    clock: { now: () => now.at },
  });
  onTestFinished(() => engine.close());
  await newSession(engine);
  await engine.messages.append('s', chat(200));
  const build = () => engine.window.build('s', { maxTokens: 100_000, recall: false });
  const before = await build();
  alive = false;
  const options = { strategy: 'extractive', targetTokens: 600 } as const;
  await expect(engine.window.compact('s', options)).rejects.toThrow('cut off');
  expect(await build()).toEqual(before);
  alive = true;
  expect((await engine.window.compact('s', options)).compaction?.id).toBe('1');
});
