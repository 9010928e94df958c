import { describe, expect, onTestFinished, test } from 'vitest';
import type { Batch, Receipt } from '../../../src/core/store.ts';
import {
  ConflictError,
  ContextEngine,
  InvalidInputError,
  NotFoundError,
  openStore,
} from '../../../src/index.ts';
import { MemoryStore } from '../../../src/stores/memory/index.ts';
import { FakeClock, newSession, onEveryStore } from '../../support/engines.ts';
import { watched } from '../../support/stores.ts';

onEveryStore('sessions', (open) => {
  test('are given back as they were created, with everything counted from zero', async () => {
    const engine = await open({ clock: new FakeClock() });
    const made = await engine.sessions.create({
      id: 's',
      userId: 'u',
      metadata: { a: { b: [1] } },
      ttlMs: 5000,
    });
    expect(made).toEqual({
      id: 's',
      userId: 'u',
      status: 'active',
      metadata: { a: { b: [1] } },
      createdAt: Date.UTC(2026, 0, 1),
      updatedAt: Date.UTC(2026, 0, 1),
      lastActivityAt: Date.UTC(2026, 0, 1),
      ttlMs: 5000,
      messageCount: 0,
      requests: 0,
      errors: 0,
      processingTimeMs: 0,
      version: made.version,
    });
    expect(await engine.sessions.get('s')).toEqual(made);
    expect((await engine.sessions.create({ userId: 'u' })).id).toMatch(/^[\w-]{36}$/);
  });

  test('are created once: the second of two that want one id is told, and getOrCreate gives both the same', async () => {
    const engine = await open();
    const create = () => engine.sessions.create({ id: 's', userId: 'u' });
    const outcomes = await Promise.allSettled([create(), create(), create()]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(create()).rejects.toThrow(ConflictError);
    const same = await Promise.all(
      Array.from({ length: 5 }, () => engine.sessions.getOrCreate({ id: 't', userId: 'u' })),
    );
    expect(new Set(same.map((session) => session.version)).size).toBe(1);
  });

  test('that do not exist are not found, whatever is asked of them, and nothing springs into being', async () => {
    const engine = await open();
    await expect(engine.sessions.get('s')).rejects.toThrow(NotFoundError);
    await expect(engine.sessions.update('s', { markError: true })).rejects.toThrow(NotFoundError);
    await expect(engine.sessions.update('s', { status: 'failed' })).rejects.toThrow(NotFoundError);
    await expect(engine.sessions.fork('s')).rejects.toThrow(NotFoundError);
    await expect(engine.state.merge('s', { a: 1 })).rejects.toThrow(NotFoundError);
    await expect(engine.window.reportUsage('s', { inputTokens: 1 })).rejects.toThrow(NotFoundError);
    expect(await engine.sessions.delete('s')).toBe(false);
    expect((await engine.sessions.list()).sessions).toEqual([]);
  });

  test('count what concurrent calls add, all of it', async () => {
    const engine = await open();
    await newSession(engine);
    const update = () =>
      engine.sessions.update('s', { incrementRequests: true, addProcessingTimeMs: 2.5, markError: true });
    await Promise.all(Array.from({ length: 40 }, update));
    await engine.sessions.update('s', { incrementRequests: 2, status: 'completed' });
    expect(await engine.sessions.get('s')).toMatchObject({
      requests: 42,
      errors: 40,
      processingTimeMs: 100,
      status: 'completed',
    });
  });

  test('merge metadata field by field; null takes a field away', async () => {
    const engine = await open();
    await engine.sessions.create({ id: 's', userId: 'u', metadata: { a: 1, b: { c: 1 }, d: 1 } });
    const { metadata } = await engine.sessions.update('s', { metadata: { a: 2, b: { e: 1 }, d: null } });
    expect(metadata).toEqual({ a: 2, b: { e: 1 } });
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => engine.sessions.update('s', { metadata: { [`k${i}`]: i } })),
    );
    expect(Object.keys((await engine.sessions.get('s')).metadata)).toHaveLength(22);
  });

  test('are updated only at the version that is asked for', async () => {
    const engine = await open();
    const { version } = await engine.sessions.create({ id: 's', userId: 'u' });
    const updated = await engine.sessions.update('s', { status: 'failed' }, { ifVersion: version });
    const late = engine.sessions.update('s', { markError: true, metadata: { a: 1 } }, { ifVersion: version });
    await expect(late).rejects.toMatchObject({ code: 'conflict', currentVersion: updated.version });
    expect(await engine.sessions.get('s')).toMatchObject({ errors: 0, metadata: {}, status: 'failed' });
    await engine.sessions.update('s', { incrementRequests: true });
    expect((await engine.sessions.get('s')).version).toBe(updated.version);
  });

  test('stay readable when they have ended', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'hi' });
    expect((await engine.sessions.end('s')).status).toBe('completed');
    expect((await engine.sessions.end('s', 'failed')).status).toBe('failed');
    expect(await engine.messages.list('s')).toHaveLength(1);
  });

  test('are listed newest first, page by page, by user and by status', async () => {
    const engine = await open();
    for (let i = 0; i < 30; i++) {
      await engine.sessions.create({ id: `s${i}`, userId: `u${i % 2}`, createdAt: 1000 + i });
      if (i % 3 === 0) await engine.sessions.end(`s${i}`);
    }
    const all = async (filter: { userId?: string; status?: 'completed' }, limit: number) => {
      const ids: string[] = [];
      let after: string | undefined;
      do {
        const page = await engine.sessions.list({ ...filter, limit, after });
        expect(page.sessions.length).toBeLessThanOrEqual(limit);
        ids.push(...page.sessions.map((session) => session.id));
        after = page.next;
      } while (after !== undefined);
      return ids;
    };
    const numbers = Array.from({ length: 30 }, (_, i) => 29 - i);
    const named = (keep: (i: number) => boolean) => numbers.filter(keep).map((i) => `s${i}`);
    expect(await all({}, 7)).toEqual(named(() => true));
    expect(await all({ userId: 'u1' }, 4)).toEqual(named((i) => i % 2 === 1));
    expect(await all({ status: 'completed' }, 3)).toEqual(named((i) => i % 3 === 0));
    expect(await all({ userId: 'u0', status: 'completed' }, 2)).toEqual(named((i) => i % 6 === 0));
    expect((await engine.sessions.list({ userId: 'nobody' })).sessions).toEqual([]);
    await expect(engine.sessions.list({ after: 'garbage' })).rejects.toThrow(InvalidInputError);
  });

  test('are deleted with everything in them', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'hi' });
    await engine.state.set('s', 'a', 1);
    expect(await engine.sessions.delete('s')).toBe(true);
    await expect(engine.messages.append('s', { role: 'user', content: 'hi' })).rejects.toThrow(NotFoundError);
    await newSession(engine);
    expect(await engine.messages.list('s')).toEqual([]);
    expect((await engine.state.get('s')).value).toEqual({});
  });

  const hostile = [
    '__proto__',
    'constructor',
    '../..',
    '%',
    '*',
    '{}',
    "'; DROP TABLE x;--",
    'a/b',
    'é',
    '🎉',
    ' ',
  ];
  test.each(hostile)('take %j as an id, a user and a metadata key, and store it exactly', async (name) => {
    const engine = await open();
    const metadata = JSON.parse(`{${JSON.stringify(name)}: {"x": 1}, "constructor": 2}`);
    await engine.sessions.create({ id: name, userId: name, metadata });
    await engine.sessions.create({ id: 'other', userId: 'other' });
    await engine.sessions.update(name, { metadata: JSON.parse('{"__proto__": "own"}') });
    const found = await engine.sessions.get(name);
    expect(found).toMatchObject({ id: name, userId: name });
    expect(Object.entries(found.metadata)).toContainEqual(['__proto__', 'own']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
    expect((await engine.sessions.list({ userId: name })).sessions.map(({ id }) => id)).toEqual([name]);
  });

  test.each(['', 'x'.repeat(257), 'a\0b', '\ud800', 5, null])('reject %j as an id', async (id) => {
    const engine = await open();
    await expect(engine.sessions.create({ id: id as string, userId: 'u' })).rejects.toThrow(
      InvalidInputError,
    );
    await expect(engine.sessions.get(id as string)).rejects.toThrow(InvalidInputError);
  });
});

