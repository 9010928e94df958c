import { expect, test } from 'vitest';
import type { EngineEvent } from '../../../src/index.ts';
import { ClosedError, ConflictError, InvalidInputError, NotFoundError } from '../../../src/index.ts';
import { FakeClock, newSession, onEveryStore } from '../../support/engines.ts';

const data = (task: { history: readonly { data: unknown }[] }) => task.history.map((update) => update.data);

onEveryStore('tasks', (open) => {
  test('belong to the session that their chat is, and its user, where there is one', async () => {
    const engine = await open();
    await newSession(engine, 'chat');
    await using linked = await engine.tasks.open({
      chatId: 'chat',
      metadata: { a: 1 },
      aiPreference: 'fast',
    });
    await using named = await engine.session('chat').tasks.open({ userId: 'bob' });
    await using free = await engine.tasks.open({ chatId: 'elsewhere' });
    expect(linked).toMatchObject({
      sessionId: 'chat',
      userId: 'u',
      metadata: { a: 1, aiPreference: 'fast' },
    });
    expect(named).toMatchObject({ sessionId: 'chat', chatId: 'chat', userId: 'bob' });
    expect(free).toMatchObject({ sessionId: undefined, chatId: 'elsewhere', userId: 'anonymous' });
    await expect(engine.tasks.open({ sessionId: 'nowhere' })).rejects.toThrow(NotFoundError);
    await expect(engine.tasks.open({ usrId: 'x', maxSize: -1 } as never)).rejects.toThrow(InvalidInputError);
  });

  test('are found by id, listed by session, chat and user, and say how they ended', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    await newSession(engine);
    await engine.tasks.run({ id: 'one', chatId: 's' }, async (task) => {
      task.addUpdate('message', 1);
      clock.forward(1000);
    });
    const bad = engine.tasks.run({ id: 'two', chatId: 's', userId: 'bob' }, () =>
      Promise.reject(new Error('no')),
    );
    await expect(bad).rejects.toThrow('no');
    clock.forward(1);
    await using three = await engine.tasks.open({ id: 'three', chatId: 'else', userId: 'bob' });
    const ids = async (options: object) => (await engine.tasks.list(options)).tasks.map(({ id }) => id);
    expect(await ids({ sessionId: 's' })).toEqual(['two', 'one']);
    expect(await ids({ userId: 'bob' })).toEqual(['three', 'two']);
    expect(await ids({ chatId: 'else' })).toEqual(['three']);
    expect(await ids({})).toEqual(['three', 'two', 'one']);
    const first = await engine.tasks.list({ limit: 2 });
    expect((await engine.tasks.list({ limit: 2, after: first.next! })).tasks).toMatchObject([{ id: 'one' }]);
    const { tasks } = await engine.session('s').tasks.list();
    expect(tasks).toMatchObject([
      { status: 'failed', updates: 1 },
      { status: 'completed', updates: 1, durationMs: 1000, usage: { calls: 0 } },
    ]);
    expect((await engine.tasks.list({ userId: 'bob', limit: 1 })).tasks).toMatchObject([{ status: 'open' }]);
    await expect(engine.tasks.list({ userId: 'a', chatId: 'b' })).rejects.toThrow(/one of/);
    expect((await engine.tasks.get('two')).toJSON()).toMatchObject({ failed: true });
    expect((await engine.tasks.get('two')).closed).toBe(true);
    await expect(engine.tasks.get('four')).rejects.toThrow(NotFoundError);
    expect(three.closed).toBe(false);
  });

  test('have every acknowledged update when they are opened again, in order', async () => {
    const engine = await open();
    await newSession(engine);
    const task = await engine.tasks.open({ id: 't', chatId: 's', userId: 'ada' });
    const all = Array.from({ length: 2500 }, (_, i) =>
      task.addUpdate('message', i, i === 0 ? { first: true } : {}),
    );
    await Promise.all(all);
    task.trackFile('a.ts', 'edit');
    await task.trackModel('m', 'acme', 'chat', { inputTokens: 5 });
    await using again = await engine.tasks.open({ id: 't', metadata: { more: 1 } });
    expect(data(again).slice(0, 2500)).toEqual(Array.from({ length: 2500 }, (_, i) => i));
    expect(again.history[0]).toEqual(task.history[0]);
    expect(again).toMatchObject({ userId: 'ada', chatId: 's', metadata: { more: 1 } });
    expect(again.fileTracker).toEqual(task.fileTracker);
    expect(again.models).toEqual(task.models);
    expect(again.usage).toEqual(task.usage);
    await expect(engine.tasks.open({ id: 't', userId: 'eve' })).rejects.toThrow(ConflictError);
  });

  test('are made once, however many open them at the same time', async () => {
    const engine = await open();
    await newSession(engine);
    for (const chatId of ['s', 'none']) {
      const id = `of-${chatId}`;
      const opened = await Promise.all(Array.from({ length: 8 }, () => engine.tasks.open({ id, chatId })));
      await Promise.all(opened.map((task, i) => task.addUpdate('message', i)));
      expect((await engine.tasks.list({ chatId })).tasks).toMatchObject([{ id, updates: 8 }]);
      expect([...data(await engine.tasks.get(id))].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    }
  });

  test('go on after their end where they are opened again, but are only looked at by get', async () => {
    const engine = await open();
    await engine.tasks.run({ id: 't' }, (task) => void task.addUpdate('message', 1));
    await engine.tasks.run({ id: 't' }, (task) => void task.addUpdate('message', 2));
    expect(data(await engine.tasks.get('t'))).toEqual([1, 2]);
    await using task = await engine.tasks.open({ id: 't' });
    const seen = await engine.tasks.get('t');
    await seen.addUpdate('message', 3);
    await seen.close();
    expect((await engine.tasks.list({})).tasks).toMatchObject([{ status: 'open', updates: 3 }]);
    expect(task.closed).toBe(false);
  });

  test('keep in their history only what an optimization has left, and in the timeline all', async () => {
    const engine = await open();
    await newSession(engine);
    await using other = await engine.tasks.open({ id: 'other', chatId: 's' });
    const task = await engine.tasks.open({ id: 't', chatId: 's' });
    task.trackFile('gone.ts', 'read');
    for (let i = 0; i < 40; i++) {
      await task.addUpdate('message', `update ${i % 10}`);
      if (i % 7 === 0) await other.addUpdate('message', i);
    }
    task.trackModel('m', 'acme', 'chat', { inputTokens: 3 });
    expect(task.optimize(45)).toBe(true);
    await task.addUpdate('message', 'last');
    await task.save();
    const left = data(task);
    expect(left.length).toBeLessThan(10);
    const loaded = await engine.tasks.get('t');
    expect(data(loaded)).toEqual(left);
    expect(loaded.fileTracker).toHaveProperty(['gone.ts']);
    expect(loaded.models).toMatchObject([{ modelId: 'm' }]);
    expect(loaded.usage.inputTokens).toBe(3);
    // And once more, from what was loaded.
    await using again = await engine.tasks.open({ id: 't' });
    again.truncate(0);
    await again.addUpdate('message', 'anew');
    await again.save();
    expect(data(await engine.tasks.get('t'))).toEqual(['anew']);
    expect(data(await engine.tasks.get('other'))).toHaveLength(6);
    const { items } = await engine.tasks.timeline('s', { limit: 1000 });
    expect(items).toHaveLength(1 + 40 + 6 + 1 + 1 + 1);
  });

  test('sum up what models have used: by task, session, user and model, exactly', async () => {
    const engine = await open();
    await newSession(engine, 's1');
    await newSession(engine, 's2');
    const use = (id: string, chatId: string, userId: string) =>
      engine.tasks.run({ id, chatId, userId }, async (task) => {
        const usage = { inputTokens: 100, cachedTokens: 60, outputTokens: 7, cost: 0.1 };
        await Promise.all([1, 2, 3].map(() => task.trackModel('m', 'acme', 'chat', usage)));
        await task.trackModel('n', '12:', 'chat', { cost: 1e-9 });
      });
    await Promise.all([
      use('a', 's1', 'ada'),
      use('b', 's1', 'bob'),
      use('c', 's2', 'ada'),
      use('d', 'x', 'ada'),
    ]);
    const once = { calls: 4, inputTokens: 300, cachedTokens: 180, outputTokens: 21, cost: 0.300000001 };
    expect(await engine.tasks.usage({ taskId: 'a' })).toMatchObject(once);
    expect(await engine.session('s1').tasks.usage()).toMatchObject({
      calls: 8,
      inputTokens: 600,
      cost: 0.600000002,
    });
    const { models, ...user } = await engine.tasks.usage({ userId: 'ada' });
    expect(user).toMatchObject({ calls: 12, cost: 0.900000003 });
    expect(models).toMatchObject([
      { modelId: 'm', providerId: 'acme', calls: 9 },
      { modelId: 'n', providerId: '12:', calls: 3 },
    ]);
    expect(await engine.tasks.usage({ userId: 'nobody' })).toMatchObject({ calls: 0, models: [] });
    await expect(engine.tasks.usage({ taskId: 'nothing' })).rejects.toThrow(NotFoundError);
    await expect(engine.tasks.usage({ sessionId: 'nowhere' })).rejects.toThrow(NotFoundError);
    expect(await engine.tasks.usage({ modelId: 'm' })).toMatchObject({
      calls: 12,
      cost: 1.2,
      models: [{ modelId: 'm', providerId: 'acme' }],
    });
    expect(await engine.tasks.usage({ modelId: 'n', providerId: '12:' })).toMatchObject({ calls: 4 });
    expect(await engine.tasks.usage({ modelId: 'm', providerId: 'else' })).toMatchObject({
      calls: 0,
      models: [],
    });
    for (const of of [{}, { providerId: 'acme' }, { userId: 'ada', modelId: 'm' }])
      await expect(engine.tasks.usage(of as never)).rejects.toThrow(InvalidInputError);
  });

  test("stand in their session's timeline with its messages, in order of time, page by page", async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    await newSession(engine);
    await using task = await engine.tasks.open({ id: 't', chatId: 's' });
    for (let i = 0; i < 5; i++) {
      clock.forward(10);
      await engine.messages.append('s', { role: 'user', content: `m${i}` });
      clock.forward(10);
      if (i % 2 === 0) await task.addUpdate('message', `t${i}`);
      else await engine.tasks.record('s', { updateType: 'tool_call', data: `t${i}`, metadata: { ms: 1 } });
    }
    const shown = (item: Awaited<ReturnType<typeof engine.tasks.timeline>>['items'][number]) =>
      item.kind === 'message' ? item.message.content : item.update.data;
    const all = ['m0', 't0', 'm1', 't1', 'm2', 't2', 'm3', 't3', 'm4', 't4'];
    for (const reverse of [false, true]) {
      for (const limit of [1, 3, 10]) {
        const found: unknown[] = [];
        let after: string | undefined;
        do {
          const page = await engine.tasks.timeline('s', { after, limit, reverse });
          expect(page.items.length).toBeGreaterThan(0);
          found.push(...page.items.map(shown));
          after = page.next;
        } while (after !== undefined);
        expect(found).toEqual(reverse ? all.toReversed() : all);
      }
    }
    const calls = await engine.session('s').tasks.timeline({ types: ['tool_call'] });
    expect(calls.items.map(shown)).toEqual(['t1', 't3']);
    expect(calls.items[0]).toMatchObject({
      kind: 'update',
      update: { updateType: 'tool_call', metadata: { ms: 1 } },
    });
    expect((await engine.tasks.timeline('s', { types: ['message'] })).items.map(shown)).toHaveLength(8);
    await expect(engine.tasks.timeline('s', { after: 'x' })).rejects.toThrow(InvalidInputError);
    await expect(engine.tasks.timeline('nowhere')).rejects.toThrow(NotFoundError);
  });

  test('take what is recorded for them into their history', async () => {
    const engine = await open();
    await newSession(engine);
    await using _ = await engine.tasks.open({ id: 't', chatId: 's' });
    const recorded = await engine.tasks.record('s', {
      taskId: 't',
      updateType: 'tool_call',
      data: { tool: 'x' },
    });
    expect(recorded).toMatchObject({ taskId: 't', seq: 1, updateType: 'tool_call', metadata: {} });
    expect(data(await engine.tasks.get('t'))).toEqual([{ tool: 'x' }]);
    await expect(engine.tasks.record('s', { taskId: 'no', updateType: 'x' })).rejects.toThrow(/task "no"/);
    await expect(engine.tasks.record('no', { updateType: 'x' })).rejects.toThrow(/session "no"/);
    await expect(engine.tasks.record('s', { updateType: '', data: 1n })).rejects.toThrow(InvalidInputError);
  });

  test('take updates by their id while they are open, and tell of none after their end', async () => {
    const engine = await open();
    await newSession(engine);
    for (const chatId of ['s', 'none']) {
      const id = `of-${chatId}`;
      await engine.tasks.open({ id, chatId });
      const added = await engine.tasks.addUpdate(id, { updateType: 'message', data: { a: 1 }, timestamp: 5 });
      expect(added).toMatchObject({
        taskId: id,
        seq: 1,
        updateType: 'message',
        data: { a: 1 },
        timestamp: 5,
      });
      const task = await engine.tasks.open({ id });
      expect(data(task)).toEqual([{ a: 1 }]);
      await task.close();
      await expect(engine.tasks.addUpdate(id, { updateType: 'message' })).rejects.toThrow(ClosedError);
      expect((await engine.tasks.list({ chatId })).tasks).toMatchObject([{ updates: 1 }]);
    }
    await expect(engine.tasks.addUpdate('nothing', { updateType: 'x' })).rejects.toThrow(NotFoundError);
    await expect(engine.tasks.addUpdate('of-s', { updateType: '' })).rejects.toThrow(InvalidInputError);
  });

  test('keep what others have added to them when the one who has them open makes them shorter', async () => {
    const engine = await open();
    await newSession(engine);
    for (const chatId of ['s', 'none']) {
      const id = `of-${chatId}`;
      const task = await engine.tasks.open({ id, chatId });
      const byOthers = (updateType: string, data: unknown) =>
        engine.tasks.addUpdate(id, { updateType, data });
      for (let round = 1; round <= 2; round++) {
        await task.addUpdate('message', 'again');
        await task.trackFile('mine.ts', 'read');
        await byOthers('message', `theirs ${round}`);
        await byOthers('file_operation', { path: `theirs-${round}.ts`, operation: 'edit' });
        await byOthers('model_usage', { modelId: `m${round}`, providerId: 'acme', mode: 'chat' });
        await task.addUpdate('message', 'again');
        expect(task.optimize(5)).toBe(true);
        await task.save();
      }
      const seen = await engine.tasks.get(id);
      expect(data(seen)).toEqual(expect.arrayContaining(['theirs 1', 'theirs 2', 'again']));
      expect(data(seen).filter((text) => text === 'again')).toHaveLength(1);
      expect(Object.keys(seen.fileTracker).sort()).toEqual(['mine.ts', 'theirs-1.ts', 'theirs-2.ts']);
      expect(seen.models.map(({ modelId }) => modelId)).toEqual(['m1', 'm2']);
    }
  });

  test('are told by events', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.tasks.run({ id: 't', chatId: 's' }, (task) => task.addUpdate('message', 1));
    await engine.tasks.run({ id: 'free' }, (task) => task.addUpdate('message', 1));
    const events: EngineEvent[] = [];
    for await (const event of engine.events.subscribe({ after: 'oldest' })) {
      events.push(event);
      if (event.type === 'task.closed' && event.taskId === 'free') break;
    }
    const shown = events.map(({ cursor: _, at: __, tenant: ___, ...rest }) => rest);
    expect(shown.slice(1)).toEqual([
      { type: 'task.opened', sessionId: 's', taskId: 't' },
      { type: 'timeline.appended', sessionId: 's', firstSeq: 1, lastSeq: 1, count: 1 },
      { type: 'task.updated', sessionId: 's', taskId: 't' },
      { type: 'task.closed', sessionId: 's', taskId: 't' },
      { type: 'task.opened', taskId: 'free' },
      { type: 'task.updated', taskId: 'free' },
      { type: 'task.closed', taskId: 'free' },
    ]);
  });

  test('go with their session, and stay behind when it is forked', async () => {
    const engine = await open();
    await newSession(engine);
    const task = await engine.tasks.open({ id: 't', chatId: 's' });
    await task.addUpdate('message', 1);
    await engine.sessions.fork('s', { id: 'fork' });
    expect((await engine.tasks.list({ sessionId: 'fork' })).tasks).toEqual([]);
    expect((await engine.tasks.timeline('fork')).items).toEqual([]);
    await engine.sessions.delete('s');
    await expect(engine.tasks.get('t')).rejects.toThrow(NotFoundError);
    await expect(task.addUpdate('message', 2)).rejects.toThrow(NotFoundError);
    await expect(task.close()).rejects.toThrow(NotFoundError);
  });

  test('that are deleted leave nothing but the times of their updates in the timeline', async () => {
    const engine = await open();
    await newSession(engine);
    const task = await engine.tasks.open({ id: 't', chatId: 's' });
    for (let i = 0; i < 3; i++) await task.addUpdate('message', 'secret');
    await task.trackModel('m', 'acme', 'chat', { inputTokens: 5 });
    task.optimize();
    await task.save();
    const other = await engine.tasks.open({ id: 'other', chatId: 's' });
    await other.addUpdate('message', 'open');
    expect(await engine.tasks.delete('t')).toBe(true);
    expect(await engine.tasks.delete('t')).toBe(false);
    await expect(engine.tasks.get('t')).rejects.toThrow(NotFoundError);
    await expect(task.addUpdate('message', 'late')).rejects.toThrow(NotFoundError);
    expect((await engine.tasks.list()).tasks.map(({ id }) => id)).toEqual(['other']);
    const { items } = await engine.tasks.timeline('s', { types: ['deleted', 'message', 'model_usage'] });
    const left = items.map((item) => item.kind === 'update' && [item.update.updateType, item.update.data]);
    expect(left).toEqual([...Array.from({ length: 4 }, () => ['deleted', null]), ['message', 'open']]);
    expect(data(await engine.tasks.get('other'))).toEqual(['open']);
    expect(await engine.tasks.usage({ sessionId: 's' })).toMatchObject({ inputTokens: 5 });
    // The id is free again, and begins with nothing.
    await using again = await engine.tasks.open({ id: 't', chatId: 's' });
    expect(again.history).toEqual([]);
    expect(again.usage.calls).toBe(0);
  });

  test('that belong to no session are deleted with all that is kept of them', async () => {
    const engine = await open();
    await engine.tasks.run({ id: 'free', userId: 'ada' }, (task) => task.addUpdate('message', 1));
    expect(await engine.tasks.delete('free')).toBe(true);
    expect(await engine.tasks.delete('free')).toBe(false);
    expect((await engine.tasks.list({ userId: 'ada' })).tasks).toEqual([]);
  });

  test('that are written to while they are deleted leave nothing behind either', async () => {
    const engine = await open();
    await newSession(engine);
    const task = await engine.tasks.open({ id: 't', chatId: 's' });
    await task.addUpdate('message', 'secret');
    const writes = Array.from({ length: 50 }, async () => {
      await Promise.resolve();
      await task.addUpdate('message', 'secret');
    });
    const [deleted] = await Promise.allSettled([engine.tasks.delete('t'), ...writes]);
    expect(deleted).toMatchObject({ status: 'fulfilled', value: true });
    const { items } = await engine.tasks.timeline('s', { limit: 1000 });
    expect(JSON.stringify(items)).not.toContain('secret');
  });

  test('have as much metadata as may be given, and say at once what would be too much', async () => {
    const engine = await open();
    const metadata = { a: 'x'.repeat(2 ** 20 - 10) };
    await using task = await engine.tasks.open({ id: 't', metadata });
    await expect(engine.tasks.open({ id: 't', metadata: { b: 'x'.repeat(100) } })).rejects.toThrow(
      InvalidInputError,
    );
    task.metadata.b = 'x'.repeat(100);
    await expect(task.save()).rejects.toThrow(InvalidInputError);
    task.metadata = metadata;
    await task.save();
    expect((await engine.tasks.get('t')).metadata).toEqual(metadata);
  });

  test('that say nothing else may hold what the engine says, also when they are only looked at', async () => {
    const engine = await open({ taskMaxSize: 5 });
    await using task = await engine.tasks.open({ id: 'one' });
    for (const text of ['first', 'other', 'third']) await task.addUpdate('message', text);
    const looked = await engine.tasks.get('one');
    expect(looked.optimize()).toBe(true);
    await looked.save();
    expect(data(await engine.tasks.get('one'))).toEqual(['third']);
    expect(task.optimize()).toBe(true);
    expect(data(task)).toEqual(['third']);
  });

  test('of a session that has expired are gone with it, before it is swept', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    await engine.sessions.create({ id: 'brief', userId: 'u', ttlMs: 5000 });
    await newSession(engine, 'lasting');
    const usage = { inputTokens: 3 };
    for (const chatId of ['brief', 'lasting'])
      await engine.tasks.run({ id: chatId, chatId }, (task) => task.trackModel('m', 'p', 'chat', usage));
    clock.forward(5000);
    expect((await engine.tasks.list({ userId: 'u' })).tasks).toMatchObject([{ id: 'lasting' }]);
    expect(await engine.tasks.usage({ userId: 'u' })).toMatchObject({ calls: 1 });
    for (const gone of [engine.tasks.get('brief'), engine.tasks.usage({ taskId: 'brief' })])
      await expect(gone).rejects.toThrow(NotFoundError);
  });

  test('of one tenant are not those of another', async () => {
    const engine = await open();
    const other = engine.tenant('other');
    await engine.tasks.run({ id: 't' }, (task) => task.addUpdate('message', 'mine'));
    await other.tasks.run({ id: 't' }, (task) => task.addUpdate('message', 'theirs'));
    expect(data(await other.tasks.get('t'))).toEqual(['theirs']);
    expect((await other.tasks.list()).tasks).toHaveLength(1);
  });

  test('that nobody has waited for are saved when the engine closes, which then takes no more', async () => {
    const engine = await open();
    const task = await engine.tasks.open({ id: 't' });
    const done = task.addUpdate('message', 1);
    expect(engine.tasks.diagnose()).toMatchObject({ ok: true, open: 1, unsaved: 1 });
    await engine.close();
    await done;
    await expect(task.addUpdate('message', 2)).rejects.toThrow(ClosedError);
    await expect(engine.tasks.open()).rejects.toThrow(ClosedError);
    expect(engine.tasks.diagnose()).toMatchObject({ ok: false, failing: ['t'] });
    await expect(task.close()).rejects.toThrow(ClosedError);
  });

  test('of hostile names are kept as any other', async () => {
    const engine = await open();
    for (const id of ['../../etc', '__proto__', 'constructor', '%00', '*{}', 'x'.repeat(256)]) {
      await engine.tasks.run({ id, chatId: id, userId: id }, async (task) => {
        await task.trackModel('__proto__', id.slice(0, 64), 'chat', { inputTokens: 1 });
      });
      expect((await engine.tasks.get(id)).models).toMatchObject([{ modelId: '__proto__' }]);
      expect(await engine.tasks.usage({ taskId: id })).toMatchObject({ models: [{ modelId: '__proto__' }] });
    }
    for (const id of ['', 'a\0', '\ud800', 'x'.repeat(257)])
      await expect(engine.tasks.open({ id })).rejects.toThrow(InvalidInputError);
  });
});

