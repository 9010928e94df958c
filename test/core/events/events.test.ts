import { expect, onTestFinished, test } from 'vitest';
import type { SubscribeOptions } from '../../../src/core/events/events.ts';
import type { Store } from '../../../src/index.ts';
import {
  ContextEngine,
  CursorExpiredError,
  type EngineEvent,
  InvalidInputError,
  openStore,
  StoreUnavailableError,
} from '../../../src/index.ts';
import { newSession, onEverySharedStore, onEveryStore } from '../../support/engines.ts';
import { watched } from '../../support/stores.ts';

const say = (engine: ContextEngine, content = 'x', id = 's') =>
  engine.messages.append(id, { role: 'user', content });

/** The next events of a subscription. */
async function take(events: AsyncIterator<EngineEvent, void>, count: number): Promise<EngineEvent[]> {
  const taken: EngineEvent[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done) break;
    taken.push(value as EngineEvent);
  }
  return taken;
}

/** All events that the journal has for a subscription, up to a last one of our own. */
async function all(engine: ContextEngine, options: SubscribeOptions = {}): Promise<EngineEvent[]> {
  const found: EngineEvent[] = [];
  await engine.sessions.getOrCreate({ id: 'last', userId: 'u' });
  await engine.state.set('last', 'now', Date.now());
  const types = options.types && [...options.types, 'state.changed' as const];
  const { sessionId, ...rest } = options;
  for await (const event of engine.events.subscribe({ after: 'oldest', ...rest, ...(types && { types }) })) {
    if (event.sessionId === 'last') {
      if (event.type === 'state.changed') return found;
    } else if (!sessionId || event.sessionId === sessionId) found.push(event);
  }
  return found;
}

