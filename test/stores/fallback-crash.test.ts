import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import type { Order } from './fallback-worker.ts';
import { account, recordOf, session, valuesOf } from './outages.ts';

const file = fileURLToPath(new URL('./fallback-worker.ts', import.meta.url));

async function crashPlace() {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const acknowledged: string[] = [];
  let workers = 0;
  const paths = { store: join(folder, 'store.db'), spool: join(folder, 'spool.db') };
  return {
    acknowledged,
    paths,
    /** Runs a worker to its end, or kills it after so many acknowledgements. @returns how it ended */
    async run(order: Pick<Order, 'away' | 'count' | 'dieAfter'>, killAfter = Infinity): Promise<string> {
      const name = `w${workers++}`;
      const child = spawn(process.execPath, [file, JSON.stringify({ ...paths, name, ...order })], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines: string[] = [];
      createInterface(child.stdout!).on('line', (line) => {
        lines.push(line);
        if (lines.length === killAfter) child.kill('SIGKILL');
      });
      const [code, signal] = await once(child, 'close');
      acknowledged.push(...lines.filter((line) => line !== 'normal'));
      return signal ?? (code === 0 ? lines.at(-1) : `status ${code}`);
    },
    async check() {
      const store = await SqliteStore.open(paths.store);
      try {
        const sums = [];
        for (const id of ['s0', 's1']) {
          const found = (await valuesOf(store, session(id))) as string[];
          const own = acknowledged.filter((entry) => Number(/\.(\d) /.exec(entry)![1]) % 2 === Number(id[1]));
          sums.push({ ...account(own, found), counted: await recordOf(store, session(id), 'count') });
          expect(sums.at(-1)!.counted).toEqual({ n: found.length });
        }
        return sums.map(({ lost, doubled, misordered }) => [lost, doubled, misordered]);
      } finally {
        await store.close();
      }
    },
  };
}

const NOTHING = [
  [0, 0, 0],
  [0, 0, 0],
];

test('loses and doubles nothing when processes die while the store is away, and while it is replayed', async () => {
  const { acknowledged, run, check } = await crashPlace();
  for (let i = 0; i < 3; i++) expect(await run({ away: true, count: 10_000 }, 150)).toBe('SIGKILL');
  expect(acknowledged.length).toBeGreaterThanOrEqual(450);
  for (const dieAfter of [1, 40, 90]) expect(await run({ count: 5, dieAfter })).toBe('SIGKILL');
  expect(await run({ count: 5 })).toBe('normal');
  expect(await check()).toEqual(NOTHING);
});

test('is harmless to have one spool for several processes, which all replay', async () => {
  const { run, check } = await crashPlace();
  await Promise.all(Array.from({ length: 3 }, () => run({ away: true, count: 40 })));
  await Promise.all([
    run({ count: 20 }),
    run({ count: 20 }),
    run({ count: 20, dieAfter: 70 }),
    run({ away: true, count: 40 }),
  ]);
  expect(await run({ count: 1 })).toBe('normal');
  expect(await check()).toEqual(NOTHING);
});
