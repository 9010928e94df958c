import { expect, test } from 'vitest';
import type { ContextEngine } from '../../../src/index.ts';
import { FakeClock, inMemory, onEverySharedStore, onEveryStore } from '../../support/engines.ts';

const HOUR = 3_600_000;
const talk = [
  'We went hiking in the mountains last weekend.',
  'Nice! Which trail did you take?',
  'The one along the ridge, with the old chapel.',
  'I am learning to play the cello.',
  'How long have you been taking lessons?',
  'Since March. My teacher is called Ilse.',
  'The server fell over again: ERR_CONN_42 in src/core/engine.ts.',
  'Restart it, then look at the logs.',
  'My sister adopted two children from Peru.',
  'Congratulations to her!',
];

function messages(texts: readonly string[] = talk) {
  return texts.map((content, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content,
    createdAt: 1_700_000_000_000 + i * HOUR * (i > 5 ? 30 : 0.01),
  }));
}

async function session(engine: ContextEngine, id = 's', userId = 'u', texts = talk): Promise<void> {
  await engine.sessions.create({ id, userId });
  await engine.messages.append(id, messages(texts));
}

async function found(engine: ContextEngine, query: string, options: object = { sessionId: 's' }) {
  const { hits, index } = await engine.messages.search(query, options);
  expect(index).toEqual({ complete: true, behind: 0 });
  return hits.map(({ message }) => message.content);
}

