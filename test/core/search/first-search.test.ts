/** The first search of a place, which indexes it: by several at once, and by one that is killed. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { ContextEngine } from '../../../src/index.ts';
import { newSession, onEverySharedStore } from '../../support/engines.ts';

const chat = Array.from({ length: 2000 }, (_, i) => ({
  role: 'user' as const,
  content: i % 500 === 499 ? `The needle of part ${i}` : `A straw with the number ${i}`,
}));

async function needles(engine: ContextEngine): Promise<[number, boolean]> {
  const { hits, index } = await engine.messages.search('needle', { sessionId: 's' });
  return [hits.filter(({ message }) => String(message.content).includes('needle')).length, index.complete];
}

onEverySharedStore('the first search', (place) => {
  test('finds all in each of several engines that search at once, while the session is written to', async () => {
    const open = await place();
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', chat);
    const engines = [engine, await open(), await open()];
    let searching = true;
    const searches = Promise.all(engines.map(needles)).finally(() => {
      searching = false;
    });
    for (let i = 0; searching && i < 20; i++) await engine.sessions.update('s', { metadata: { i } });
    expect(await searches).toEqual([
      [4, true],
      [4, true],
      [4, true],
    ]);
    expect(await needles(await open())).toEqual([4, true]);
  });
});

async function onFile() {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const url = `file:${join(folder, 'store.db')}`;
  const open = () => ContextEngine.open(url, { durability: 'normal', maintenanceIntervalMs: 0 });
  return { url, open };
}

/** Kills a process that searches for the first time, when a part of what is there is in the index. */
async function killed(url: string, what: 'messages' | 'memories'): Promise<void> {
  const child = fork(fileURLToPath(new URL('./first-search-worker.ts', import.meta.url)), [url, what]);
  await once(child, 'message');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('finds all messages after a process that searched first was killed', async () => {
  const { url, open } = await onFile();
  await using engine = await open();
  await newSession(engine);
  await engine.messages.append('s', chat);
  await killed(url, 'messages');
  expect(await needles(engine)).toEqual([4, true]);
});

test('finds all memories after a process that searched first was killed', async () => {
  const { url, open } = await onFile();
  await using engine = await open();
  for (let i = 0; i < 120; i++) await engine.memory.add({ content: `fact${i} of many`, userId: 'u' });
  await killed(url, 'memories');
  for (let i = 0; i < 120; i++) {
    const { hits, index } = await engine.memory.search(`fact${i}`, { userId: 'u', limit: 1 });
    expect([hits[0]?.memory.content, index.complete]).toEqual([`fact${i} of many`, true]);
  }
});
