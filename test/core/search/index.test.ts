/** How the full-text index keeps up with what is stored. */
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { TextIndexer } from '../../../src/core/search/indexer.ts';
import { PartitionIndex } from '../../../src/core/search/partition-index.ts';
import type { ChangePage, Cursor, LogPage, LogRange, Operation, Partition } from '../../../src/core/store.ts';
import { ContextEngine } from '../../../src/index.ts';
import { MemoryStore } from '../../../src/stores/memory/index.ts';

const consumer = { kind: 'consumer', id: '$search' };
const system: Partition = { tenant: '$system', type: 'system', id: 'engine' };

async function on<S extends MemoryStore>(store: S): Promise<{ store: S; engine: ContextEngine }> {
  const engine = await ContextEngine.open(store, { maintenanceIntervalMs: 0 });
  onTestFinished(() => engine.close());
  return { store, engine };
}

async function withSession(store = new MemoryStore()) {
  const made = await on(store);
  await made.engine.sessions.create({ id: 's', userId: 'u' });
  return made;
}

const say = (content: string) => ({ role: 'user' as const, content });

async function found(engine: ContextEngine, query: string, options = {}): Promise<unknown[]> {
  const { hits } = await engine.messages.search(query, { sessionId: 's', limit: 1000, ...options });
  return hits.map(({ message, score }) => [message.seq, message.content, score]);
}

test('is built anew when the journal has forgotten what the index lacks', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', [say('red'), say('green')]);
  await found(engine, 'red');
  await engine.messages.edit('s', '@1', { content: 'blue' });
  const { cursor } = await store.readChanges('newest', 0);
  await store.trimChanges(cursor);
  expect(await found(engine, 'red')).toEqual([]);
  expect((await found(engine, 'blue'))[0]).toEqual([1, 'blue', expect.any(Number)]);
});

test('does without what it can not finish by the deadline, and says how much that is', async () => {
  const store = new Gated();
  const { engine } = await withSession(store);
  await engine.messages.append('s', say('an early word'));
  await found(engine, 'word');
  await engine.messages.append('s', say('a late word'));
  store.shut();
  const partial = await engine.messages.search('word', { sessionId: 's', deadlineMs: 1 });
  expect(partial.index).toEqual({ complete: false, behind: 1 });
  expect(partial.hits.map(({ message }) => message.content)).toEqual(['an early word']);
  store.open();
  const whole = await engine.messages.search('word', { sessionId: 's' });
  expect(whole.index).toEqual({ complete: true, behind: 0 });
  expect(whole.hits).toHaveLength(2);
});

test('says so where the store holds back more than it looks at', async () => {
  const store = new HoldingBack();
  const { engine } = await withSession(store);
  await engine.messages.append('s', say('a word'));
  store.held = 9_999;
  expect((await engine.messages.search('word', { sessionId: 's' })).index.complete).toBe(true);
  store.held = 20_000;
  const { hits, index } = await engine.messages.search('word', { sessionId: 's' });
  expect(index).toEqual({ complete: false, behind: 0 });
  expect(hits).toHaveLength(1);
});

test('writes nothing while nobody searches', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', say('a word'));
  const [before] = await store.getRecords([{ partition: system, ...consumer }]);
  expect(before).toBeUndefined();
  await found(engine, 'word');
  const writes = vi.spyOn(store, 'commit');
  for (let i = 0; i < 3; i++) await engine.messages.append('s', say('another'));
  const operations = writes.mock.calls.flatMap(([batch]) => batch.operations);
  expect(operations.filter(({ op }) => op === 'index')).toEqual([]);
});

test('is built to its end by another engine where the one that began was closed', async () => {
  const store = new MemoryStore();
  const first = new ContextEngine(keptOpen(store), { maintenanceIntervalMs: 0 });
  for (let i = 0; i < 50; i++) {
    await first.sessions.create({ id: `s${i}`, userId: 'u' });
    await first.messages.append(`s${i}`, say(`a word in session ${i}`));
  }
  await found(first, 'word', { sessionId: 's7' });
  await first.close();
  const { engine } = await on(store);
  expect(await found(engine, 'word', { sessionId: undefined, userId: 'u' })).toHaveLength(50);
});

test('is not written to when nothing has happened', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', say('a word'));
  await found(engine, 'word');
  const indexer = new TextIndexer(store, { error: fail });
  for (let i = 0; i < 3; i++) await indexer.drain();
  const writes = vi.spyOn(store, 'commit');
  for (let i = 0; i < 3; i++) await indexer.drain();
  expect(writes).not.toHaveBeenCalled();
});

test('goes on where another engine has brought it', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', [say('red'), say('green')]);
  await found(engine, 'red');
  await vi.waitFor(async () => {
    const [place] = await store.getRecords([{ partition: system, ...consumer }]);
    expect(JSON.parse(place!.value)).not.toHaveProperty('building');
  });
  const writes = vi.spyOn(store, 'commit');
  const other = new ContextEngine(store, { maintenanceIntervalMs: 0 });
  expect(await found(other, 'green')).toHaveLength(2);
  expect(writes.mock.calls.flatMap(([batch]) => batch.operations).filter(isIndex)).toEqual([]);
});