onEveryStore('events', (open) => {
  test('tell everything that happens, in order', async () => {
    const engine = await open();
    await newSession(engine);
    await engine.messages.append('s', [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ]);
    await engine.messages.edit('s', '@1', { content: 'c' });
    await engine.messages.pop('s');
    await engine.state.set('s', 'k', 1);
    const participants = [
      { id: 'u', role: 'user' as const },
      { id: 'a', role: 'agent' as const },
    ];
    await engine.channels.open('s', { id: 'c', type: 'user_to_agent', participants });
    await engine.channels.send('s', 'c', { from: 'u', content: 'psst' });
    await engine.window.build('s', { maxTokens: 100, record: true });
    await engine.window.reportUsage('s', { inputTokens: 10 });
    await engine.sessions.update('s', { markError: true, status: 'failed' });
    await engine.sessions.delete('s');
    const events = await all(engine);
    const shown = events.map(({ cursor: _, at: __, tenant: ___, sessionId: ____, ...rest }) => rest);
    expect(shown).toEqual([
      { type: 'session.created' },
      { type: 'message.appended', firstSeq: 1, lastSeq: 2, count: 2 },
      { type: 'message.edited', seq: 1 },
      { type: 'messages.truncated', firstSeq: 1, lastSeq: 1 },
      { type: 'state.changed', version: expect.any(Number) },
      { type: 'channel.opened', channel: 'c' },
      { type: 'message.appended', channel: 'c', firstSeq: 1, lastSeq: 1, count: 1 },
      { type: 'window.recorded', seq: 1 },
      { type: 'usage.reported' },
      { type: 'session.updated' },
      { type: 'session.deleted' },
    ]);
    expect(events.every(({ tenant, sessionId }) => tenant === 'default' && sessionId === 's')).toBe(true);
  });

  test('reach listeners of their type, until those are taken away', async () => {
    const engine = await open();
    await newSession(engine);
    const heard: number[] = [];
    const [off] = await Promise.all([
      engine.events.on('message.appended', ({ firstSeq }) => heard.push(firstSeq)),
      engine.events.on('state.changed', () => heard.push(0)),
    ]);
    await say(engine);
    await say(engine);
    await expect.poll(() => heard).toEqual([1, 2]);
    off();
    await say(engine);
    await engine.state.set('s', 'a', 1);
    await expect.poll(() => heard).toEqual([1, 2, 0]);
    await expect(engine.events.on('nonsense' as 'state.changed', () => {})).rejects.toThrow(
      InvalidInputError,
    );
  });

  test('reach the other listeners when one throws or rejects, and the failure is told', async () => {
    const errors: unknown[] = [];
    const engine = await open({ onError: (error) => errors.push(error) });
    await newSession(engine);
    const heard: string[] = [];
    await engine.events.on('message.appended', () => {
      throw new Error('thrown');
    });
    await engine.events.on('message.appended', async () => {
      throw new Error('rejected');
    });
    await engine.events.on('message.appended', () => void heard.push('heard'));
    await say(engine);
    await say(engine);
    await expect.poll(() => heard).toEqual(['heard', 'heard']);
    await expect
      .poll(() => errors.map(String).toSorted())
      .toEqual(['Error: rejected', 'Error: rejected', 'Error: thrown', 'Error: thrown']);
  });

  test('come from the call of subscribe on, chosen by type and session', async () => {
    const engine = await open();
    await newSession(engine);
    await newSession(engine, 't');
    await say(engine);
    const events = engine.events.subscribe({ types: ['message.appended'], sessionId: 's' });
    await engine.state.set('s', 'a', 1);
    await say(engine, 'x', 't');
    await say(engine);
    expect(await take(events, 1)).toMatchObject([{ type: 'message.appended', sessionId: 's', firstSeq: 2 }]);
    await events.return();
    expect(() => engine.events.subscribe({ types: ['x' as 'state.changed'] })).toThrow(InvalidInputError);
  });

  test('go on after a cursor, with nothing lost in between', async () => {
    const engine = await open();
    await newSession(engine);
    for (let i = 0; i < 600; i++) await say(engine, `${i}`);
    const whole = await all(engine, { sessionId: 's' });
    expect(whole).toHaveLength(601);
    for (const place of [0, 250, 599]) {
      const rest = await all(engine, { after: whole[place]!.cursor, sessionId: 's' });
      expect(rest.map(({ cursor }) => cursor)).toEqual(whole.slice(place + 1).map(({ cursor }) => cursor));
    }
  });

  test('of one commit are all given, also when the subscriber goes on after the first of them', async () => {
    const engine = await open();
    await newSession(engine);
    const participants = [
      { id: 'u', role: 'user' as const },
      { id: 'a', role: 'agent' as const },
    ];
    for (const id of ['one', 'two', 'three'])
      await engine.channels.open('s', { id, type: 'user_to_agent', participants });
    const start = await engine.events.cursor();
    // A fork writes the records of all channels in one commit.
    await engine.sessions.fork('s', { id: 'f' });
    let after = start;
    const seen = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const events = engine.events.subscribe({ after, types: ['channel.opened'] });
      for (const event of await take(events, i + 1)) {
        seen.add((event as { channel: string }).channel);
        after = event.cursor;
      }
      await events.return();
    }
    expect(seen).toEqual(new Set(['one', 'two', 'three']));
  });

  test('of one tenant are not told in another', async () => {
    const engine = await open();
    const other = engine.tenant('other');
    await newSession(engine);
    await newSession(other);
    await say(other);
    expect((await all(engine)).map(({ type }) => type)).toEqual(['session.created']);
    expect((await all(other)).map(({ type }) => type)).toEqual(['session.created', 'message.appended']);
    await expect(engine.messages.list('s')).resolves.toEqual([]);
  });

  test('end when the signal is aborted, and when the engine closes', async () => {
    const engine = await open();
    const stop = new AbortController();
    const waiting = engine.events.subscribe({ signal: stop.signal }).next();
    stop.abort();
    expect(await waiting).toEqual({ value: undefined, done: true });
    expect(await engine.events.subscribe({ signal: AbortSignal.abort() }).next()).toMatchObject({
      done: true,
    });
    const open2 = [engine.events.subscribe().next(), engine.events.subscribe({ consumer: 'c' }).next()];
    await engine.events.cursor();
    await engine.close();
    for (const ended of await Promise.all(open2)) expect(ended.done).toBe(true);
  });

  test('that were trimmed away give a typed error, never a silent gap', async () => {
    const engine = await open();
    await newSession(engine);
    const [first] = await all(engine);
    await say(engine);
    expect(await engine.events.trim({ keepMs: 60_000 })).toBeUndefined();
    const clock = Date.now();
    await expect.poll(() => Date.now()).toBeGreaterThan(clock + 1);
    expect(await engine.events.trim({ keepMs: 0 })).toBeDefined();
    const late = engine.events.subscribe({ after: first!.cursor }).next();
    await expect(late).rejects.toThrow(CursorExpiredError);
    await expect(engine.events.trim({ keepMs: Number.NaN })).rejects.toThrow(InvalidInputError);
    expect((await all(engine)).length).toBe(0);
  });

  test('that a consumer has not handled are not trimmed', async () => {
    const engine = await open();
    await newSession(engine);
    const slow = engine.events.subscribe({ consumer: 'slow', types: ['message.appended'], after: 'oldest' });
    for (let i = 0; i < 5; i++) await say(engine, `${i}`);
    await take(slow, 2);
    await slow.return();
    const clock = Date.now();
    await expect.poll(() => Date.now()).toBeGreaterThan(clock + 1);
    for (let i = 0; i < 3; i++) await engine.events.trim({ keepMs: 0 });
    const again = engine.events.subscribe({ consumer: 'slow', types: ['message.appended'] });
    const left = await take(again, 4);
    expect(left.map((event) => (event as { firstSeq: number }).firstSeq)).toEqual([2, 3, 4, 5]);
    await again.return();
  });
});

