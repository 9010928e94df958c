/** The engine's services while their store is away. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { ContextEngine } from '../../src/core/engine.ts';
import { PROVISIONAL } from '../../src/core/store.ts';
import type { FallbackStore } from '../../src/stores/fallback/index.ts';
import { outagePlace } from './outages.ts';

const away = { code: 'store-unavailable' };
const user = (content: string) => ({ role: 'user' as const, content });

async function enginePlace() {
  const place = await outagePlace();
  const engineOn = (store: FallbackStore | typeof place.target) =>
    new ContextEngine(store, { maintenanceIntervalMs: 0 });
  const store = await place.open();
  const engine = engineOn(store);
  onTestFinished(() => engine.close());
  return { ...place, store, engine, engineOn };
}

async function back(store: FallbackStore): Promise<void> {
  await vi.waitFor(() => expect(store.state).toBe('normal'), { interval: 5 });
}

function contents(messages: readonly { content: unknown }[]): unknown[] {
  return messages.map(({ content }) => content);
}

test('appends to a session that this process has never seen, and brings it there later', async () => {
  const { engine, engineOn, store, wire, target } = await enginePlace();
  await engineOn(target).sessions.create({ id: 's', userId: 'u' });
  await engineOn(target).messages.append('s', user('before'));
  wire.mode = 'down';
  const first = await engine.messages.append('s', user('one'));
  expect(first.seq).toBeGreaterThan(PROVISIONAL);
  await engine.messages.append('s', [{ ...user('two'), id: 'own' }, user('three')]);
  await engine.messages.append('s', { ...user('two'), id: 'own' });
  expect(contents(await engine.messages.list('s'))).toEqual(['one', 'two', 'three']);
  expect((await engine.messages.get('s', first.id)).content).toBe('one');
  const window = await engine.window.build('s', { maxTokens: 1000 });
  expect(contents(window.messages)).toEqual(['one', 'two', 'three']);
  await engine.messages.settled();
  wire.mode = 'up';
  await back(store);
  expect(contents(await engine.messages.list('s'))).toEqual(['before', 'one', 'two', 'three']);
  const whole = await engine.window.build('s', { maxTokens: 1000 });
  expect(whole.messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  await engine.messages.settled();
  const tokens = await target.listRecords({ tenant: 'default', type: 'session', id: 's' }, 'tokens', {
    limit: 10,
  });
  expect(tokens.items.filter(({ id }) => id.includes(String(PROVISIONAL).slice(0, 6)))).toEqual([]);
});

test('merges and sets state, and counts requests', async () => {
  const { engine, engineOn, store, wire, target } = await enginePlace();
  const other = engineOn(target);
  await other.sessions.create({ id: 's', userId: 'u' });
  await engine.state.merge('s', { a: { x: 1 }, o: { gone: true } });
  wire.mode = 'down';
  // Nothing in the spool yet: what is there can't be told.
  await expect(engine.state.get('s')).rejects.toMatchObject(away);
  await Promise.all([engine.state.merge('s', { a: { y: 2 } }), engine.state.set('s', 'o', { kept: true })]);
  expect((await engine.state.get('s')).value).toEqual({ a: { y: 2 }, o: { kept: true } });
  const { version } = await engine.state.merge('s', { a: { z: 3 } });
  await expect(engine.state.merge('s', {}, { ifVersion: version })).rejects.toMatchObject(away);
  await expect(engine.state.delete('s', 'a')).rejects.toMatchObject(away);
  await other.state.merge('s', { a: { x: 9 }, theirs: 1 });
  wire.mode = 'up';
  await back(store);
  expect((await engine.state.get('s')).value).toEqual({
    a: { x: 9, y: 2, z: 3 },
    o: { kept: true },
    theirs: 1,
  });
});

test('adds to the counters of sessions that it has seen, and to none that it can’t give back', async () => {
  const { engine, engineOn, store, wire, target } = await enginePlace();
  const other = engineOn(target);
  for (const id of ['seen', 'other']) await other.sessions.create({ id, userId: 'u', metadata: { a: 1 } });
  await engine.sessions.update('seen', { incrementRequests: 1 });
  wire.mode = 'down';
  await engine.sessions.update('seen', { incrementRequests: 2, addProcessingTimeMs: 5 });
  const seen = await engine.sessions.update('seen', { incrementRequests: 3 });
  expect(seen).toMatchObject({ userId: 'u', metadata: { a: 1 }, requests: 6, processingTimeMs: 5 });
  await expect(engine.sessions.update('other', { incrementRequests: 1 })).rejects.toMatchObject(away);
  await expect(engine.sessions.update('seen', { metadata: { b: 1 } })).rejects.toMatchObject(away);
  await other.sessions.update('seen', { incrementRequests: 10 });
  wire.mode = 'up';
  await back(store);
  expect(await engine.sessions.get('seen')).toMatchObject({ requests: 16, processingTimeMs: 5 });
  expect(await engine.sessions.get('other')).toMatchObject({ requests: 0 });
});

test('makes sessions with ids of its own, and uses them', async () => {
  const { engine, store, wire, engineOn, target } = await enginePlace();
  wire.mode = 'down';
  const { id } = await engine.sessions.create({ userId: 'u', metadata: { a: 1 }, ttlMs: 60_000 });
  await engine.messages.append(id, user('hello'));
  await engine.state.merge(id, { step: 1 });
  await engine.state.delete(id, 'nothing');
  await engine.sessions.update(id, { metadata: { b: 2 }, incrementRequests: true });
  const channel = await engine.channels.open(id, {
    type: 'user_to_agent',
    participants: [
      { id: 'u', role: 'user' },
      { id: 'a', role: 'agent' },
    ],
  });
  await engine.channels.send(id, channel.id, { from: 'a', content: 'in the channel' });
  expect(await engine.sessions.get(id)).toMatchObject({
    metadata: { a: 1, b: 2 },
    messageCount: 1,
    requests: 1,
  });
  await engine.sessions.end(id);
  expect((await engine.sessions.list({ userId: 'u' })).sessions.map((session) => session.id)).toEqual([id]);
  const other = await engine.sessions.create({ userId: 'u' });
  await expect(
    engine.messages.append(other.id, [user('a'), user('b')], { history: true }),
  ).resolves.toHaveLength(2);
  await expect(engine.sessions.create({ id: 'given', userId: 'u' })).rejects.toMatchObject(away);
  await expect(engine.sessions.getOrCreate({ id: 'given', userId: 'u' })).rejects.toMatchObject(away);
  await expect(engine.sessions.get('never')).rejects.toMatchObject(away);
  wire.mode = 'up';
  await back(store);
  for (const seen of [engine, engineOn(target)]) {
    expect(await seen.sessions.get(id)).toMatchObject({
      metadata: { a: 1, b: 2 },
      messageCount: 1,
      requests: 1,
      status: 'completed',
    });
    expect((await seen.state.get(id)).value).toEqual({ step: 1 });
    expect(contents(await seen.messages.list(id, { channel: channel.id }))).toEqual(['in the channel']);
    expect(contents(await seen.messages.list(other.id))).toEqual(['a', 'b']);
  }
});

test('gives no lease of a session before the store has it, and leases it from then on', async () => {
  const { engine, engineOn, store, wire, target } = await enginePlace();
  await engineOn(target).sessions.create({ id: 'stored', userId: 'u' });
  wire.mode = 'down';
  const { id } = await engine.sessions.create({ userId: 'u' });
  for (const one of [id, 'stored']) {
    await expect(engine.sessions.lease(one)).rejects.toMatchObject({
      ...away,
      hint: expect.stringContaining('Try again when'),
    });
  }
  wire.mode = 'up';
  await back(store);
  const lease = await engine.sessions.lease(id);
  expect(lease.token).toBeLessThan(PROVISIONAL);
  await engine.messages.append(id, user('fenced'), { lease });
  await lease.release();
  expect(contents(await engineOn(target).messages.list(id))).toEqual(['fenced']);
});

test('sends in a channel that it has seen, and in none that it has not', async () => {
  const { engine, engineOn, store, wire, target } = await enginePlace();
  const other = engineOn(target);
  await other.sessions.create({ id: 's', userId: 'u' });
  const participants = [
    { id: 'a', role: 'agent' as const },
    { id: 'b', role: 'agent' as const },
  ];
  await other.channels.open('s', { id: 'known', type: 'agent_to_agent', participants });
  await other.channels.open('s', { id: 'other', type: 'agent_to_agent', participants });
  await engine.channels.send('s', 'known', { from: 'a', content: '1' });
  wire.mode = 'down';
  await engine.channels.send('s', 'known', { from: 'b', content: '2' });
  await expect(engine.channels.send('s', 'known', { from: 'c', content: '3' })).rejects.toMatchObject({
    code: 'invalid-input',
  });
  await expect(engine.channels.send('s', 'other', { from: 'b', content: '4' })).rejects.toMatchObject(away);
  wire.mode = 'up';
  await back(store);
  expect(contents(await other.messages.list('s', { channel: 'known' }))).toEqual(['1', '2']);
});

test('tells events of what was written meanwhile once the store has it', async () => {
  const { engine, store, wire } = await enginePlace();
  await engine.sessions.create({ id: 's', userId: 'u' });
  const heard: string[] = [];
  await engine.events.on('message.appended', (event) => heard.push(`${event.firstSeq}`));
  wire.mode = 'down';
  await engine.messages.append('s', user('one'));
  await engine.messages.append('s', user('two'));
  wire.mode = 'up';
  await back(store);
  await vi.waitFor(() => expect(heard).toEqual(['1', '2']));
});

test('keeps the order of messages that nobody waits for when a look at their session takes longer than another', async () => {
  const { target, engineOn } = await enginePlace();
  await engineOn(target).sessions.create({ id: 's', userId: 'u' });
  const slow = Promise.withResolvers<void>();
  let reads = 0;
  const uneven = new Proxy(target, {
    get: (store, name: keyof typeof target) => {
      const member = store[name];
      if (typeof member !== 'function') return member;
      if (name !== 'getRecords') return member.bind(store);
      return async (keys: Parameters<typeof store.getRecords>[0]) => {
        if (++reads === 2) await slow.promise;
        return store.getRecords(keys);
      };
    },
  });
  const engine = engineOn(uneven);
  const appends = ['0', '1'].map((content) => engine.messages.append('s', user(content)));
  await appends[0];
  const last = engine.messages.append('s', user('2'));
  slow.resolve();
  await Promise.all([...appends, last]);
  expect(contents(await engine.messages.list('s'))).toEqual(['0', '1', '2']);
});
