/** Copies from each store to each other one, on real servers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { copyStore } from '../../../src/core/copy/copy.ts';
import type { Store } from '../../../src/core/store.ts';
import { openStore } from '../../../src/index.ts';
import type { ServerName } from '../../support/server-names.ts';
import { createPlace, removePlace, serverUrl } from '../../support/servers.ts';
import { watched } from '../../support/stores.ts';
import { type Commit, everything, history, live } from './histories.ts';

const places = ['memory', 'sqlite', 'redis', 'redis-cluster', 'postgres'] as const;
type Place = (typeof places)[number];

/** Opens an empty store. */
async function empty(place: Place, context: TestContext): Promise<Store> {
  if (place === 'memory') return openStore('memory:');
  if (place === 'sqlite') {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    return openStore(`file:${join(folder, 'store.db')}`, { durability: 'normal' });
  }
  await serverUrl(place satisfies ServerName, context);
  const url = await createPlace(place);
  onTestFinished(() => removePlace(url));
  return openStore(url);
}

async function copied(from: Store, to: Store, [before, meanwhile]: readonly Commit[][]): Promise<void> {
  await live(from, before!);
  let left = 4;
  const dying = watched(to, () => left-- <= 0).store;
  await copyStore(from, dying).catch((error: unknown) => {
    if (!/cut off/.test(String(error))) throw error;
  });
  await live(from, meanwhile!);
  const { mismatches } = await copyStore(from, to, { verify: true });
  expect(mismatches).toEqual([]);
  expect(await everything(to)).toEqual(await everything(from));
}

describe.each(places)('a copy from %s', (source) => {
  it.for(places)('to %s, cut off in the middle, holds all there is', async (target, context) => {
    const sample = fc.sample(fc.tuple(history, history), { numRuns: 3, seed: 7 });
    for (const histories of sample) {
      const [from, to] = [await empty(source, context), await empty(target, context)];
      try {
        await copied(from, to, histories);
      } finally {
        await Promise.all([from.close(), to.close()]);
      }
    }
  });
});

describe('versions in a copy', () => {
  it.for(places)(
    'go on beyond those of the source, also of what was deleted, in %s',
    async (target, context) => {
      const [from, to] = [await empty('memory', context), await empty(target, context)];
      const partition = { tenant: 'a', type: 'session', id: 'p' };
      const put = (id: string) => ({ op: 'put' as const, kind: 'note', id, value: '1' });
      try {
        for (let i = 0; i < 50; i++) await from.commit({ partition, operations: [put('x')] });
        const { results } = await from.commit({ partition, operations: [put('gone')] });
        await from.commit({ partition, operations: [{ op: 'delete', kind: 'note', id: 'gone' }] });
        await copyStore(from, to);
        const next = await to.commit({ partition, operations: [put('x'), put('gone')] });
        for (const { version } of next.results) expect(version).toBeGreaterThan(results[0]!.version!);
      } finally {
        await Promise.all([from.close(), to.close()]);
      }
    },
  );
});
