import { describe, expect, test } from 'vitest';
import type { MemoryHit } from '../../../src/core/memory/find.ts';
import type { AddMemory, SearchMemories } from '../../../src/core/memory/input.ts';
import type { Memory } from '../../../src/core/model/memory.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../../../src/index.ts';
import { FakeClock, inMemory, newSession, onEveryStore } from '../../support/engines.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

function contents(all: readonly (Memory | MemoryHit)[]): string[] {
  return all.map((one) => ('memory' in one ? one.memory.content : one.content));
}

onEveryStore('memories', (open) => {
  test('are kept with all that was given, and found by id, with or without their user', async () => {
    const engine = await open();
    const given = {
      content: 'Ida rows on Sundays',
      userId: 'ida',
      importance: 0.6,
      tags: ['sport', 'sport', 'sunday'],
      kind: 'habit',
      key: 'sunday sport',
      metadata: { from: 'a form' },
      sources: [{ sessionId: 'elsewhere', seq: 4 }],
    };
    const added = await engine.memory.add(given);
    expect(added).toMatchObject({
      ...given,
      tags: ['sport', 'sunday'],
      tier: 'medium',
      merged: false,
      uses: 0,
    });
    const { merged: _, retention: __, ...kept } = added;
    expect(await engine.memory.get(added.id)).toMatchObject(kept);
    expect(await engine.memory.get(added.id, { userId: 'ida' })).toMatchObject(kept);
    await expect(engine.memory.get(added.id, { userId: 'bo' })).rejects.toThrow(NotFoundError);
    await expect(engine.memory.get(added.id, {})).resolves.toMatchObject(kept);
    await expect(engine.memory.get('no such')).rejects.toThrow(NotFoundError);
  });

  test("belong to a session's user, who is the same in all sessions, and know the session", async () => {
    const engine = await open();
    await engine.sessions.create({ id: 'one', userId: 'ida' });
    await engine.sessions.create({ id: 'two', userId: 'ida' });
    const added = await engine.session('one').memory.add({ content: 'Ida has a cat called Tiger' });
    expect(added).toMatchObject({ userId: 'ida', sources: [{ sessionId: 'one' }] });
    const { hits } = await engine.session('two').memory.search('What is the cat called?');
    expect(contents(hits)).toEqual(['Ida has a cat called Tiger']);
    expect((await engine.session('two').memory.list()).memories).toHaveLength(1);
    await expect(engine.memory.add({ content: 'x', sessionId: 'none' })).rejects.toThrow(NotFoundError);
    const wrong = engine.memory.add({ content: 'x', sessionId: 'one', userId: 'bo' });
    await expect(wrong).rejects.toThrow(InvalidInputError);
  });

  test('of the tenant, of users and of other tenants are apart', async () => {
    const engine = await open();
    const other = engine.tenant('other');
    await engine.memory.add({ content: 'The office opens at nine' });
    await engine.memory.add({ content: 'Ida opens the office', userId: 'ida' });
    await other.memory.add({ content: 'The other office opens at ten', userId: 'ida' });
    expect(contents((await engine.memory.search('office')).hits)).toEqual(['The office opens at nine']);
    expect(contents((await engine.memory.search('office', { userId: 'ida' })).hits)).toEqual([
      'Ida opens the office',
    ]);
    expect(contents((await engine.memory.list()).memories)).toEqual(['The office opens at nine']);
    expect((await engine.memory.search('office', { userId: 'bo' })).hits).toEqual([]);
    expect(await engine.memory.stats()).toMatchObject({ count: 2, users: 1 });
    expect(await other.memory.stats()).toMatchObject({ count: 1, users: 1 });
    await expect(engine.memory.add({ content: 'x', userId: '$tenant' })).rejects.toThrow(/reserved/);
  });

  test('that say the same are merged when they come: sources, tags and importance are united', async () => {
    const engine = await open();
    const first = await engine.memory.add({
      content: 'The user prefers dark mode',
      userId: 'ida',
      tags: ['ui'],
      sources: [{ sessionId: 's', seq: 1 }],
    });
    const again = await engine.memory.add({
      content: 'User prefers a dark mode.',
      userId: 'ida',
      tags: ['theme'],
      importance: 0.8,
      sources: [{ sessionId: 's', seq: 9 }],
    });
    expect(again).toMatchObject({ id: first.id, merged: true, tags: ['ui', 'theme'], importance: 0.8 });
    expect(again).toMatchObject({ content: 'The user prefers dark mode', duplicates: 1, tier: 'long' });
    expect(again.sources).toEqual([
      { sessionId: 's', seq: 1 },
      { sessionId: 's', seq: 9 },
    ]);
    expect((await engine.memory.add({ content: 'The user prefers dark mode', userId: 'bo' })).merged).toBe(
      false,
    );
    expect(await engine.memory.stats({ userId: 'ida' })).toMatchObject({ count: 1, duplicatesMerged: 1 });
  });

  test('with the same key, or that tell another value of a fact, supersede the older one', async () => {
    const engine = await open();
    const old = await engine.memory.add({ content: 'Ships on Mondays', key: 'shipping day', userId: 'ida' });
    const now = await engine.memory.add({ content: 'Ships on Fridays', key: 'shipping day', userId: 'ida' });
    expect(now.supersedes).toEqual([old.id]);
    const oslo = await engine.memory.add({ content: 'Ida lives in Oslo', userId: 'ida' });
    const rome = await engine.memory.add({ content: 'Ida has moved to Rome', userId: 'ida' });

    const superseded = await engine.memory.get(oslo.id);
    expect(superseded).toMatchObject({ supersededBy: rome.id, content: 'Ida lives in Oslo' });
    expect(
      contents((await engine.memory.search('Where does Ida live, in Oslo?', { userId: 'ida' })).hits),
    ).not.toContain('Ida lives in Oslo');
    const asked = await engine.memory.search('Oslo', { userId: 'ida', superseded: true });
    expect(contents(asked.hits)).toEqual(['Ida lives in Oslo']);
    expect(contents((await engine.memory.list({ userId: 'ida' })).memories).sort()).toEqual([
      'Ida has moved to Rome',
      'Ships on Fridays',
    ]);
    const listed = await engine.memory.list({ userId: 'ida', superseded: true });
    expect(contents(listed.memories).sort()).toEqual(['Ida lives in Oslo', 'Ships on Mondays']);
    expect(await engine.memory.stats({ userId: 'ida' })).toMatchObject({ count: 2, superseded: 2 });
    await expect(engine.memory.update(oslo.id, { content: 'x' })).rejects.toThrow(/superseded/);
    expect(await engine.memory.delete(oslo.id)).toBe(true);
    expect(await engine.memory.delete(oslo.id)).toBe(false);
    expect((await engine.memory.stats({ userId: 'ida' })).superseded).toBe(1);
  });

  test('are changed field by field, at a version if one is asked for', async () => {
    const engine = await open();
    const { id, version } = await engine.memory.add({
      content: 'Ida drinks tea',
      userId: 'ida',
      tags: ['drink'],
      metadata: { a: 1, b: 2 },
    });
    const changes = { content: 'Ida drinks coffee', tags: ['coffee'], metadata: { a: null, c: 3 } };
    const changed = await engine.memory.update(id, changes, { ifVersion: version });
    expect(changed).toMatchObject({
      content: 'Ida drinks coffee',
      tags: ['coffee'],
      metadata: { b: 2, c: 3 },
    });
    expect(changed.version).toBeGreaterThan(version);
    const late = engine.memory.update(id, { importance: 1 }, { ifVersion: version });
    await expect(late).rejects.toThrow(ConflictError);
    expect((await engine.memory.get(id)).importance).toBe(0.5);
    expect(contents((await engine.memory.search('coffee', { userId: 'ida' })).hits)).toHaveLength(1);
    expect((await engine.memory.search('tea', { userId: 'ida' })).hits).toEqual([]);
    expect(await engine.memory.searchByTags(['drink'], { userId: 'ida' })).toEqual([]);
    // What it said before is no longer known: the same text makes a memory of its own.
    expect((await engine.memory.add({ content: 'Ida drinks tea', userId: 'ida' })).merged).toBe(false);
    expect((await engine.memory.add({ content: 'Ida drinks coffee', userId: 'ida' })).id).toBe(id);
  });

  test('are gone when they are deleted, from search, tags and duplicates as well', async () => {
    const engine = await open();
    const { id } = await engine.memory.add({ content: 'Ida skis', userId: 'ida', tags: ['sport'], key: 'k' });
    expect((await engine.memory.search('skis', { userId: 'ida' })).hits).toHaveLength(1);
    expect(await engine.memory.delete(id, { userId: 'bo' })).toBe(false);
    expect(await engine.memory.delete(id)).toBe(true);
    expect(await engine.memory.delete(id)).toBe(false);
    await expect(engine.memory.get(id)).rejects.toThrow(NotFoundError);
    expect((await engine.memory.search('skis', { userId: 'ida' })).hits).toEqual([]);
    expect(await engine.memory.searchByTags(['sport'], { userId: 'ida' })).toEqual([]);
    const again = await engine.memory.add({ content: 'Ida skis', userId: 'ida', key: 'k' });
    expect(again).toMatchObject({ merged: false, supersedes: [] });
    expect(await engine.memory.stats({ userId: 'ida' })).toMatchObject({ count: 1, superseded: 0 });
  });

  test('are listed newest first, page by page', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    for (const name of ['Ann', 'Bo', 'Cy', 'Di', 'Ed']) {
      clock.forward(1000);
      await engine.memory.add({
        content: `${name} plays chess`,
        userId: 'ida',
        kind: name < 'C' ? 'ab' : 'cde',
      });
    }
    const first = await engine.memory.list({ userId: 'ida', limit: 3 });
    const rest = await engine.memory.list({ userId: 'ida', limit: 3, after: first.next! });
    expect(contents([...first.memories, ...rest.memories])).toEqual(
      ['Ed', 'Di', 'Cy', 'Bo', 'Ann'].map((name) => `${name} plays chess`),
    );
    expect(rest.next).toBeUndefined();
    const some = await engine.memory.list({ userId: 'ida', kinds: ['ab'], limit: 1 });
    expect(contents(some.memories)).toEqual(['Bo plays chess']);
  });

  test('are found by all of some tags, or by any of them', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    const tagsOf = { one: ['a'], two: ['a', 'b'], three: ['b', 'c'], four: ['%', '*'] };
    for (const [name, tags] of Object.entries(tagsOf)) {
      clock.forward(1000);
      await engine.memory.add({ content: `matter ${name}`, userId: 'ida', tags });
      await engine.memory.add({ content: `matter ${name}`, userId: 'bo', tags: ['a', 'b', 'c'] });
    }
    const find = async (tags: string[], match?: 'all' | 'any') =>
      contents(await engine.memory.searchByTags(tags, { userId: 'ida', match }));
    expect(await find(['a'])).toEqual(['matter two', 'matter one']);
    expect(await find(['a', 'b'])).toEqual(['matter two']);
    expect(await find(['a', 'c'])).toEqual([]);
    expect(await find(['a', 'c'], 'any')).toEqual(['matter three', 'matter two', 'matter one']);
    expect(await find(['*'])).toEqual(['matter four']);
    expect(await find(['A'])).toEqual([]);
    await expect(engine.memory.searchByTags([])).rejects.toThrow(InvalidInputError);
  });

  test('are searched by what they say and by their tags, among those that a filter leaves', async () => {
    const engine = await open();
    const add = (content: string, more: object = {}) =>
      engine.memory.add({ content, userId: 'ida', ...more });
    await add('The harbour ferry leaves at seven', { importance: 0.9, kind: 'plan' });
    await add('Ida once missed the ferry', { tags: ['travel'] });
    await add('Ida keeps bees', { tags: ['garden'] });
    const find = async (query: string, options: object = {}) =>
      contents((await engine.memory.search(query, { userId: 'ida', ...options })).hits);
    expect((await find('When does the ferry leave?'))[0]).toBe('The harbour ferry leaves at seven');
    expect(await find('ferry', { minImportance: 0.8 })).toEqual(['The harbour ferry leaves at seven']);
    expect(await find('ferry', { kinds: ['fact'] })).toEqual(['Ida once missed the ferry']);
    expect(await find('ferry', { tags: ['travel', 'garden'], match: 'any' })).toEqual([
      'Ida once missed the ferry',
    ]);
    expect(await find('ferry', { limit: 1 })).toHaveLength(1);
    expect(await find('garden')).toEqual(['Ida keeps bees']);
    expect(await find('submarine')).toEqual([]);
    const { hits, index } = await engine.memory.search('bees', { userId: 'ida', deadlineMs: 60_000 });
    expect(index.complete).toBe(true);
    expect(hits[0]!.why).toMatchObject({ words: expect.any(Number), retention: expect.any(Number) });
    expect(hits[0]!.score).toBeGreaterThan(0);
  });

  test('are remembered longer when they are used, which a search need not wait for', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    const { id, version } = await engine.memory.add({ content: 'Ida paints boats', userId: 'ida' });
    clock.forward(DAY_MS);
    await engine.memory.search('boats', { userId: 'ida', use: false });
    await engine.memory.settled();
    expect((await engine.memory.get(id)).uses).toBe(0);
    for (let i = 0; i < 3; i++) await engine.memory.search('boats', { userId: 'ida' });
    await engine.memory.settled();
    expect(await engine.memory.get(id)).toMatchObject({
      uses: 3,
      usedAt: clock.now(),
      tier: 'long',
      version,
    });
    expect((await engine.memory.get(id)).retention).toBe(1);
  });

  test('fade when they are not used: long-term ones become medium-term ones, and those go', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    const medium = await engine.memory.add({ content: 'Ida bought nails', userId: 'ida' });
    const long = await engine.memory.add({ content: 'Ida builds a boat', userId: 'ida', tier: 'long' });
    const ever = await engine.memory.add({ content: 'Ida must not eat nuts', userId: 'bo', importance: 1 });
    const brief = await engine.memory.add({ content: 'Ida is in a meeting', userId: 'ida', ttlMs: 1000 });
    clock.forward(2000);
    await expect(engine.memory.get(brief.id)).rejects.toThrow(NotFoundError);
    clock.forward(30 * DAY_MS);
    expect(await engine.memory.cleanup({ dryRun: true })).toMatchObject({
      expired: 1,
      decayed: 1,
      removed: 2,
    });
    expect((await engine.memory.get(medium.id)).retention).toBeLessThan(0.05);
    expect(await engine.memory.cleanup()).toMatchObject({ expired: 1, decayed: 1, demoted: 0, removed: 2 });
    await expect(engine.memory.get(medium.id)).rejects.toThrow(NotFoundError);
    clock.forward(300 * DAY_MS);
    await engine.memory.sweep();
    expect(await engine.memory.get(long.id)).toMatchObject({ tier: 'medium', usedAt: clock.now() });
    clock.forward(30 * DAY_MS);
    await engine.memory.sweep();
    await expect(engine.memory.get(long.id)).rejects.toThrow(NotFoundError);
    expect((await engine.memory.get(ever.id)).retention).toBe(1);
    expect(await engine.memory.stats()).toMatchObject({ count: 1, byTier: { short: 0, medium: 0, long: 1 } });
  });

  test('go when nobody has used them for so many days', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    const old = await engine.memory.add({ content: 'Ida met Cy', userId: 'ida', tier: 'long' });
    const used = await engine.memory.add({ content: 'Ida met Di', userId: 'bo', tier: 'long' });
    await engine.memory.add({ content: 'Ida lives in Oslo', userId: 'ida' });
    await engine.memory.add({ content: 'Ida lives in Rome', userId: 'ida', tier: 'long' });
    clock.forward(10 * DAY_MS);
    await engine.memory.search('Di', { userId: 'bo' });
    const expected = { unused: 2, superseded: 1, removed: 3 };
    expect(await engine.memory.cleanup({ maxAgeDays: 5, dryRun: true })).toMatchObject(expected);
    expect(await engine.memory.get(old.id)).toBeDefined();
    expect(await engine.memory.cleanup({ maxAgeDays: 5 })).toMatchObject(expected);
    await expect(engine.memory.get(old.id)).rejects.toThrow(NotFoundError);
    expect(await engine.memory.get(used.id)).toBeDefined();
    expect(await engine.memory.cleanup({ maxAgeDays: 5 })).toMatchObject({ removed: 0 });

    await engine.memory.add({ content: 'Ida lives in Bonn', userId: 'cy', importance: 1 });
    await engine.memory.add({ content: 'Ida lives in Kiel', userId: 'cy', importance: 1 });
    clock.forward(300 * DAY_MS);
    const forgotten = { superseded: 1, removed: 1 };
    expect(await engine.memory.cleanup({ maxAgeDays: 400, dryRun: true })).toMatchObject(forgotten);
    expect(await engine.memory.cleanup({ maxAgeDays: 1, dryRun: true })).toMatchObject({ superseded: 1 });
    await engine.memory.sweep();
    expect((await engine.memory.list({ userId: 'cy', superseded: true })).memories).toEqual([]);
    expect((await engine.memory.list({ userId: 'cy' })).memories).toHaveLength(1);
  });

  test('that are more than a tier may hold make room by least retention', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock, memory: { sizes: { medium: 2, long: 2 } } });
    const add = async (content: string, importance: number) => {
      clock.forward(1000);
      await engine.memory.add({ content, userId: 'ida', importance });
      await engine.memory.settled();
    };
    await add('Ida rows', 0.9);
    await add('Ida skis', 0.8);
    await add('Ida runs', 0.95);
    await add('Ida reads', 0.2);
    await add('Ida sings', 0.4);
    const { memories } = await engine.memory.list({ userId: 'ida' });
    const tiers = Object.fromEntries(memories.map(({ content, tier }) => [content, tier]));
    expect(tiers).toEqual({
      'Ida rows': 'long',
      'Ida runs': 'long',
      'Ida skis': 'medium',
      'Ida sings': 'medium',
    });
    expect(await engine.memory.stats()).toMatchObject({ count: 4, byTier: { medium: 2, long: 2 } });
  });

  test('are told by events, also to whoever asks for memories alone', async () => {
    const engine = await open();
    const start = await engine.events.cursor();
    const first = await engine.memory.add({ content: 'Ida lives in Oslo', userId: 'ida' });
    const second = await engine.memory.add({ content: 'Ida lives in Rome', userId: 'ida' });
    const shared = await engine.memory.add({ content: 'The office opens at nine' });
    await engine.memory.update(second.id, { importance: 0.6 });
    await engine.memory.consolidate({ userId: 'ida' });
    await engine.memory.delete(shared.id);
    await newSession(engine, 'last');
    const told: object[] = [];
    for await (const { type, ...event } of engine.events.subscribe({ after: start })) {
      if (type === 'session.created') break;
      const { userId, memoryId } = event as { userId?: string; memoryId?: string };
      told.push([type, userId, memoryId]);
    }
    expect(told).toEqual([
      ['memory.added', 'ida', first.id],
      ['memory.superseded', 'ida', first.id],
      ['memory.added', 'ida', second.id],
      ['memory.added', undefined, shared.id],
      ['memory.updated', 'ida', second.id],
      ['memory.consolidated', 'ida', undefined],
      ['memory.deleted', undefined, shared.id],
    ]);
  });

  test.each([
    '../../etc/passwd',
    '__proto__',
    'constructor',
    '%',
    '*',
    '{id}',
    ' ',
    "'; drop table records; --",
    'naïve 漢字 🙂',
    'x'.repeat(256),
  ])('take %j as a user, a tag, a key and a kind', async (name) => {
    const engine = await open();
    const given = { userId: name, tags: [name], key: name, kind: name, metadata: { [name]: 1 } };
    const added = await engine.memory.add({ content: `About ${name} a word`, ...given });
    expect(await engine.memory.get(added.id)).toMatchObject({
      userId: name,
      tags: [name],
      key: name,
      kind: name,
    });
    expect(Object.entries((await engine.memory.get(added.id)).metadata)).toEqual([[name, 1]]);
    expect(await engine.memory.searchByTags([name], { userId: name })).toHaveLength(1);
    expect((await engine.memory.search('word', { userId: name, kinds: [name] })).hits).toHaveLength(1);
    expect((await engine.memory.stats({ userId: name })).byKind).toEqual(Object.fromEntries([[name, 1]]));
    expect((await engine.memory.search('word', { userId: 'somebody' })).hits).toEqual([]);
  });

  test('keep any text exactly', async () => {
    const engine = await open();
    const texts = ['NUL \0 and \ud800 alone', '%', 'the', '🙂', '{"a":1}', 'x'.repeat(16_384)];
    for (const content of texts) {
      const { id } = await engine.memory.add({ content, userId: 'ida' });
      expect((await engine.memory.get(id)).content).toBe(content);
    }
    expect((await engine.memory.consolidate({ userId: 'ida' })).examined).toBe(texts.length);
  });
});

