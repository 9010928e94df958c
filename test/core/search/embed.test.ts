/** Searching by meaning: vectors beside the text index. */
import { MockEmbeddingModelV3, MockEmbeddingModelV4 } from 'ai/test';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Embedder } from '../../../src/core/search/embedder.ts';
import type { Operation, Partition } from '../../../src/core/store.ts';
import { ContextEngine, type EngineOptions } from '../../../src/index.ts';
import { MemoryStore } from '../../../src/stores/memory/index.ts';
import { inMemory, onEverySharedStore, onEveryStore } from '../../support/engines.ts';

const system: Partition = { tenant: '$system', type: 'system', id: 'engine' };

/** What texts are about, in a world of four topics: words of a topic have nothing in common but that. */
const topics = [
  ['dog', 'puppy', 'hound', 'pet'],
  ['hail', 'monsoon', 'sleet', 'drizzle'],
  ['broth', 'chowder', 'goulash', 'stew'],
  ['zither', 'aria', 'ballad', 'fugue'],
];

function vectorOf(text: string): number[] {
  const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
  const about = topics.map((topic) => words.filter((word) => topic.includes(word)).length);
  // Nothing is nowhere: a text without a topic lies between all.
  return about.map((count) => count + 0.1);
}

/** An embedder that counts what it is asked for. */
class Topics implements Embedder {
  readonly name: string;
  readonly queries: string[] = [];
  readonly documents: string[] = [];
  calls = 0;
  /** In the way of each call. */
  hinder: (texts: readonly string[]) => Promise<void> | void = () => undefined;

  constructor(name = 'topics') {
    this.name = name;
  }

  async embed(texts: string[], { purpose }: { purpose: 'query' | 'document' }): Promise<number[][]> {
    this.calls++;
    await this.hinder(texts);
    (purpose === 'query' ? this.queries : this.documents).push(...texts);
    return texts.map(vectorOf);
  }
}

const talk = [
  'My hound barks at night.',
  'Poor you.',
  'We had a monsoon in the valley.',
  'I made a stew of beans.',
  'She wrote a ballad for me.',
  'It is late, good night.',
];
let said = 0;
const say = (content: string) => ({ role: 'user' as const, content, createdAt: 1_700_000_000_000 + said++ });

async function session(engine: ContextEngine, id = 's', texts = talk): Promise<void> {
  await engine.sessions.create({ id, userId: 'u' });
  await engine.messages.append(id, texts.map(say));
}

/** Brings everything into the index, and gives it its vectors. */
async function embedded(engine: ContextEngine, sessionId = 's'): Promise<void> {
  await engine.messages.search('anything', { sessionId });
  await engine.embeddings!.settled();
}

async function found(engine: ContextEngine, query: string, options: object = {}) {
  const { hits, embedding } = await engine.messages.search(query, { sessionId: 's', ...options });
  return { texts: hits.map(({ message }) => message.content), embedding, hits };
}

async function on(store: MemoryStore, options: EngineOptions): Promise<ContextEngine> {
  const engine = await ContextEngine.open(store, {
    maintenanceIntervalMs: 0,
    embedding: { deadlineMs: 60_000 },
    ...options,
  });
  onTestFinished(() => engine.close());
  return engine;
}

/** The vectors that stretches have, by model. */
function embeddings(store: MemoryStore) {
  const commits = vi.spyOn(store, 'commit');
  return () =>
    commits.mock.calls
      .flatMap(([{ operations }]) => operations)
      .filter((operation): operation is Operation & { op: 'embed' } => operation.op === 'embed');
}