onEverySharedStore('consumers in several processes', (place) => {
  test('a consumer goes on in another process where it stopped, and is given again what it had not finished', async () => {
    const open = await place();
    const engine = await open();
    await newSession(engine);
    const consume = (from: ContextEngine) =>
      from.events.subscribe({ consumer: 'c', after: 'oldest', types: ['message.appended'] });
    for (let i = 0; i < 3; i++) await say(engine, `${i}`);
    const seqs = (events: EngineEvent[]) => events.map((event) => (event as { firstSeq: number }).firstSeq);
    // Three were taken, the third was never finished: the process dies, nothing more is said.
    expect(seqs(await take(consume(engine), 3))).toEqual([1, 2, 3]);
    const other = await open();
    const second = consume(other);
    // How many of them come again depends on how many came in one page.
    let last: number | undefined;
    while (last !== 3) {
      [last] = seqs(await take(second, 1));
      expect([1, 2, 3]).toContain(last);
    }
    await second.return();
    await say(engine);
    const third = consume(await open());
    expect(seqs(await take(third, 2))).toEqual([3, 4]);
    await third.return();
  });
});

test('a consumer that keeps up leaves the journal still', async () => {
  const { store, asked } = watched(await openStore('memory:'));
  const engine = await ContextEngine.open(store, { maintenanceIntervalMs: 0 });
  onTestFinished(() => engine.close());
  await newSession(engine);
  const handled: EngineEvent[] = [];
  for (const consumer of ['a', 'b', 'c']) {
    const events = engine.events.subscribe({ consumer });
    (async () => {
      for await (const event of events) handled.push(event);
    })();
  }
  await expect
    .poll(() => asked.commits.filter(({ partition }) => partition.type === 'system').length)
    .toBe(3);
  await say(engine);
  await expect.poll(() => handled.length).toBe(3);
  await engine.messages.settled();
  const saves = () => asked.commits.filter(({ partition }) => partition.type === 'system').length;
  await expect.poll(saves).toBe(6);
  const before = await engine.events.cursor();
  for (let turn = 0; turn < 200; turn++) await new Promise((done) => setImmediate(done));
  expect(await engine.events.cursor()).toBe(before);
  expect(saves()).toBe(6);
});

onEverySharedStore('events in several processes', (place) => {
  test('events of another process are heard', async () => {
    const open = await place();
    const [here, there] = [await open(), await open()];
    const heard: string[] = [];
    await here.events.on('message.appended', ({ sessionId }) => void heard.push(sessionId));
    const events = here.events.subscribe({ types: ['session.created'] });
    await newSession(there);
    await say(there);
    await expect.poll(() => heard).toEqual(['s']);
    expect(await take(events, 1)).toMatchObject([{ sessionId: 's' }]);
    await events.return();
  });
});

test('a subscription waits while the store is away, and goes on where it was', async () => {
  const store = await openStore('memory:');
  let away = false;
  const shaky = new Proxy(store, {
    get(target, name: keyof Store) {
      if (away && name === 'readChanges') throw new StoreUnavailableError('the store is away');
      const member = target[name];
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const told: unknown[] = [];
  const engine = new ContextEngine(shaky, { onError: (error) => told.push(error) });
  onTestFinished(() => engine.close());
  const other = new ContextEngine(store);
  await newSession(other);
  const events = engine.events.subscribe({ types: ['message.appended'] });
  const first = take(events, 1);
  await say(other);
  expect(await first).toHaveLength(1);
  const next = take(events, 2);
  away = true;
  await say(other);
  await expect.poll(() => told).toHaveLength(1);
  await say(other);
  away = false;
  expect(await next).toMatchObject([{ firstSeq: 2 }, { firstSeq: 3 }]);
  expect(told).toHaveLength(1);
});
