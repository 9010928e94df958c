import { expect, test } from 'vitest';
import { ConflictError, InvalidInputError, NotFoundError } from '../../../src/index.ts';
import { newSession, onEverySharedStore, onEveryStore } from '../../support/engines.ts';

const user = (content: string) => ({ role: 'user', content });
const told = (messages: readonly { content: unknown }[]) => messages.map(({ content }) => content);

onEveryStore('messages', (open) => {
  test('are appended one by one or many at once, and given back in order', async () => {
    const engine = await open();
    await newSession(engine);
    const one = await engine.messages.append('s', { ...user('one'), metadata: { a: 1 }, createdAt: 5 });
    expect(one).toMatchObject({ id: '@1', seq: 1, role: 'user', content: 'one', createdAt: 5 });
    const [two, three] = await engine.messages.append('s', [user('two'), { ...user('three'), id: 'own' }]);
    expect([two!.seq, two!.id, three!.seq, three!.id]).toEqual([2, '@2', 3, 'own']);
    expect(await engine.messages.append('s', [])).toEqual([]);
    expect(told(await engine.messages.list('s'))).toEqual(['one', 'two', 'three']);
    expect(await engine.messages.get('s', '@1')).toMatchObject({ metadata: { a: 1 }, createdAt: 5 });
    expect((await engine.messages.get('s', 'own')).seq).toBe(3);
    await expect(engine.messages.get('s', '@3')).rejects.toThrow(NotFoundError);
  });

  test('with an id of their own are appended once, however often and concurrently they are handed in', async () => {
    const engine = await open();
    await newSession(engine);
    const again = () =>
      engine.messages.append('s', [
        { ...user('a'), id: 'a' },
        { ...user('b'), id: 'b' },
      ]);
    const answers = await Promise.all([again(), again(), again()]);
    for (const answer of answers)
      expect(answer.map(({ id, seq }) => [id, seq])).toEqual([
        ['a', 1],
        ['b', 2],
      ]);
    const mixed = await engine.messages.append('s', [
      { ...user('a'), id: 'a' },
      { ...user('c'), id: 'c' },
    ]);
    expect(mixed.map(({ seq }) => seq)).toEqual([1, 3]);
    expect(await engine.messages.list('s')).toHaveLength(3);
  });

  test('with an id that another message has are refused, and none of their batch is written', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', { ...user('a'), id: 'a' });
    const other = [user('new'), { ...user('other text'), id: 'a' }];
    await expect(engine.messages.append('s', other)).rejects.toThrow(ConflictError);
    const twice = ['c', 'd'].map((text) => ({ ...user(text), id: 'c' }));
    await expect(engine.messages.append('s', twice)).rejects.toThrow(
      'messages[1].id: is that of a message before it',
    );
    expect(told(await engine.messages.list('s'))).toEqual(['a']);
  });

  test('handed in as a whole history are appended only where it is new', async () => {
    const engine = await open();
    await newSession(engine);
    const history = Array.from({ length: 1200 }, (_, i) => user(`${i}`));
    expect(await engine.messages.append('s', history.slice(0, 1000), { history: true })).toHaveLength(1000);
    expect(told(await engine.messages.append('s', history, { history: true }))).toEqual(
      told(history.slice(1000)),
    );
    expect(await engine.messages.append('s', history, { history: true })).toEqual([]);
    expect(await engine.messages.append('s', history.slice(0, 3), { history: true })).toEqual([]);
    const differing = history.with(7, user('other'));
    const refused = engine.messages.append('s', differing, { history: true });
    await expect(refused).rejects.toThrow(ConflictError);
    await expect(refused).rejects.toMatchObject({ details: { index: 7, seq: 8 } });
    expect((await engine.sessions.get('s')).messageCount).toBe(1200);
  });

  test('of a history that several writers hand in at once are appended once', async () => {
    const engine = await open();
    await newSession(engine);
    const history = Array.from({ length: 20 }, (_, i) => user(`${i}`));
    await Promise.all(
      [5, 20, 12, 20, 1].map((length) =>
        engine.messages.append('s', history.slice(0, length), { history: true }),
      ),
    );
    expect(told(await engine.messages.list('s'))).toEqual(told(history));
  });

  test('are all checked: every problem of each is told, and nothing is written', async () => {
    const engine = await open();
    await newSession(engine);
    const bad = [
      user('fine'),
      { role: 'owner', content: 5 },
      { ...user('x'), pinned: 'yes' as unknown as boolean, metadata: { n: 1n } },
    ];
    const error = await engine.messages.append('s', bad).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidInputError);
    expect((error as InvalidInputError).issues.map(({ path }) => path).toSorted()).toEqual([
      'messages[1].content',
      'messages[1].role',
      'messages[2].metadata.n',
      'messages[2].pinned',
    ]);
    const loop: unknown[] = [];
    loop.push(loop);
    const unstorable = engine.messages.append('s', [
      { ...user(''), content: [{ type: 'custom', loop }] },
      user('fine'),
      { ...user(''), content: [{ type: 'custom', f: () => 1 }] },
    ]);
    await expect(unstorable).rejects.toMatchObject({
      issues: [{ path: expect.stringContaining('messages[0].') }, { path: 'messages[2].content[0].f' }],
    });
    expect(await engine.messages.list('s')).toEqual([]);
  });

  test('may have 4 MiB, and no more', async () => {
    const engine = await open();
    await newSession(engine);
    const large = 'word '.repeat((4 * 1024 * 1024 - 100) / 5);
    await engine.messages.append('s', user(large));
    expect((await engine.messages.get('s', '@1')).content).toBe(large);
    const larger = engine.messages.append('s', [user('small'), user(`${large}${' '.repeat(100)}`)]);
    await expect(larger).rejects.toThrow(/messages\[1\]: has 41\d+ bytes, the limit is 4194304/);
    expect((await engine.sessions.get('s')).messageCount).toBe(1);
  });

  test('go nowhere without a session or a channel, and the error says what is missing', async () => {
    const engine = await open();
    await expect(engine.messages.append('s', user('x'))).rejects.toMatchObject({
      code: 'not-found',
      details: { what: 'session', id: 's' },
    });
    await newSession(engine);
    await expect(engine.messages.append('s', user('x'), { channel: 'c' })).rejects.toMatchObject({
      code: 'not-found',
      details: { what: 'channel', id: 'c' },
    });
    await expect(engine.messages.list('t')).rejects.toThrow(NotFoundError);
    await engine.messages.append('s', user('y'));
  });

  test('are listed around a place, given by seq or id, in chronological order', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append(
      's',
      Array.from({ length: 60 }, (_, i) => ({ ...user(`${i + 1}`), ...(i % 2 && { id: `m${i + 1}` }) })),
    );
    const list = async (options: object) => (await engine.messages.list('s', options)).map(({ seq }) => seq);
    const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    expect(await list({})).toEqual(range(11, 60));
    expect(await list({ limit: 3 })).toEqual([58, 59, 60]);
    expect(await list({ before: 11, limit: 2 })).toEqual([9, 10]);
    expect(await list({ before: 'm20', limit: 2 })).toEqual([18, 19]);
    expect(await list({ before: '@21', limit: 2 })).toEqual([19, 20]);
    expect(await list({ after: 'm58' })).toEqual([59, 60]);
    expect(await list({ after: 0, limit: 2 })).toEqual([1, 2]);
    expect(await list({ after: 10, before: 14 })).toEqual([11, 12, 13]);
    expect(await list({ after: 60 })).toEqual([]);
    await expect(list({ before: 'none' })).rejects.toThrow(NotFoundError);
    await expect(list({ limit: 0 })).rejects.toThrow(InvalidInputError);
  });

  test('of any format are read in any format', async () => {
    const engine = await open();
    await newSession(engine);
    const openai = [
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a": 1}' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: 'done', odd: true },
    ];
    await engine.messages.append('s', openai);
    expect(await engine.messages.list('s', { as: 'openai' })).toEqual(openai);
    expect(await engine.messages.list('s', { as: 'ai-sdk' })).toMatchObject([
      { role: 'assistant', content: [{ type: 'tool-call', toolName: 'f', input: { a: 1 } }] },
      { role: 'tool', content: [{ type: 'tool-result', toolName: 'f' }] },
    ]);
  });

  test('are edited in place: counted anew, found by their new mark, without what their old format said', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', [
      { ...user('first'), id: 'm', odd: 1, priority: 'high' },
      ...Array.from({ length: 200 }, (_, i) => user(`filler number ${i}`)),
    ]);
    const before = await engine.messages.get('s', 'm');
    const edited = await engine.messages.edit('s', 'm', {
      content: 'a much longer text than before',
      pinned: true,
      priority: null,
      metadata: { why: 'typo' },
    });
    expect(edited).toMatchObject({ id: 'm', seq: 1, pinned: true, metadata: { why: 'typo' } });
    expect(edited.tokens).toBeGreaterThan(before.tokens!);
    expect(edited.priority).toBeUndefined();
    expect((await engine.messages.list('s', { as: 'openai', after: 0, limit: 1 }))[0]).toEqual({
      role: 'user',
      content: 'a much longer text than before',
    });
    const pinned = async () =>
      (await engine.window.build('s', { maxTokens: 200 })).sections.find(({ name }) => name === 'pinned');
    expect((await pinned())?.items).toMatchObject([{ id: 'm', tokens: edited.tokens }]);
    await engine.messages.edit('s', 'm', { pinned: false });
    expect(await pinned()).toBeUndefined();
    await expect(engine.messages.edit('s', 'm', { role: 'user' } as object)).rejects.toThrow(
      /role: can't be/,
    );
    await expect(engine.messages.edit('s', 'm', { content: 5 })).rejects.toThrow(InvalidInputError);
    await expect(engine.messages.edit('s', 'x', { content: 'a' })).rejects.toThrow(NotFoundError);
  });

  test('of a tool still answer their call when their text is edited', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', [
      {
        role: 'assistant',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: 'secret' },
    ]);
    await engine.messages.edit('s', '@2', { content: 'redacted' });
    expect((await engine.messages.list('s', { as: 'openai' }))[1]).toEqual({
      role: 'tool',
      tool_call_id: 'c',
      content: 'redacted',
    });
  });

  test('are popped from the end, never one that was appended meanwhile without being given back', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', [user('a'), user('b'), user('c')]);
    expect(told(await engine.messages.pop('s', { count: 2 }))).toEqual(['b', 'c']);
    expect(told(await engine.messages.pop('s', { count: 9 }))).toEqual(['a']);
    expect(await engine.messages.pop('s')).toEqual([]);
    const appended = Array.from({ length: 30 }, (_, i) => engine.messages.append('s', user(`${i}`)));
    const popped = Array.from({ length: 20 }, () => engine.messages.pop('s'));
    const gone = told((await Promise.all(popped)).flat());
    await Promise.all(appended);
    const left = told(await engine.messages.list('s'));
    expect(new Set([...gone, ...left]).size).toBe(30);
    expect(gone.length + left.length).toBe(30);
    const seqs = (await engine.messages.list('s')).map(({ seq }) => seq);
    expect(Math.min(...seqs, 99)).toBeGreaterThan(3);
  });

  test('are truncated from both ends and cleared; seqs are never given out again', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append(
      's',
      Array.from({ length: 10 }, (_, i) => user(`${i + 1}`)),
    );
    expect(await engine.messages.truncate('s', { beforeSeq: 3, afterSeq: 8 })).toBe(4);
    expect(told(await engine.messages.list('s'))).toEqual(['3', '4', '5', '6', '7', '8']);
    expect(await engine.messages.clear('s')).toBe(6);
    expect(await engine.messages.clear('s')).toBe(0);
    expect((await engine.messages.append('s', user('next'))).seq).toBe(11);
    await expect(engine.messages.truncate('s', {})).rejects.toThrow(InvalidInputError);
  });
});

onEverySharedStore('counts of messages', (place) => {
  test('messages are counted in the background, and the counts survive', async () => {
    const open = await place();
    const texts: string[] = [];
    const tokenCounter = {
      name: 'watched',
      count: (text: string) => {
        texts.push(text);
        return text.length;
      },
    };
    const engine = await open({ tokenCounter });
    await newSession(engine);
    await engine.messages.append('s', [user('one'), user('two')]);
    await engine.messages.settled();
    expect(texts).toEqual(['one', 'two']);
    await engine.close();
    const again = await open({ tokenCounter });
    expect((await again.messages.list('s')).map(({ tokens }) => tokens)).toEqual([7, 7]);
    await again.window.build('s', { maxTokens: 100 });
    expect(texts).toEqual(['one', 'two']);
  });
});

onEverySharedStore('messages from several processes', (place) => {
  test('a history handed in by two processes at once is appended once', async () => {
    const open = await place();
    const [a, b] = [await open(), await open()];
    await newSession(a);
    const history = Array.from({ length: 30 }, (_, i) => user(`${i}`));
    await Promise.all([a, b, a, b].map((engine) => engine.messages.append('s', history, { history: true })));
    expect(told(await b.messages.list('s'))).toEqual(told(history));
  });
});