describe('short-term memory', () => {
  test('is of this process only, and finds like any other', async () => {
    const engine = await inMemory();
    const added = await engine.memory.add({
      content: 'The printer is on fire',
      userId: 'ida',
      tier: 'short',
      tags: ['now'],
    });
    expect(added).toMatchObject({ tier: 'short', merged: false });
    await engine.memory.add({ content: 'Ida has a printer', userId: 'ida' });
    const { hits } = await engine.memory.search('printer', { userId: 'ida', use: false });
    expect(contents(hits).sort()).toEqual(['Ida has a printer', 'The printer is on fire']);
    expect(
      contents((await engine.memory.search('printer', { userId: 'ida', tiers: ['medium'] })).hits),
    ).toEqual(['Ida has a printer']);
    expect((await engine.memory.search('printer')).hits).toEqual([]);
    expect(contents(await engine.memory.searchByTags(['now'], { userId: 'ida' }))).toEqual([
      'The printer is on fire',
    ]);
    expect(await engine.memory.get(added.id)).toMatchObject({ content: 'The printer is on fire' });
    await expect(engine.memory.get(added.id, { userId: 'bo' })).rejects.toThrow(NotFoundError);
    expect(await engine.memory.stats()).toMatchObject({ count: 2, byTier: { short: 1, medium: 1 } });
    expect((await engine.memory.list({ userId: 'ida', tiers: ['short'] })).memories).toHaveLength(1);
    expect((await engine.memory.update(added.id, { content: 'The printer is fine' })).content).toBe(
      'The printer is fine',
    );
    expect(await engine.memory.delete(added.id)).toBe(true);
    await expect(engine.memory.get(added.id)).rejects.toThrow(NotFoundError);
  });

  test('is bounded: what was used longest ago makes room', async () => {
    const engine = await inMemory({ memory: { sizes: { short: 2 } } });
    const add = (content: string, userId = 'ida') => engine.memory.add({ content, userId, tier: 'short' });
    await add('a red boat');
    await add('a blue car');
    await add('a red boat', 'bo');
    await engine.memory.search('boat', { userId: 'ida' });
    await add('a green train');
    const left = contents((await engine.memory.list({ userId: 'ida', tiers: ['short'] })).memories);
    expect(left.sort()).toEqual(['a green train', 'a red boat']);
    expect((await engine.memory.stats()).byTier.short).toBe(3);
  });

  test('becomes durable when it is used often, or asked to', async () => {
    const engine = await inMemory();
    const add = (content: string) => engine.memory.add({ content, userId: 'ida', tier: 'short' });
    const [often, asked] = [await add('Ida is in Bern'), await add('Ida is on foot')];
    for (let i = 0; i < 3; i++) await engine.memory.search('Bern', { userId: 'ida' });
    await engine.memory.update(asked.id, { tier: 'long' });
    await engine.memory.settled();
    expect(await engine.memory.get(often.id)).toMatchObject({ tier: 'medium', uses: 3 });
    expect(await engine.memory.get(asked.id)).toMatchObject({ tier: 'long', content: 'Ida is on foot' });
    expect((await engine.memory.stats()).byTier).toEqual({ short: 0, medium: 1, long: 1 });
  });
});