onEveryStore('searching by meaning', (open) => {
  test('finds what has no word in common with the query, and says so', async () => {
    const engine = await open({ embedder: new Topics() });
    await session(engine);
    expect((await found(engine, 'pet')).texts).toEqual([]);
    await embedded(engine);
    const { texts, hits, embedding } = await found(engine, 'pet');
    expect(embedding).toBe('used');
    expect(texts[0]).toBe(talk[0]);
    expect(hits[0]!.why.similarity).toBeCloseTo(hits[0]!.score, 0);
    const { terms: _, ...parts } = hits[0]!.why;
    expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBeCloseTo(hits[0]!.score, 9);
  });

  test('forgets the vector of a text that was edited, or taken away', async () => {
    const engine = await open({ embedder: new Topics() });
    await session(engine);
    await embedded(engine);
    await engine.messages.edit('s', '@1', { content: 'My zither is broken.' });
    expect((await found(engine, 'puppy')).texts[0]).not.toBe('My zither is broken.');
    await engine.embeddings!.settled();
    expect(new Set((await found(engine, 'aria')).texts.slice(0, 2))).toEqual(
      new Set(['My zither is broken.', talk[4]]),
    );
    await engine.messages.truncate('s', { beforeSeq: 2 });
    expect((await found(engine, 'aria')).texts[0]).toBe(talk[4]);
  });

  test('finds little of a query that nothing is about, and recalls nothing for it', async () => {
    const place = (text: string) => Number(/item(\d+)/.exec(text)?.[1] ?? 0);
    const embed = async (texts: string[]) =>
      texts.map((text) => (text === 'quantum' ? [1, 0] : [1, 2 + ((place(text) * 0.618) % 1)]));
    const engine = await open({ embedder: { name: 'scattered', embed } });
    await session(
      engine,
      's',
      Array.from({ length: 100 }, (_, i) => `item${i} with further words in the line`),
    );
    await embedded(engine);
    const { texts, embedding } = await found(engine, 'quantum', { limit: 100 });
    expect(embedding).toBe('used');
    expect(texts.length).toBeLessThan(35);
    const window = await engine.window.build('s', { maxTokens: 400, query: 'quantum' });
    expect(window.sections.map(({ name }) => name)).not.toContain('recalled');
  });

  test('finds memories by meaning', async () => {
    const engine = await open({ embedder: new Topics() });
    for (const content of ['Has a hound.', 'Likes stew.', 'Fears hail.', 'Sings a ballad every day.'])
      await engine.memory.add({ userId: 'u', content });
    await engine.memory.search('anything', { userId: 'u' });
    await engine.embeddings!.settled();
    const { hits } = await engine.memory.search('puppy', { userId: 'u' });
    expect(hits[0]!.memory.content).toBe('Has a hound.');
  });

  test('gives the same hits with the same scores as any other store', async () => {
    const engines = [await open({ embedder: new Topics() }), await inMemory({ embedder: new Topics() })];
    const results: unknown[] = [];
    for (const engine of engines) {
      await session(engine);
      await session(engine, 't', talk.toReversed());
      await engine.messages.search('anything', { userId: 'u' });
      await engine.embeddings!.settled();
      const of = async (query: string) => {
        const { hits, embedding } = await engine.messages.search(query, { userId: 'u' });
        const shape = hits.map(({ message, sessionId, why }) => [sessionId, message.content, why]);
        return { embedding, shape };
      };
      results.push([await of('a monsoon at night'), await of('drizzle'), await of('which puppy barks')]);
    }
    expect(results[0]).toEqual(results[1]);
    expect(results[0]).toMatchObject([{ embedding: 'used' }, { embedding: 'used' }, { embedding: 'used' }]);
  });
});

onEverySharedStore('vectors of a model', (place) => {
  test('are searched until those of a new one are all there, and go then', async () => {
    const open = await place();
    const first = await open({ embedder: new Topics('old') });
    await session(first);
    await embedded(first);
    const young = new Topics('young');
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    young.hinder = (texts) => (texts.includes(talk[0]!) ? gate : undefined);
    const second = await open({ embedder: young });
    await vi.waitFor(async () => expect((await found(second, 'pet')).embedding).toBe('building'));
    expect(await found(first, 'pet')).toMatchObject({ embedding: 'used' });
    letGo();
    await second.embeddings!.settled();
    const { embedding, texts } = await found(second, 'pet');
    expect([embedding, texts[0]]).toEqual(['used', talk[0]]);
    // The old one does not fight the new one.
    expect(await found(first, 'pet')).toMatchObject({ embedding: 'off', texts: [] });
    await first.embeddings!.settled();
    expect((await found(second, 'pet')).embedding).toBe('used');
  });

  test('are made once, whoever makes them', async () => {
    const open = await place();
    const embedders = [new Topics(), new Topics(), new Topics()];
    const engines = await Promise.all(embedders.map((embedder) => open({ embedder })));
    for (let i = 0; i < 10; i++) await session(engines[i % 3]!, `s${i}`);
    await Promise.all(engines.map((engine) => engine.messages.search('anything', { userId: 'u' })));
    await Promise.all(engines.map((engine) => engine.embeddings!.settled()));
    const { embedding, texts } = await found(engines[0]!, 'pet', { sessionId: 's7' });
    expect([embedding, texts[0]]).toEqual(['used', talk[0]]);
    const made = embedders.flatMap(({ documents }) => documents).filter((text) => text !== 'hello');
    // Two may have begun with the same session.
    expect(made.length).toBeLessThan(2 * 10 * talk.length);
  });
});

