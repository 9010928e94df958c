import { describe, expect, test } from 'vitest';
import type { AddMemory } from '../../../src/core/memory/input.ts';
import type { MemoryService } from '../../../src/core/memory/memory.ts';
import { FakeClock, inMemory, onEverySharedStore, onEveryStore } from '../../support/engines.ts';

/** Adds memories, one a second. */
async function addAll(
  memory: MemoryService,
  clock: FakeClock,
  all: readonly (string | Partial<AddMemory>)[],
): Promise<string[]> {
  const ids: string[] = [];
  for (const one of all) {
    clock.forward(1000);
    const given = typeof one === 'string' ? { content: one } : one;
    ids.push((await memory.add({ userId: 'ida', content: '', ...given })).id);
  }
  return ids;
}

const letters = [...'abcdefghijklmnopqrstuvwxyz'];
const short = 'Ida rides her red bicycle to the office every morning';
const long = 'Ida rides her old red bicycle to the office every morning';

onEveryStore('consolidating', (open) => {
  test('merges near-duplicates and keeps where they come from', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    const { memory } = engine;
    const [one, two, other] = await addAll(memory, clock, [
      { content: short, tags: ['way'], importance: 0.6, sources: [{ sessionId: 's', seq: 1 }] },
      { content: long, tags: ['bicycle'], sources: [{ sessionId: 's', seq: 8 }] },
      'Ida rides her blue bicycle to the office every morning',
    ]);
    await memory.add({ content: long, userId: 'bo' });
    const found = { examined: 3, merged: 1, into: 1, superseded: 0 };
    expect(await memory.consolidate({ userId: 'ida', dryRun: true })).toMatchObject(found);
    expect(await memory.stats()).toMatchObject({ count: 4, consolidated: 0 });
    expect(await memory.consolidate({ userId: 'ida' })).toMatchObject(found);
    expect(await memory.get(two!)).toMatchObject({
      content: long,
      tags: ['bicycle', 'way'],
      importance: 0.6,
      mergedFrom: [one],
      duplicates: 1,
      sources: [
        { sessionId: 's', seq: 8 },
        { sessionId: 's', seq: 1 },
      ],
    });
    await expect(memory.get(one!)).rejects.toThrow(/does not exist/);
    expect((await memory.get(other!)).mergedFrom).toEqual([]);
    expect(await memory.searchByTags(['way'], { userId: 'ida' })).toHaveLength(1);
    expect((await memory.search('bicycle', { userId: 'ida' })).hits).toHaveLength(2);
    expect(await memory.consolidate()).toMatchObject({ examined: 3, merged: 0 });
    expect(await memory.stats()).toMatchObject({
      count: 3,
      consolidated: 1,
      lastConsolidatedAt: clock.now(),
    });
  });

  test('supersedes what a function says is contradicted, the older by the newer', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    const [tea, coffee, bees] = await addAll(engine.memory, clock, [
      'Ida cannot stand coffee at breakfast',
      'Ida enjoys coffee at breakfast',
      'Ida keeps bees behind the house',
    ]);
    const asked: string[][] = [];
    const contradicts = async (older: { content: string }, newer: { content: string }) => {
      asked.push([older.content, newer.content]);
      return /cannot stand/.test(older.content) && /enjoys/.test(newer.content);
    };
    const done = await engine.memory.consolidate({ contradicts });
    expect(done).toMatchObject({ superseded: 1, compared: asked.length });
    expect(asked).toContainEqual(['Ida cannot stand coffee at breakfast', 'Ida enjoys coffee at breakfast']);
    expect(await engine.memory.get(tea!)).toMatchObject({ supersededBy: coffee });
    expect((await engine.memory.get(coffee!)).supersedes).toEqual([tea]);
    expect((await engine.memory.get(bees!)).supersededBy).toBeUndefined();
    const none = await engine.memory.consolidate({ contradicts: () => true, maxComparisons: 0 });
    expect(none).toMatchObject({ superseded: 0, compared: 0 });
  });
});