test('leaves nothing of an edited or deleted text behind', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', [say('secretword one'), say('secretword two')]);
  await found(engine, 'secretword');
  await engine.messages.edit('s', '@1', { content: 'gone' });
  await engine.messages.pop('s');
  await found(engine, 'anything');
  const terms = ['secretword'];
  const within = { scope: 'u' };
  const query = { tenant: 'default', collection: 'messages', within, terms, limit: 10 };
  const { counts, hits } = await store.searchText(query);
  expect(counts).toEqual([0]);
  expect(JSON.stringify(hits)).not.toContain('secretword');
});

test('loses an edited or deleted text soon, though nobody searches', async () => {
  const { store, engine } = await withSession();
  const query = { tenant: 'default', collection: 'messages', within: { scope: 'u' }, limit: 10 };
  const texts = async () => (await store.searchText({ ...query, terms: ['secretword'] })).counts[0];
  const { messages } = engine;
  const ways = [
    (seq: number) => messages.edit('s', `@${seq}`, { content: 'gone' }),
    () => messages.pop('s'),
    (seq: number) => messages.truncate('s', { beforeSeq: seq + 1 }),
    () => messages.clear('s'),
  ];
  for (const takeAway of ways) {
    const { seq } = await messages.append('s', say('a secretword'));
    await found(engine, 'secretword');
    expect(await texts()).toBe(1);
    await takeAway(seq);
    await vi.waitFor(async () => expect(await texts()).toBe(0));
  }
});

test('is not read after an edit where nobody has searched', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', say('a word'));
  const reads = vi.spyOn(store, 'readChanges');
  await engine.messages.edit('s', '@1', { content: 'another' });
  await engine.messages.pop('s');
  expect(reads).not.toHaveBeenCalled();
});

test('shows no hit whose text is another by now', async () => {
  const store = new Gated();
  const { engine } = await withSession(store);
  await engine.messages.append('s', [say('the old word'), say('a word that stays')]);
  await found(engine, 'word');
  store.shut();
  await engine.messages.edit('s', '@1', { content: 'said no more' });
  const { hits, index } = await engine.messages.search('old word', { sessionId: 's', deadlineMs: 1 });
  expect(index.complete).toBe(false);
  expect(hits.map(({ message }) => message.content)).toEqual(['a word that stays']);
  store.open();
});

test('brings nothing back of a session that is deleted while it is indexed', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', [say('red')]);
  await found(engine, 'red');
  await engine.messages.append('s', [say('red again')]);
  const read = store.readLog.bind(store);
  vi.spyOn(store, 'readLog').mockImplementation(async (...args) => {
    const page = await read(...args);
    await engine.sessions.delete('s');
    return page;
  });
  await new PartitionIndex(store, 'build', { tenant: 'default', type: 'session', id: 's' }).update(undefined);
  vi.restoreAllMocks();
  expect(
    await store.listRecords({ tenant: 'default', type: 'session', id: 's' }, undefined, { limit: 10 }),
  ).toEqual({
    items: [],
  });
});

const long = Array.from({ length: 1500 }, (_, i) => say(i === 1499 ? 'a needle' : `a straw, number ${i}`));

async function needles(engine: ContextEngine, options = {}): Promise<number> {
  const hits = await found(engine, 'needle', options);
  return hits.filter((hit) => String(hit).includes('needle')).length;
}

test('is built to its end where the session was changed meanwhile', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', long);
  meanwhile(store, 1, () => engine.sessions.update('s', { metadata: { changed: true } }));
  expect(await needles(engine)).toBe(1);
});

test('is built to its end after a first indexing of a session that broke off', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', long);
  const participants = ['a', 'b'].map((id) => ({ id, role: 'agent' as const }));
  await engine.channels.open('s', { id: 'aside', type: 'agent_to_agent', participants });
  await engine.messages.append('s', say('another needle'), { channel: 'aside' });
  meanwhile(store, 2, () => Promise.reject(new Error('broken off')));
  await expect(needles(engine)).rejects.toThrow('broken off');
  await engine.messages.edit('s', '@3', { content: 'an edited needle' });
  const { engine: other } = await on(keptOpen(store));
  expect(await needles(other)).toBe(2);
  expect(await needles(other, { channel: 'aside' })).toBe(1);
});