onEveryStore('the end of a session', (open) => {
  test('comes when its time to live has passed without use; then its id is free', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    await engine.sessions.create({ id: 's', userId: 'u', ttlMs: 10_000 });
    clock.forward(9000);
    await engine.messages.append('s', { role: 'user', content: 'still here' });
    clock.forward(9000);
    await engine.state.set('s', 'a', 1);
    clock.forward(9999);
    expect((await engine.sessions.get('s')).messageCount).toBe(1);
    clock.forward(1);
    await expect(engine.sessions.get('s')).rejects.toThrow(NotFoundError);
    await expect(engine.state.get('s')).rejects.toThrow(NotFoundError);
    await expect(engine.state.set('s', 'a', 2)).rejects.toThrow(NotFoundError);
    await expect(engine.channels.list('s')).rejects.toThrow(NotFoundError);
    await expect(engine.messages.append('s', { role: 'user', content: 'late' })).rejects.toThrow(
      NotFoundError,
    );
    expect((await engine.sessions.list()).sessions).toEqual([]);
    await engine.sessions.create({ id: 's', userId: 'u2' });
    expect(await engine.messages.list('s')).toEqual([]);
  });

  test('is made final by a sweep', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    await engine.sessions.create({ id: 'short', userId: 'u', ttlMs: 1000 });
    await engine.sessions.create({ id: 'long', userId: 'u', ttlMs: 5000 });
    await engine.sessions.create({ id: 'forever', userId: 'u' });
    clock.forward(1000);
    expect(await engine.sessions.sweep()).toEqual({ expired: 1, idle: 0 });
    expect(await engine.sessions.delete('short')).toBe(false);
    clock.forward(60_000);
    expect(await engine.sessions.sweep()).toEqual({ expired: 1, idle: 0 });
    expect((await engine.sessions.list()).sessions.map(({ id }) => id)).toEqual(['forever']);
  });

  test('comes for idle ones when that is asked for, and not for one used meanwhile', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    for (const id of ['idle', 'talked', 'wrote', 'counted']) await newSession(engine, id);
    clock.forward(10_000);
    await engine.messages.append('talked', { role: 'user', content: 'hi' });
    await engine.state.set('wrote', 'a', 1);
    await engine.sessions.update('counted', { incrementRequests: true });
    expect(await engine.sessions.sweep({ maxIdleMs: 5000 })).toEqual({ expired: 0, idle: 1 });
    const left = (await engine.sessions.list()).sessions.map(({ id }) => id);
    expect(left.toSorted()).toEqual(['counted', 'talked', 'wrote']);
    await expect(engine.sessions.sweep({ maxIdleMs: 10 })).rejects.toThrow(InvalidInputError);
  });
});