describe('consolidating', () => {
  test('does the rest where the function that is asked for contradictions fails', async () => {
    const failures: unknown[] = [];
    const engine = await inMemory({ onError: (error) => failures.push(error) });
    await addAll(engine.memory, new FakeClock(), [
      short,
      long,
      'Ida sold her red bicycle',
      'Ida rides a bus',
    ]);
    const contradicts = () => Promise.reject(new Error('no model'));
    expect(await engine.memory.consolidate({ contradicts })).toMatchObject({ merged: 1, compared: 1 });
    expect(failures).toEqual([new Error('no model')]);
  });

  test('of hundreds that are nearly alike only those that another one covers are merged', async () => {
    const engine = await inMemory();
    const names = Array.from({ length: 300 }, (_, i) => `w${letters[i % 26]}${letters[Math.floor(i / 26)]}x`);
    const adding = names.flatMap((name, i) => [
      engine.memory.add({
        content: `Ida rides ${name} bicycle to the office each bright morning in winter`,
        userId: 'ida',
      }),
      engine.memory.add({ content: `Matter ${i} of ${name} is with department ${i * 3}`, userId: 'ida' }),
    ]);
    await Promise.all(adding);
    await engine.memory.add({
      content: 'Ida rides bicycle to the office each bright morning in winter',
      userId: 'ida',
    });
    // Each names another bicycle: only the one that names none is covered by another.
    expect(await engine.memory.consolidate()).toMatchObject({ examined: 601, merged: 1 });
  });

  test('never merges what has two keys, or says another number', async () => {
    const clock = new FakeClock();
    const engine = await inMemory({ clock });
    await addAll(engine.memory, clock, [
      { content: short, key: 'summer' },
      { content: long, key: 'winter' },
      'Ida pays 20 euros for the ticket to the museum each month',
      'Ida pays 20 or 25 euros for the ticket to the museum each month',
    ]);
    expect(await engine.memory.consolidate()).toMatchObject({ examined: 4, merged: 0, superseded: 0 });
  });

  test('lets what is used or important rise, and keeps the longer life of what it merges', async () => {
    const clock = new FakeClock();
    const engine = await inMemory({ clock, memory: { longImportance: 0.9 } });
    const [weighty, one, two] = await addAll(engine.memory, clock, [
      { content: 'Ida is allergic to nuts', importance: 0.95, tier: 'medium' },
      { content: short, ttlMs: 60_000 },
      { content: long, ttlMs: 600_000 },
    ]);
    expect(await engine.memory.consolidate()).toMatchObject({ merged: 1, promoted: 1 });
    expect((await engine.memory.get(weighty!)).tier).toBe('long');
    expect((await engine.memory.get(two!)).expiresAt).toBe(clock.now() + 600_000);
    await expect(engine.memory.get(one!)).rejects.toThrow();
  });

  test('the copies of one made-up sentence are one memory, and do not become a long-term one', async () => {
    const engine = await inMemory();
    const content = 'The user is a certified balloon pilot';
    const copies = Array.from({ length: 668 }, () =>
      engine.memory.add({ content, userId: 'ida', sources: [{ sessionId: 's', seq: 3 }] }),
    );
    expect(new Set((await Promise.all(copies)).map(({ id }) => id)).size).toBe(1);
    const { memories } = await engine.memory.list({ userId: 'ida' });
    expect(memories).toMatchObject([{ duplicates: 667, uses: 0, tier: 'medium' }]);
    expect(memories[0]!.sources).toHaveLength(1);
  });
});

test('an audit names what looks wrong, and nothing of what it says', async () => {
  const clock = new FakeClock();
  const engine = await inMemory({ clock });
  const flood = Array.from({ length: 11 }, (_, i) => ({
    content: `Secret number ${i * i} of the ${i}th kind`,
    sources: [{ sessionId: 's', seq: 5 }],
  }));
  const source = { sources: [{ sessionId: 's', seq: 6 }] };
  const ids = await addAll(engine.memory, clock, [
    { content: short, ...source },
    { content: long, ...source },
    'Ida hums',
    { content: 'word '.repeat(500), ...source },
    { content: 'Ida is away', ttlMs: 1, ...source },
    ...flood,
  ]);
  clock.forward(31 * 24 * 60 * 60 * 1000);
  const audit = await engine.memory.audit();
  expect(audit.examined).toBe(16);
  expect(audit.counts).toEqual({
    'near-duplicates': 2,
    'no-source': 1,
    'one-source-flood': 11,
    'never-used': 16,
    oversize: 1,
    expired: 1,
  });
  const found = (type: string) => audit.findings.filter((finding) => finding.type === type);
  expect(found('no-source')).toEqual([{ type: 'no-source', userId: 'ida', memoryIds: [ids[2]] }]);
  expect([...found('near-duplicates')[0]!.memoryIds].sort()).toEqual([ids[0], ids[1]].sort());
  expect(JSON.stringify(audit)).not.toMatch(/Secret|bicycle/);
  expect((await engine.memory.audit({ limit: 1 })).findings).toHaveLength(6);
  expect((await engine.memory.audit({ userId: 'bo' })).examined).toBe(0);
});