onEveryStore('a search of memories that are much alike', (open) => {
  test('finds those with a tag, or of a kind, and those that have not ended, however many others there are', async () => {
    const clock = new FakeClock();
    const { memory } = await open({ clock });
    const add = (content: string, more: Partial<AddMemory>) =>
      memory.add({ content, userId: 'ida', ...more });
    await add('Ida once had a boat and a car and a long way to the office in the rain', { tags: ['rare'] });
    await add('Ida once had a boat and a train and a long way to the harbour in the snow', { kind: 'event' });
    const ending = Array.from({ length: 220 }, (_, i) => add(`Ida had boat n${i}`, { ttlMs: 60_000 }));
    await Promise.all(ending);
    const search = async (filter: SearchMemories) =>
      (await memory.search('Ida had boat', { userId: 'ida', use: false, ...filter })).hits.length;
    expect(await search({ tags: ['rare'] })).toBe(1);
    expect(await search({ kinds: ['event'] })).toBe(1);
    expect(await search({ limit: 100 })).toBe(100);
    clock.forward(60_000);
    expect(await search({})).toBe(2);
  });
});

onEveryStore('a list with short-term memories', (open) => {
  test('has those first, and each memory once, in pages of any size', async () => {
    const clock = new FakeClock();
    const { memory } = await open({ clock });
    for (const tier of ['short', 'medium', 'short', 'medium', 'short', 'short'] as const) {
      clock.forward(1000);
      await memory.add({ content: `Ida at ${clock.now()}`, userId: 'ida', tier });
    }
    const listed = async (tiers: Memory['tier'][], limit: number) => {
      const all: Memory[] = [];
      for (let after: string | undefined; ; ) {
        const page = await memory.list({ userId: 'ida', tiers, limit, after });
        expect(page.memories.length).toBeLessThanOrEqual(limit);
        all.push(...page.memories);
        after = page.next;
        if (after === undefined) return all.map(({ tier }) => tier).join(' ');
      }
    };
    for (const limit of [1, 2, 3, 4, 5, 50]) {
      expect(await listed(['short'], limit)).toBe('short short short short');
      expect(await listed(['short', 'medium'], limit)).toBe('short short short short medium medium');
      expect(await listed(['medium'], limit)).toBe('medium medium');
    }
  });
});