onEveryStore('searching messages', (open) => {
  test('finds a message by other forms of its words', async () => {
    const engine = await open();
    await session(engine);
    expect((await found(engine, 'Who adopts a child?'))[0]).toBe(talk[8]);
    expect((await found(engine, 'hike mountain'))[0]).toBe(talk[0]);
    expect((await found(engine, 'ERR_CONN_42'))[0]).toBe(talk[6]);
    expect((await found(engine, 'engine.ts'))[0]).toBe(talk[6]);
    expect(await found(engine, 'zeppelin')).toEqual([]);
  });

  test('finds an answer by the question that was asked before it', async () => {
    const engine = await open();
    await session(engine);
    expect((await found(engine, 'since when does the user take cello lessons')).slice(0, 2)).toContain(
      talk[5],
    );
  });

  test('gives the same hits with the same scores as any other store', async () => {
    const [engine, reference] = [await open(), await inMemory()];
    for (const one of [engine, reference]) {
      await session(one);
      await session(one, 't', 'u', talk.toReversed());
      await session(one, 'x', 'other');
    }
    for (const options of [{ sessionId: 's' }, { userId: 'u' }, { userId: 'u', roles: ['user' as const] }]) {
      for (const query of [
        'cello teacher',
        'When did we go hiking?',
        'the server in March',
        'what did I say',
      ]) {
        const hits = await engine.messages.search(query, options);
        const expected = await reference.messages.search(query, options);
        const shape = ({ message, sessionId, score, why }: (typeof hits.hits)[number]) => {
          return { sessionId, seq: message.seq, content: message.content, score, why };
        };
        expect(hits.hits.map(shape)).toEqual(expected.hits.map(shape));
      }
    }
  });

  test('finds what was appended, as it was edited, and nothing that was taken away', async () => {
    const engine = await open();
    await session(engine);
    expect(await found(engine, 'zeppelin')).toEqual([]);
    const { id } = await engine.messages.append('s', { role: 'user', content: 'A zeppelin flew by.' });
    expect(await found(engine, 'zeppelin')).toEqual(['A zeppelin flew by.']);
    await engine.messages.edit('s', id, { content: 'A balloon flew by.' });
    expect(await found(engine, 'zeppelin')).toEqual([]);
    expect((await found(engine, 'balloon'))[0]).toBe('A balloon flew by.');
    await engine.messages.pop('s');
    expect(await found(engine, 'balloon')).toEqual([]);
    await engine.messages.truncate('s', { beforeSeq: 5 });
    expect(await found(engine, 'chapel ridge')).toEqual([]);
    expect((await found(engine, 'adopted'))[0]).toBe(talk[8]);
    await engine.messages.clear('s');
    expect(await found(engine, 'adopted')).toEqual([]);
  });

  test('searches all sessions of a user, and nothing of another user or tenant', async () => {
    const engine = await open();
    await session(engine, 'a', 'u', ['I like red apples.']);
    await session(engine, 'b', 'u', ['I like green apples.']);
    await session(engine, 'c', 'v', ['I like blue apples.']);
    await session(engine.tenant('other'), 'a', 'u', ['I like black apples.']);
    expect(new Set(await found(engine, 'apples', { userId: 'u' }))).toEqual(
      new Set(['I like red apples.', 'I like green apples.']),
    );
    expect(await found(engine, 'apples', { sessionId: 'c' })).toEqual(['I like blue apples.']);
    expect(await found(engine.tenant('other'), 'apples', { userId: 'u' })).toEqual(['I like black apples.']);
    await engine.sessions.delete('a');
    expect(await found(engine, 'apples', { userId: 'u' })).toEqual(['I like green apples.']);
    expect(await found(engine, 'apples', { userId: 'nobody' })).toEqual([]);
  });

  test("scores alike whatever another user's messages are", async () => {
    const engine = await open();
    await session(engine);
    const before = await engine.messages.search('cello lessons', { userId: 'u' });
    await session(
      engine,
      'crowd',
      'v',
      Array.from({ length: 300 }, (_, i) => `cello lessons number ${i}`),
    );
    await engine.messages.search('cello', { userId: 'v' });
    expect(await engine.messages.search('cello lessons', { userId: 'u' })).toEqual(before);
  });

  test('searches a channel where it is asked to', async () => {
    const engine = await open();
    await session(engine);
    const participants = [
      { id: 'planner', role: 'agent' as const },
      { id: 'coder', role: 'agent' as const },
    ];
    await engine.channels.open('s', { id: 'work', type: 'agent_to_agent', participants });
    await engine.messages.append('s', { role: 'user', content: 'The cello is broken.' }, { channel: 'work' });
    expect(await found(engine, 'cello', { sessionId: 's', channel: 'work' })).toEqual([
      'The cello is broken.',
    ]);
    expect(await found(engine, 'cello')).not.toContain('The cello is broken.');
  });

  test('keeps to roles and times', async () => {
    const engine = await open();
    await session(engine);
    expect(await found(engine, 'lessons', { sessionId: 's', roles: ['user'] })).toContain(talk[4]);
    expect(await found(engine, 'lessons', { sessionId: 's', roles: ['tool'] })).toEqual([]);
    const after = messages()[6]!.createdAt;
    const hits = await engine.messages.search('cello sister logs', { sessionId: 's', after });
    expect(hits.hits.length).toBeGreaterThan(0);
    for (const { message } of hits.hits) expect(message.createdAt).toBeGreaterThan(after);
  });

  test('finds what a filter lets through, however much else matches as well', async () => {
    const engine = await open();
    await engine.sessions.create({ id: 's', userId: 'u' });
    const start = 1_700_000_000_000;
    for (let block = 0; block < 8; block++) {
      const items = Array.from({ length: 1000 }, (_, i) => ({
        role: block === 0 && i === 40 ? ('assistant' as const) : ('user' as const),
        content: `The budget has item ${block * 1000 + i}.`,
        createdAt: start + (block * 1000 + i) * 60_000,
      }));
      await engine.messages.append('s', items);
    }
    const early = await found(engine, 'budget', { sessionId: 's', before: start + 100 * 60_000, limit: 200 });
    expect(early).toHaveLength(100);
    const told = await found(engine, 'budget', { userId: 'u', roles: ['assistant'] });
    expect(told).toEqual(['The budget has item 40.']);
  });

  test('finds what a fork took over, and what it has of its own', async () => {
    const engine = await open();
    await session(engine);
    await found(engine, 'cello');
    await engine.sessions.fork('s', { id: 'f', atSeq: 4 });
    await engine.messages.append('f', { role: 'user', content: 'I sold the cello.' });
    const inFork = await found(engine, 'cello', { sessionId: 'f' });
    expect(inFork).toContain('I sold the cello.');
    expect(inFork).toContain(talk[3]);
    expect(inFork).not.toContain(talk[5]);
  });

  test('indexes what was there before the first search, and goes on in the background', async () => {
    const engine = await open();
    for (let i = 0; i < 40; i++)
      await session(engine, `s${i}`, `u${i % 3}`, [`The number is ${i}.`, 'Indeed.']);
    expect(await found(engine, 'number 7', { sessionId: 's7' })).toContain('The number is 7.');
    const all = await engine.messages.search('number', { userId: 'u1', limit: 100 });
    expect(all.index.complete).toBe(true);
    expect(all.hits.filter(({ message }) => message.role === 'user')).toHaveLength(13);
  });

  test('explains the score of a hit as a sum', async () => {
    const engine = await open();
    await session(engine);
    const { hits } = await engine.messages.search('When did I go hiking in the mountains?', {
      sessionId: 's',
    });
    const { score, why } = hits[0]!;
    const { terms, ...parts } = why;
    const sum = Object.values(parts).reduce((total, part) => total + part, 0);
    expect(sum).toBeCloseTo(score, 9);
    expect(Object.keys(terms)).toEqual(expect.arrayContaining(['hike', 'mountain']));
    expect(Object.values(terms).reduce((total, part) => total + part, 0)).toBeCloseTo(why.words, 9);
  });

  test('refuses a search that is badly made, and one of a session that is not there', async () => {
    const engine = await open();
    await expect(engine.messages.search('x', {})).rejects.toMatchObject({ code: 'invalid-input' });
    await expect(engine.messages.search('x', { sessionId: 's', userId: 'u' })).rejects.toMatchObject({
      code: 'invalid-input',
    });
    await expect(engine.messages.search('x', { sessionId: 's' })).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

onEverySharedStore('an index that several use', (place) => {
  test('takes in what another process has written and indexed', async () => {
    const open = await place();
    const [one, two] = [await open(), await open()];
    await session(one);
    expect((await found(one, 'cello'))[0]).toBe(talk[3]);
    expect((await found(two, 'cello'))[0]).toBe(talk[3]);
    await two.messages.append('s', { role: 'user', content: 'A zeppelin flew by.' });
    expect(await found(one, 'zeppelin')).toEqual(['A zeppelin flew by.']);
    expect(await found(two, 'zeppelin')).toEqual(['A zeppelin flew by.']);
  });

  test('is right when several index one session at the same time', async () => {
    const open = await place();
    const engines = [await open(), await open(), await open()];
    await session(engines[0]!);
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        engines.map(async (engine, i) => {
          const content = `round${round} engine${i}`;
          const { id } = await engine.messages.append('s', { role: 'user', content });
          await engine.messages.edit('s', id, { content: `${content} edited` });
          expect(await found(engine, `round${round} engine${i}`)).toContain(`${content} edited`);
        }),
      );
    }
    for (const engine of engines) {
      const hits = await found(engine, 'edited', { sessionId: 's', limit: 100 });
      expect(hits.filter((content) => (content as string).endsWith('edited'))).toHaveLength(15);
    }
  });

  test('is still there when the store is opened again', async () => {
    const open = await place();
    const first = await open();
    await session(first);
    await found(first, 'cello');
    await first.close();
    const second = await open();
    await second.messages.append('s', { role: 'user', content: 'The cello is mended.' });
    expect(await found(second, 'cello')).toEqual(expect.arrayContaining(['The cello is mended.', talk[3]]));
  });
});

test('finds first what was said at the time that the question names by its distance from today', async () => {
  const clock = new FakeClock();
  const engine = await inMemory({ clock });
  await engine.sessions.create({ id: 's', userId: 'u' });
  const ages = [60, 30, 14, 7, 1, 0];
  const lunches = ages.map((days) => ({
    role: 'user' as const,
    content: `Lunch, ${days} days before.`,
    createdAt: clock.now() - days * 24 * HOUR,
  }));
  await engine.messages.append('s', lunches);
  for (const [when, days] of [
    ['yesterday', 1],
    ['two weeks ago', 14],
    ['today', 0],
  ] as const) {
    const { hits } = await engine.messages.search(`lunch ${when}`, { sessionId: 's' });
    expect([when, hits[0]!.message.content]).toEqual([when, `Lunch, ${days} days before.`]);
    expect(hits.filter(({ why }) => why.period! > 0)).toHaveLength(1);
  }
});

test('of memories that match alike, the younger one comes first', async () => {
  const clock = new FakeClock();
  const engine = await inMemory({ clock });
  await engine.memory.add({ content: 'Mara asked for a quiet table.', userId: 'u' });
  clock.forward(90 * 24 * HOUR);
  await engine.memory.add({ content: 'Mara wrote about a quiet room.', userId: 'u' });
  const { hits } = await engine.memory.search('quiet', { userId: 'u' });
  expect(hits.map(({ memory }) => memory.content)[0]).toBe('Mara wrote about a quiet room.');
  expect(hits[0]!.why.recency).toBeGreaterThan(2 * hits[1]!.why.recency!);
});

test('a query without a word that tells something goes by the other signs, of equals the newest first', async () => {
  const engine = await inMemory();
  await engine.sessions.create({ id: 's', userId: 'u' });
  const on = (month: number, day: number, content: string) => {
    return { role: 'user' as const, content, createdAt: Date.UTC(2024, month, day) };
  };
  await engine.messages.append('s', [on(4, 2, 'Tulips.'), on(7, 3, 'Asters.'), on(9, 4, 'Dahlias.')]);
  expect((await found(engine, 'in May'))[0]).toBe('Tulips.');
  for (const query of ['', '*', 'who are you?'])
    expect(await found(engine, query)).toEqual(['Dahlias.', 'Asters.', 'Tulips.']);
  const { recall, sections } = await engine.window.build('s', { maxTokens: 100, query: 'who are you?' });
  expect([recall, sections.some(({ name }) => name === 'recalled')]).toEqual([undefined, false]);
});