onEveryStore('a fork', (open) => {
  test('keeps messages, ids, seqs, holes, marks, state and channels, and goes its own way', async () => {
    const engine = await open();
    await engine.sessions.create({ id: 's', userId: 'u', metadata: { a: 1 } });
    await engine.messages.append('s', [
      { role: 'system', content: 'be kind' },
      { id: 'own', role: 'user', content: 'one', pinned: true },
      { role: 'assistant', content: 'two' },
    ]);
    await engine.messages.pop('s');
    await engine.messages.append('s', [
      { role: 'user', content: 'three', priority: 'high' },
      { role: 'assistant', content: 'four' },
    ]);
    await engine.messages.edit('s', 'own', { content: 'edited' });
    await engine.state.set('s', 'k', [1]);
    const participants = [
      { id: 'u', role: 'user' as const },
      { id: 'a', role: 'agent' as const },
    ];
    await engine.channels.open('s', { id: 'c', type: 'user_to_agent', participants });
    await engine.channels.send('s', 'c', { from: 'u', content: 'psst' });
    await engine.sessions.update('s', { incrementRequests: true });

    const fork = await engine.sessions.fork('s', { id: 'f' });
    expect(fork).toMatchObject({ messageCount: 4, requests: 0, status: 'active', userId: 'u' });
    expect(fork.metadata).toEqual({ a: 1, forkedFrom: 's', forkedAtSeq: 5 });
    expect(await engine.messages.list('f')).toEqual(await engine.messages.list('s'));
    expect((await engine.messages.list('f')).map(({ seq }) => seq)).toEqual([1, 2, 4, 5]);
    expect(await engine.messages.list('f', { channel: 'c' })).toHaveLength(1);
    expect((await engine.state.get('f')).value).toEqual({ k: [1] });
    const window = await engine.window.build('f', { maxTokens: 1000 });
    expect(window.sections.find(({ name }) => name === 'pinned')?.items.map(({ id }) => id)).toEqual(['own']);

    await engine.messages.append('f', { role: 'user', content: 'only here' });
    await engine.state.set('f', 'k', 2);
    expect(await engine.messages.list('s')).toHaveLength(4);
    expect((await engine.state.get('s')).value).toEqual({ k: [1] });
  });

  test('at a seq has only what was there then, more than a page of it', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append(
      's',
      Array.from({ length: 1300 }, (_, i) => ({ role: 'user', content: `${i}` })),
    );
    const fork = await engine.sessions.fork('s', { atSeq: 1100 });
    expect(fork.messageCount).toBe(1100);
    const [next] = await engine.messages.append(fork.id, [{ role: 'user', content: 'next' }]);
    expect(next!.seq).toBe(1101);
    expect((await engine.sessions.fork('s', { atSeq: 0 })).messageCount).toBe(0);
  });

  test('to an id that is taken is refused, and harms nothing', async () => {
    const engine = await open();
    await newSession(engine, 's');
    await newSession(engine, 'taken');
    await engine.messages.append('taken', { role: 'user', content: 'mine' });
    await expect(engine.sessions.fork('s', { id: 'taken' })).rejects.toThrow(ConflictError);
    await expect(engine.sessions.fork('s', { id: 's' })).rejects.toThrow(ConflictError);
    expect(await engine.messages.list('taken')).toHaveLength(1);
  });
});