test('is built to its end after a first indexing of memories that broke off', async () => {
  const { store, engine } = await on(new MemoryStore());
  const memories = Array.from({ length: 100 }, (_, i) => ({ content: `fact${i} of many`, userId: 'u' }));
  const added = [];
  for (const memory of memories) added.push(await engine.memory.add(memory));
  meanwhile(store, 1, () => Promise.reject(new Error('broken off')));
  await expect(engine.memory.search('fact1', { userId: 'u' })).rejects.toThrow('broken off');
  for (const { id } of added.slice(0, 3)) await engine.memory.delete(id);
  const { engine: other } = await on(keptOpen(store));
  for (let i = 0; i < memories.length; i++) {
    const { hits } = await other.memory.search(`fact${i}`, { userId: 'u', limit: 1 });
    expect(hits.map(({ memory }) => memory.content)).toEqual(i < 3 ? [] : [`fact${i} of many`]);
  }
});

test('is called complete by a second engine only when the first indexing has come to its end', async () => {
  const { store, engine } = await withSession();
  await engine.messages.append('s', long);
  const { engine: other } = await on(keptOpen(store));
  const second = Promise.withResolvers<unknown>();
  meanwhile(store, 2, async () => {
    const { hits, index } = await other.messages.search('needle', { sessionId: 's' });
    second.resolve([hits[0]?.message.content, index.complete]);
  });
  expect(await needles(engine)).toBe(1);
  expect(await second.promise).toEqual(['a needle', true]);
});

const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 40 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('edit' as const), at: fc.nat() }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('pop' as const), count: fc.integer({ min: 1, max: 50 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('truncate' as const), at: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('search' as const) }) },
  ),
  { minLength: 1, maxLength: 15 },
);

test('is after any history what a new building of it would be', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const { store, engine } = await withSession();
      let said = 0;
      const text = () => say(`word${said % 7} number${said++} ${said % 3 === 0 ? 'red' : 'green'}`);
      for (const step of history) {
        const { firstSeq, lastSeq, count } = await store.readLog(
          { tenant: 'default', type: 'session', id: 's' },
          'messages',
          { limit: 0 },
        );
        if (step.do === 'append') await engine.messages.append('s', Array.from({ length: step.count }, text));
        else if (step.do === 'search') await found(engine, 'red word1');
        else if (step.do === 'clear') await engine.messages.clear('s');
        else if (count === 0) continue;
        else if (step.do === 'pop') await engine.messages.pop('s', { count: step.count });
        else {
          const seq = firstSeq + (step.at % (lastSeq - firstSeq + 1));
          if (step.do === 'truncate') await engine.messages.truncate('s', { beforeSeq: seq });
          else await engine.messages.edit('s', `@${seq}`, text()).catch(() => undefined);
        }
      }
      const kept = await Promise.all(['red', 'word1 number3', 'green'].map((query) => found(engine, query)));
      const operations: Operation[] = [{ op: 'delete', ...consumer }];
      await store.commit({ partition: system, operations });
      const anew = new ContextEngine(keptOpen(store), { maintenanceIntervalMs: 0 });
      const built = await Promise.all(['red', 'word1 number3', 'green'].map((query) => found(anew, query)));
      await anew.close();
      expect(kept).toEqual(built);
    }),
    { numRuns: 60 },
  );
});

function fail(error: unknown): never {
  throw error;
}

/** A store that outlives the engine that closes it. */
function keptOpen(store: MemoryStore): MemoryStore {
  vi.spyOn(store, 'close').mockImplementationOnce(async () => undefined);
  return store;
}

/** Does something after so many commits to the index, which that commit waits for. */
function meanwhile(store: MemoryStore, commits: number, act: () => Promise<unknown>): void {
  const commit = store.commit.bind(store);
  let left = commits;
  vi.spyOn(store, 'commit').mockImplementation(async (batch) => {
    const receipt = await commit(batch);
    if (batch.operations.some(isIndex) && --left === 0) await act();
    return receipt;
  });
}

function isIndex({ op }: Operation): boolean {
  return op === 'index';
}

/** A store that holds back the last changes of many, all of another session. */
class HoldingBack extends MemoryStore {
  held = 0;

  override async readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    if (!after.startsWith('ahead')) return { ...(await super.readChanges(after, limit)), ahead: 'ahead0' };
    const first = Number(after.slice('ahead'.length));
    const next = Math.min(first + limit, this.held);
    const partition: Partition = { tenant: 'default', type: 'session', id: 'other' };
    const changes = Array.from({ length: next - first }, (_, i) => {
      return { cursor: `held${first + i}`, at: 0, partition, operations: [] };
    });
    return { changes, cursor: `ahead${next}` };
  }
}

/** A store whose logs can't be read while it is shut. */
class Gated extends MemoryStore {
  #gate: Promise<void> | undefined;
  #open: (() => void) | undefined;

  shut(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#gate = undefined;
    this.#open?.();
  }

  override async readLog(partition: Partition, log: string, range: LogRange): Promise<LogPage> {
    // Only the indexer reads a log from both ends bounded, or asks for none of it.
    const indexing = range.limit === 0 || range.limit >= 32;
    if (indexing) await this.#gate;
    return super.readLog(partition, log, range);
  }
}