test('an append asks the embedder for nothing, and a search for no more than its query', async () => {
  const embedder = new Topics();
  const engine = await on(new MemoryStore(), { embedder });
  await session(engine);
  expect(embedder.calls).toBe(0);
  await embedded(engine);
  expect(embedder.documents.filter((text) => text !== 'hello')).toEqual(talk);
  await found(engine, 'pet');
  await found(engine, 'pet');
  expect(embedder.queries.filter((text) => text === 'pet')).toHaveLength(1);
});

test('a stretch that grows has only its new messages embedded', async () => {
  const embedder = new Topics();
  const engine = await on(new MemoryStore(), { embedder });
  await session(engine);
  await embedded(engine);
  for (let i = 0; i < 40; i++) {
    await engine.messages.append('s', say(`more of the same ${i}`));
    await embedded(engine);
  }
  expect(embedder.documents.filter((text) => text.startsWith('more'))).toHaveLength(40);
  expect(embedder.documents.filter((text) => text === talk[0])).toHaveLength(1);
});

test('what says nothing, and what the system says, is not embedded; a long text is cut', async () => {
  const embedder = new Topics();
  const engine = await on(new MemoryStore(), { embedder });
  await engine.sessions.create({ id: 's', userId: 'u' });
  await engine.messages.append('s', [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: '  ' },
    { role: 'user', content: 'hound '.repeat(10_000) },
  ]);
  await embedded(engine);
  const texts = embedder.documents.filter((text) => text !== 'hello');
  expect(texts.map((text) => text.length)).toEqual([8000]);
});

test('an embedder that hangs costs a search its deadline, and soon nothing', async () => {
  const embedder = new Topics();
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const store = new MemoryStore();
  const engine = await on(store, { embedder, onError, embedding: { deadlineMs: 5 } });
  await session(engine);
  await embedded(engine);
  const words = await on(store, {});
  embedder.hinder = () => new Promise(() => undefined);
  const expected = await words.messages.search('a monsoon at night', { sessionId: 's' });
  for (let i = 0; i < 3; i++) {
    const late = await engine.messages.search(`a monsoon at night${'.'.repeat(i)}`, { sessionId: 's' });
    expect(late).toEqual({ ...expected, embedding: 'late' });
  }
  const { calls } = embedder;
  for (let i = 0; i < 5; i++) expect((await found(engine, `pet ${i}`)).embedding).toBe('failed');
  expect(embedder.calls).toBe(calls);
  expect(errors).toMatchObject([{ code: 'embedder' }]);
  embedder.hinder = () => undefined;
  await vi.waitFor(async () => expect((await found(engine, `pet ${Math.random()}`)).embedding).toBe('used'));
});

test('a search with a deadline of its own does not wait longer for its vector', async () => {
  const embedder = new Topics();
  const engine = await on(new MemoryStore(), { embedder, embedding: { deadlineMs: 60_000 } });
  await session(engine);
  await embedded(engine);
  embedder.hinder = () => new Promise(() => undefined);
  for (let i = 0; i < 5; i++)
    expect((await found(engine, `pet ${i}`, { deadlineMs: 5 })).embedding).toBe('late');
});

test('an embedder that fails is told of once, without what it said, and asked until it answers', async () => {
  const embedder = new Topics();
  const errors: Error[] = [];
  const engine = await on(new MemoryStore(), { embedder, onError: (error) => errors.push(error as Error) });
  embedder.hinder = () => Promise.reject(new TypeError('key sk-123 refused: My hound barks'));
  await session(engine);
  await found(engine, 'pet');
  await engine.embeddings!.settled();
  await vi.waitFor(() => expect(errors).toHaveLength(1));
  expect((await found(engine, 'hound')).texts[0]).toBe(talk[0]);
  expect(errors[0]).toMatchObject({ code: 'embedder', message: 'the embedder failed (TypeError)' });
  expect(errors[0]!.cause).toBeUndefined();
  embedder.hinder = () => undefined;
  await vi.waitFor(async () => expect((await found(engine, 'pet')).embedding).toBe('used'));
  expect(errors).toHaveLength(1);
});