describe('a fork that was cut off', () => {
  /** Leaves a copy as a crash does: all of it but the last commit, which makes it a session. */
  async function cutOff() {
    const clock = new FakeClock();
    let dead = true;
    const { store } = watched(await openStore('memory:'), ({ partition, operations }) => {
      return dead && partition.id === 'f' && operations.some(({ op }) => op === 'delete');
    });
    const engine = await ContextEngine.open(store, { clock, maintenanceIntervalMs: 0 });
    onTestFinished(() => engine.close());
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'copied' });
    await expect(engine.sessions.fork('s', { id: 'f' })).rejects.toThrow('cut off');
    dead = false;
    return { engine, clock };
  }

  test('is invisible, and its id is free: nothing of it shows in the session that takes it', async () => {
    const { engine } = await cutOff();
    await expect(engine.sessions.get('f')).rejects.toThrow(NotFoundError);
    await expect(engine.messages.append('f', { role: 'user', content: 'x' })).rejects.toThrow(NotFoundError);
    await newSession(engine, 'f');
    expect(await engine.messages.list('f')).toEqual([]);
  });

  test('gives way to another fork to its id', async () => {
    const { engine } = await cutOff();
    expect((await engine.sessions.fork('s', { id: 'f' })).messageCount).toBe(1);
  });

  test('is swept when it is old', async () => {
    const { engine, clock } = await cutOff();
    expect(await engine.sessions.sweep()).toEqual({ expired: 0, idle: 0 });
    clock.forward(60 * 60 * 1000);
    expect(await engine.sessions.sweep()).toEqual({ expired: 1, idle: 0 });
    expect(await engine.sessions.delete('f')).toBe(false);
  });
});

describe('a fork of a session that loses messages meanwhile', () => {
  const losses: Record<string, (engine: ContextEngine) => Promise<unknown>> = {
    'is deleted': (engine) => engine.sessions.delete('s'),
    'is truncated': (engine) => engine.messages.truncate('s', { beforeSeq: 1000 }),
    'is shortened': (engine) => engine.messages.pop('s', { count: 300 }),
  };
  for (const [what, lose] of Object.entries(losses)) {
    test(`or ${what} is refused, and makes no session`, async () => {
      /** Loses messages as soon as the first of them are copied. */
      class LosingStore extends MemoryStore {
        loss: (() => Promise<unknown>) | undefined;
        override async commit(batch: Batch): Promise<Receipt> {
          const receipt = await super.commit(batch);
          const { loss } = this;
          if (loss && batch.partition.id === 'copy' && batch.operations.some(({ op }) => op === 'append')) {
            this.loss = undefined;
            await loss();
          }
          return receipt;
        }
      }
      const store = new LosingStore();
      await using engine = await ContextEngine.open(store);
      await engine.sessions.create({ id: 's', userId: 'u' });
      await engine.messages.append(
        's',
        Array.from({ length: 1200 }, (_, i) => ({ role: 'user', content: `message ${i}` })),
      );
      store.loss = () => lose(engine);
      await expect(engine.sessions.fork('s', { id: 'copy' })).rejects.toThrow(/does not exist|lost messages/);
      await expect(engine.sessions.get('copy')).rejects.toThrow(NotFoundError);
    });
  }
});