onEveryStore('memories that end', (open) => {
  test('supersede nothing that holds longer, by fact, by key or in consolidate', async () => {
    const clock = new FakeClock();
    const { memory } = await open({ clock });
    const add = (content: string, more: { key?: string; ttlMs?: number } = {}) => {
      clock.forward(1000);
      return memory.add({ content, userId: 'ida', ...more });
    };
    await add('Ida lives in Oslo');
    await add('The door is shut', { key: 'door' });
    await add('Ida lives in Rome', { ttlMs: 60_000 });
    await add('The door stands open', { key: 'door', ttlMs: 60_000 });
    expect(await memory.consolidate({ contradicts: () => true })).toMatchObject({ superseded: 0 });
    clock.forward(60_000);
    await memory.cleanup();
    const { memories } = await memory.list({ userId: 'ida' });
    expect(contents(memories)).toEqual(['The door is shut', 'Ida lives in Oslo']);
    expect((await add('Ida lives in Bern')).supersedes).toHaveLength(1);
  });

  test('do not take with them what is told again without an end', async () => {
    const clock = new FakeClock();
    const { memory } = await open({ clock });
    for (const tier of ['short', 'medium'] as const) {
      const content = `The gate is ${tier}`;
      const { id } = await memory.add({ content, userId: 'ida', tier, ttlMs: 1000 });
      await memory.add({ content, userId: 'ida', tier });
      await memory.add({ content, userId: 'ida', tier, ttlMs: 500 });
      clock.forward(2000);
      expect((await memory.get(id)).expiresAt).toBeUndefined();
    }
  });
});