test.each([
  ['no array of vectors', () => 'text'],
  ['1 vectors for 2 texts', (texts: string[]) => texts.slice(1).map(vectorOf)],
  ['a vector that is no array of numbers', (texts: string[]) => texts.map(() => ({}))],
  ['a vector of 3 numbers, expected 4', (texts: string[]) => texts.map(() => [1, 2, 3])],
  ['a vector with numbers that are not finite', (texts: string[]) => texts.map(() => [1, Number.NaN, 0, 0])],
])('an embedder that gives %s is told of', async (problem, embed) => {
  const errors: Error[] = [];
  const given = { name: 'bad', dimensions: 4, embed: async (texts: string[]) => embed(texts) as number[][] };
  const engine = await on(new MemoryStore(), {
    embedder: given,
    onError: (error) => errors.push(error as Error),
  });
  await session(engine, 's', talk.slice(0, 2));
  await engine.messages.search('hound', { sessionId: 's' });
  await vi.waitFor(() => expect(errors).toHaveLength(1));
  expect(errors[0]).toMatchObject({ code: 'embedder', message: `the embedder gave ${problem}` });
});

test('a text that the embedder refuses goes without a vector, and holds nothing up', async () => {
  const embedder = new Topics();
  const errors: unknown[] = [];
  embedder.hinder = (texts) => {
    if (texts.includes(talk[2]!)) throw new RangeError('too long');
  };
  const engine = await on(new MemoryStore(), { embedder, onError: (error) => errors.push(error) });
  await session(engine);
  await embedded(engine);
  expect(errors).toHaveLength(1);
  expect(new Set(embedder.documents)).toEqual(new Set([...talk.toSpliced(2, 1), 'hello']));
  expect((await found(engine, 'fugue')).texts[0]).toBe(talk[4]);
});

test('an embedder that takes texts only one by one is told of, once', async () => {
  const errors: Error[] = [];
  const embed = async (texts: string[]) => [vectorOf(texts[0]!)];
  const engine = await on(new MemoryStore(), {
    embedder: { name: 'single', embed },
    onError: (error) => errors.push(error as Error),
  });
  await session(engine);
  await embedded(engine);
  expect((await found(engine, 'fugue')).texts[0]).toBe(talk[4]);
  await session(engine, 't');
  await embedded(engine, 't');
  expect(errors).toMatchObject([
    { code: 'embedder', message: expect.stringMatching(/^the embedder gave 1 vectors for \d texts$/) },
  ]);
});

test('an engine that was closed in the middle leaves the rest to the next one', async () => {
  const store = new MemoryStore();
  const [before, after] = [new Topics(), new Topics()];
  const first = new ContextEngine(keptOpen(store), { maintenanceIntervalMs: 0, embedder: before });
  await session(first, 'a');
  await embedded(first, 'a');
  before.hinder = () => new Promise(() => undefined);
  await session(first, 'b');
  await first.messages.search('anything', { sessionId: 'b', deadlineMs: 50 });
  await first.close();
  const second = await on(store, { embedder: after });
  await embedded(second, 'a');
  expect(after.documents.filter((text) => text !== 'hello')).toEqual(talk);
  expect((await found(second, 'pet', { sessionId: 'b' })).texts[0]).toBe(talk[0]);
});

test('what an engine without an embedder has indexed gets its vectors from one that has', async () => {
  const store = new MemoryStore();
  const embedder = new Topics();
  const [plain, engine] = [await on(store, {}), await on(store, { embedder })];
  await session(plain);
  await embedded(engine);
  await plain.messages.append('s', say('The puppy sleeps.'));
  await plain.messages.edit('s', '@3', { content: 'There was sleet.' });
  await found(plain, 'puppy');
  await embedded(engine);
  expect((await found(engine, 'pet')).texts.slice(0, 2)).toContain('The puppy sleeps.');
  expect((await found(engine, 'drizzle')).texts[0]).toBe('There was sleet.');
});

test('what others have indexed is embedded when the house is kept, whether anybody searches or not', async () => {
  const store = new MemoryStore();
  const embedder = new Topics();
  const [plain, engine] = [
    await on(store, {}),
    await on(store, { embedder, maintenanceIntervalMs: 10, onError: () => undefined }),
  ];
  await session(engine, 'a');
  await embedded(engine, 'a');
  await session(plain, 'b', ['The puppy sleeps.']);
  await plain.messages.search('puppy', { sessionId: 'b' });
  await vi.waitFor(() => expect(embedder.documents).toContain('The puppy sleeps.'));
});