onEverySharedStore('memories of several engines', (place) => {
  test('who add the same at the same time make one memory, and one of each key', async () => {
    const open = await place();
    const engines = [await open(), await open(), await open()];
    const each = (work: (memory: MemoryService, i: number) => Promise<unknown>) =>
      Promise.all(engines.flatMap((engine) => [0, 1, 2, 3].map((i) => work(engine.memory, i))));
    await each((memory) => memory.add({ content: 'Ida plays the cello', userId: 'ida' }));
    await each((memory, i) =>
      memory.add({ content: `Ships on day ${i}`, key: 'shipping day', userId: 'ida' }),
    );
    const [first] = engines;
    const { memories } = await first!.memory.list({ userId: 'ida' });
    expect(memories.filter(({ key }) => key !== undefined)).toHaveLength(1);
    expect(memories.filter(({ content }) => content.includes('cello'))).toMatchObject([{ duplicates: 11 }]);
    const stats = await first!.memory.stats({ userId: 'ida' });
    const { memories: superseded } = await first!.memory.list({ userId: 'ida', superseded: true });
    expect(stats).toMatchObject({ count: 2, superseded: superseded.length });
    const counted = stats.count + superseded.length + stats.duplicatesMerged;
    expect(counted).toBe(24);
  });

  test('who change, use and consolidate at the same time lose nothing', async () => {
    const open = await place();
    const [one, two] = [await open(), await open()];
    const { id } = await one.memory.add({ content: long, userId: 'ida' });
    await one.memory.add({ content: short, userId: 'ida', sources: [{ sessionId: 's', seq: 2 }] });
    const work = [0, 1, 2, 3, 4].flatMap((i) =>
      [one, two].map(async ({ memory }, n) => {
        await memory.update(id, { metadata: { [`${n}-${i}`]: true } });
        await memory.search('bicycle', { userId: 'ida' });
        if (i === 2) await memory.consolidate({ userId: 'ida' });
        await memory.settled();
      }),
    );
    await Promise.all(work);
    await one.memory.consolidate();
    const memory = await two.memory.get(id);
    expect(Object.keys(memory.metadata)).toHaveLength(10);
    expect(memory.sources).toEqual([{ sessionId: 's', seq: 2 }]);
    expect(memory.uses).toBeGreaterThanOrEqual(10);
    expect(await one.memory.stats()).toMatchObject({ count: 1, consolidated: 1 });
  });
});

test('memories go along when a store is copied, with all that finds them', async () => {
  const [from, to] = [await inMemory(), await inMemory()];
  const old = await from.memory.add({ content: 'Ida lives in Oslo', userId: 'ida', tags: ['home'] });
  const now = await from.memory.add({ content: 'Ida lives in Rome', userId: 'ida', tags: ['home'] });
  await from.memory.search('Rome', { userId: 'ida' });
  await from.memory.settled();
  expect(await from.copyTo(to, { verify: true })).toMatchObject({ verified: true, mismatches: [] });
  expect(await to.memory.get(now.id)).toMatchObject({ uses: 1, supersedes: [old.id], userId: 'ida' });
  expect(await to.memory.stats()).toMatchObject({ count: 1, superseded: 1 });
  expect(await to.memory.searchByTags(['home'], { userId: 'ida' })).toHaveLength(1);
  expect((await to.memory.search('Rome', { userId: 'ida' })).hits).toHaveLength(1);
  expect((await to.memory.add({ content: 'Ida lives in Rome', userId: 'ida' })).merged).toBe(true);
});