test('a sentence that tells of one of several homes or employers supersedes none', async () => {
  const { memory } = await inMemory();
  const add = async (content: string) => (await memory.add({ content, userId: 'ida' })).supersedes.length;
  await add('Ida lives in Oslo');
  await add('Ida works at Acme');
  expect(await add('Ida has moved to TypeScript last year')).toBe(0);
  expect(await add('Ida moved to Sales')).toBe(0);
  expect(await add('Ida works for Globex on weekends')).toBe(0);
  expect(await add('Ida has moved to Bergen')).toBe(1);
  expect(await add('Ida lives in Rome')).toBe(0);
});

onEveryStore('short-term memories that become durable', (open) => {
  test('are found once, and gone once they are deleted, however many searches used them', async () => {
    const { memory } = await open({ memory: { promoteUses: 2 } });
    const { id } = await memory.add({ content: 'The gate opens at six', userId: 'ida', tier: 'short' });
    await memory.add({ content: 'Ida has a gate', userId: 'ida' });
    const searches = await Promise.all(
      Array.from({ length: 6 }, () => memory.search('When does the gate open?', { userId: 'ida' })),
    );
    for (const { hits } of searches) expect(hits.filter((hit) => hit.memory.id === id)).toHaveLength(1);
    await memory.settled();
    expect((await memory.list({ userId: 'ida', tiers: ['short'] })).memories).toEqual([]);
    expect(await memory.get(id)).toMatchObject({ tier: 'medium' });
    expect(await memory.delete(id)).toBe(true);
    const { hits } = await memory.search('When does the gate open?', { userId: 'ida', use: false });
    expect(contents(hits)).toEqual(['Ida has a gate']);
  });

  test('do not come back after they were deleted, nor lose what was changed, while they were kept', async () => {
    const { memory } = await open({ memory: { promoteUses: 1 } });
    const add = (content: string) => memory.add({ content, userId: 'ida', tier: 'short' });
    const [gone, changed] = [await add('The gate is red'), await add('The fence is red')];
    await memory.search('red', { userId: 'ida' });
    await Promise.all([
      memory.update(changed.id, { content: 'The fence is blue' }),
      memory.update(changed.id, { tags: ['garden'], tier: 'long' }),
      memory.delete(gone.id),
    ]);
    await memory.settled();
    await expect(memory.get(gone.id)).rejects.toThrow(NotFoundError);
    const kept = { content: 'The fence is blue', tags: ['garden'], tier: 'long', duplicates: 0 };
    expect(await memory.get(changed.id)).toMatchObject(kept);
    expect((await memory.list({ userId: 'ida' })).memories).toHaveLength(1);
  });
});

