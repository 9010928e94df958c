import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ContextEngine } from '../../src/index.ts';
import { schemaBytes } from '../floors/postgres.ts';
import { usedMemory } from '../floors/redis.ts';
import type { Bench, Row } from '../harness/types.ts';

const SESSIONS = 100;
const MESSAGES = 100_000;
const CONCURRENCY = 32;
const CONTENT = 'The quick brown fox jumps over the lazy dog, then writes home about it. '
  .repeat(3)
  .slice(0, 200);

/** What a message is as JSON: the least that anything can keep of it. */
const raw = JSON.stringify({ role: 'user', content: CONTENT, createdAt: Date.now() }).length;

/** What a store keeps its data in, and how that is measured. */
function measureOf(url: string): { what: string; bytes(): Promise<number> } | undefined {
  if (url.startsWith('file:')) return { what: 'on disk', bytes: () => fileBytes(url.slice('file:'.length)) };
  if (/^redis/.test(url)) return { what: 'in memory', bytes: () => usedMemory(url) };
  if (/^postgres/.test(url)) return { what: 'on disk', bytes: () => schemaBytes(url, 'holdfast') };
  return undefined;
}

async function fileBytes(path: string): Promise<number> {
  return (await stat(path).catch(() => ({ size: 0 }))).size;
}

/** Fills a store as an agent does, a message at a time, and closes it. */
async function fill(url: string, progress: (done: number) => void): Promise<void> {
  await using engine = await ContextEngine.open(url, { maintenanceIntervalMs: 0 });
  const ids = Array.from({ length: SESSIONS }, (_, i) => `size-${i}`);
  for (const id of ids) await engine.sessions.create({ id, userId: 'bench' });
  let next = 0;
  const caller = async () => {
    while (next < MESSAGES) {
      if (next % 10_000 === 0) progress(next);
      await engine.messages.append(ids[next++ % SESSIONS]!, { role: 'user', content: CONTENT });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, caller));
  await engine.messages.settled();
}

const bench: Bench = {
  name: 'size',
  summary: 'bytes that a message of 200 characters takes, with all that is kept beside it',

  async run(context): Promise<Row[]> {
    const url = context.store ?? `file:${join(await context.temporaryFolder(), 'size.db')}`;
    const measure = measureOf(url);
    if (!measure) throw new RangeError('there is nothing to measure for this store');
    // What an empty store takes is not the messages'.
    await using empty = await ContextEngine.open(url);
    await empty.close();
    const before = await measure.bytes();
    await fill(url, (done) => context.progress(done, MESSAGES, 'appending'));
    const value = ((await measure.bytes()) - before) / MESSAGES;
    return [
      { case: `a message ${measure.what}`, value, unit: 'bytes', baseline: raw, target: { atMost: 2 } },
    ];
  },
};

export default bench;