test('vectors of a model that was replaced are taken away', async () => {
  const store = new MemoryStore();
  const old = await on(keptOpen(store), { embedder: new Topics('old') });
  await session(old);
  await old.memory.add({ userId: 'u', content: 'Has a hound.' });
  await old.memory.search('anything', { userId: 'u' });
  await embedded(old);
  const embed = embeddings(store);
  const young = await on(store, { embedder: new Topics('young') });
  await embedded(young);
  const given = embed().map(({ collection, model, vectors }) => [collection, model, vectors.length]);
  expect(new Set(given.map((one) => JSON.stringify(one)))).toEqual(
    new Set(
      [
        ['messages', 'young/4/1', 6],
        ['memories', 'young/4/1', 1],
        ['messages', 'old/4/1', 0],
        ['memories', 'old/4/1', 0],
      ].map((one) => JSON.stringify(one)),
    ),
  );
  const [state] = await store.getRecords([{ partition: system, kind: 'embedding', id: 'embedding' }]);
  expect(JSON.parse(state!.value)).toMatchObject({ active: 'young/4/1', removing: {} });
});

test.each([MockEmbeddingModelV3, MockEmbeddingModelV4])(
  'a model of the AI SDK is an embedder: %o',
  async (Mock) => {
    const model = new Mock({
      provider: 'mock',
      modelId: 'm-1',
      maxEmbeddingsPerCall: 4,
      doEmbed: async ({ values }: { values: string[] }) => ({
        embeddings: values.map(vectorOf),
        warnings: [],
      }),
    });
    const engine = await on(new MemoryStore(), { embedder: model });
    await session(engine);
    await embedded(engine);
    expect((await found(engine, 'pet')).texts[0]).toBe(talk[0]);
    expect(Math.max(...model.doEmbedCalls.map(({ values }) => values.length))).toBe(4);
  },
);

test.each([
  [{}, 'expected an embedding model'],
  [{ embed: async () => [] }, 'needs a name'],
  [{ name: 'x', dimensions: 0, embed: async () => [] }, 'has dimensions'],
  [{ doEmbed: async () => [], provider: 'p', modelId: '\0' }, 'no name'],
])('what is no embedder is refused: %s', async (embedder, problem) => {
  const open = ContextEngine.open('memory:', { embedder: embedder as unknown as Embedder });
  await expect(open).rejects.toMatchObject({
    code: 'invalid-input',
    message: expect.stringContaining(problem),
  });
});

const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 40 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('edit' as const), at: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('pop' as const), count: fc.integer({ min: 1, max: 50 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('truncate' as const), at: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('search' as const), settle: fc.boolean() }) },
  ),
  { minLength: 1, maxLength: 12 },
);

test('every text has its vector after any history', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const store = new MemoryStore();
      const engine = await on(keptOpen(store), { embedder: new Topics() });
      await engine.sessions.create({ id: 's', userId: 'u' });
      const partition = { tenant: 'default', type: 'session', id: 's' };
      const text = () => say(`${topics[said % 4]![said % 3]} number ${said}`);
      for (const step of history) {
        const { firstSeq, lastSeq, count } = await store.readLog(partition, 'messages', { limit: 0 });
        const seq = firstSeq + (('at' in step ? step.at : 0) % Math.max(1, lastSeq - firstSeq + 1));
        if (step.do === 'append') await engine.messages.append('s', Array.from({ length: step.count }, text));
        else if (step.do === 'search') await found(engine, 'number');
        else if (count === 0) continue;
        else if (step.do === 'pop') await engine.messages.pop('s', { count: step.count });
        else if (step.do === 'truncate') await engine.messages.truncate('s', { beforeSeq: seq });
        else await engine.messages.edit('s', `@${seq}`, text()).catch(() => undefined);
        if (step.do === 'search' && step.settle) await engine.embeddings!.settled();
      }
      await embedded(engine);
      const { entries } = await store.readLog(partition, 'messages', { limit: 1000 });
      const near = { model: 'topics/4/1', values: Buffer.alloc(16).toString('base64') };
      const query = {
        tenant: 'default',
        collection: 'messages',
        within: { partition },
        terms: [],
        limit: 1000,
      };
      const { hits } = await store.searchText({ ...query, near });
      const keys = hits.flatMap(({ vectors = [] }) => vectors.map(({ key }) => key));
      expect(keys.toSorted()).toEqual(entries.map(({ seq, version }) => `${seq}.${version}`).toSorted());
    }),
    { numRuns: 50 },
  );
});

/** A store that outlives the engines that close it. */
function keptOpen(store: MemoryStore): MemoryStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'close') return async () => undefined;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