test('a short-term memory that is deleted or changed during a search stays so', async () => {
  const engine = await inMemory({ memory: { promoteUses: 100 } });
  const add = (content: string) => engine.memory.add({ content, userId: 'ida', tier: 'short' });
  const [gone, changed] = [await add('The gate is red'), await add('The fence is red')];
  const searches: Promise<unknown>[] = [];
  for (let i = 0; i < 50; i++) {
    searches.push(engine.memory.search('red', { userId: 'ida' }));
    await Promise.resolve();
    if (i === 20) searches.push(engine.memory.delete(gone.id));
    if (i === 30) searches.push(engine.memory.update(changed.id, { content: 'The fence is blue' }));
  }
  await Promise.all(searches);
  const { memories } = await engine.memory.list({ userId: 'ida', tiers: ['short'] });
  expect(contents(memories)).toEqual(['The fence is blue']);
});

test('all problems of an input are told at once', async () => {
  const engine = await inMemory();
  const bad = { content: ' ', importance: 2, tags: [''], ttlMs: 0, tier: 'forever', usrId: 'ida' };
  const error = await engine.memory.add(bad as never).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidInputError);
  const paths = (error as InvalidInputError).issues.map(({ path }) => path);
  expect(paths.sort()).toEqual(['content', 'importance', 'tags[0]', 'tier', 'ttlMs', 'usrId']);
  await expect(engine.memory.search('x', { limit: 0 })).rejects.toThrow(InvalidInputError);
  await expect(engine.memory.update('id', { colour: 1 } as never)).rejects.toThrow(InvalidInputError);
  await expect(inMemory({ memory: { sizes: { short: 0 } } })).rejects.toThrow(/memory.sizes.short/);
});

test('an engine that closes writes the uses that it has gathered', async () => {
  const { mkdtemp, rm } = await import('node:fs/promises');
  const { tmpdir } = await import('node:os');
  const { ContextEngine } = await import('../../../src/index.ts');
  const folder = await mkdtemp(`${tmpdir()}/holdfast-`);
  const first = await ContextEngine.open(`file:${folder}/store.db`);
  const { id } = await first.memory.add({ content: 'Ida paints boats', userId: 'ida' });
  await first.memory.search('boats', { userId: 'ida' });
  await first.close();
  const second = await ContextEngine.open(`file:${folder}/store.db`);
  expect((await second.memory.get(id)).uses).toBe(1);
  await second.close();
  await rm(folder, { recursive: true });
});