test('an update is written once, also when the answer to it was lost', async () => {
  const { MemoryStore } = await import('../../../src/stores/memory/index.ts');
  const { ContextEngine } = await import('../../../src/index.ts');
  const store = new MemoryStore();
  const commit = store.commit.bind(store);
  let lose = 0;
  store.commit = async (batch) => {
    const receipt = await commit(batch);
    if (lose-- > 0) throw new Error('the answer was lost');
    return receipt;
  };
  await using engine = await ContextEngine.open(store, { maintenanceIntervalMs: 0 });
  await engine.sessions.create({ id: 's', userId: 'u' });
  await using task = await engine.tasks.open({ id: 't', chatId: 's' });
  lose = 2;
  task.addUpdate('message', 1);
  const call = task.trackModel('m', 'acme', 'chat', { inputTokens: 10 });
  await expect(call).rejects.toThrow('lost');
  await expect(task.addUpdate('message', 2)).rejects.toThrow('lost');
  expect(taskUnsaved(task)).toBe(3);
  await task.save();
  const loaded = await engine.tasks.get('t');
  expect(loaded.history.map(({ updateType }) => updateType)).toEqual(['message', 'model_usage', 'message']);
  expect(await engine.tasks.usage({ sessionId: 's' })).toMatchObject({ calls: 1, inputTokens: 10 });
});

test('updates of one turn do not go out together where they are large, data or metadata', async () => {
  const { MemoryStore } = await import('../../../src/stores/memory/index.ts');
  const { ContextEngine } = await import('../../../src/index.ts');
  const store = new MemoryStore();
  const commit = store.commit.bind(store);
  const sizes: number[] = [];
  store.commit = (batch) => {
    sizes.push(JSON.stringify(batch).length);
    return commit(batch);
  };
  await using engine = await ContextEngine.open(store, { maintenanceIntervalMs: 0 });
  await using task = await engine.tasks.open({ id: 't' });
  const large = 'x'.repeat(2 ** 18);
  for (let i = 0; i < 8; i++) {
    task.addUpdate('message', `${i}${large}`);
    task.addUpdate('message', i, { large });
  }
  await task.save();
  // A group takes no more once it has a mebibyte.
  expect(Math.max(...sizes)).toBeLessThan(1.5 * 2 ** 20);
  expect((await engine.tasks.get('t')).history).toHaveLength(16);
});

const taskUnsaved = (task: { unsaved: { changes: number } }) => task.unsaved.changes;
