import { register } from 'prom-client';
import { expect, test, vi } from 'vitest';
import { StoreUnavailableError } from '../../../src/core/errors.ts';
import { Census } from '../../../src/core/monitor/census.ts';
import type { MonitorSnapshot } from '../../../src/core/monitor/snapshot.ts';
import type { Store } from '../../../src/core/store.ts';
import { ContextEngine, defineTool, openStore } from '../../../src/index.ts';
import { inMemory, newSession, onEveryStore } from '../../support/engines.ts';

const say = (content: string) => ({ role: 'user', content }) as const;

onEveryStore('totals', (open) => {
  test('are those of the tenant, whatever was written, changed and deleted', async () => {
    const engine = await open();
    const totals = async () => {
      const { asOf, ...counts } = (await engine.monitor.snapshot({ waitMs: 60_000 })).totals!;
      expect(Math.abs(Date.now() - asOf)).toBeLessThan(60_000);
      return counts;
    };
    const nothing = { sessions: 0, activeSessions: 0, messages: 0, memories: 0, complete: true };
    expect(await totals()).toEqual(nothing);
    for (const id of ['a', 'b', 'c']) {
      await engine.sessions.create({ id, userId: 'ada' });
      await engine.messages.append(id, [say('one'), say('two'), say('three')]);
    }
    const participants = [
      { id: 'x', role: 'agent' as const },
      { id: 'y', role: 'agent' as const },
    ];
    await engine.channels.open('a', { id: 'side', type: 'agent_to_agent', participants });
    await engine.channels.send('a', 'side', { from: 'x', content: 'psst' });
    const memory = await engine.memory.add({ userId: 'ada', content: 'likes pears' });
    await engine.memory.add({ userId: 'ben', content: 'plays chess' });
    await engine.tenant('other').sessions.create({ id: 'x', userId: 'eve' });
    expect(await totals()).toEqual({ ...nothing, sessions: 3, activeSessions: 3, messages: 10, memories: 2 });
    await engine.messages.pop('a');
    await engine.messages.clear('b');
    await engine.sessions.end('b');
    await engine.sessions.delete('c');
    await engine.sessions.fork('a', { id: 'd' });
    await engine.memory.delete(memory.id, { userId: 'ada' });
    // A fork has the channels as well.
    expect(await engine.messages.list('d', { channel: 'side' })).toHaveLength(1);
    expect(await totals()).toEqual({ ...nothing, sessions: 3, activeSessions: 2, messages: 6, memories: 1 });
  });
});

test('totals say so where there is more than can be kept in mind', async () => {
  const store = await openStore('memory:');
  await using engine = new ContextEngine(store);
  for (let i = 0; i < 10; i++) await newSession(engine, `s${i}`);
  const census = new Census(store, { tenant: 'default', clock: { now: Date.now }, most: 4 });
  await census.count();
  expect(census.totals).toMatchObject({ sessions: 4, complete: false });
});

test.for([
  ['getRecords', 0],
  ['listLogs', 0],
  ['queryIndex', 0],
  // The first page is read, the second is not.
  ['readChanges', 1],
] as const)('totals are right again after a count in which %s failed', async ([verb, succeeding]) => {
  const store = await openStore('memory:');
  let left = Number.POSITIVE_INFINITY;
  const shaky = new Proxy(store, {
    get(target, name: keyof Store) {
      const member = target[name];
      if (typeof member !== 'function') return member;
      const isShaky = name === verb && left-- <= 0;
      return isShaky ? () => Promise.reject(new StoreUnavailableError('away')) : member.bind(target);
    },
  });
  await using engine = new ContextEngine(store);
  const census = new Census(shaky, { tenant: 'default', clock: { now: Date.now } });
  await newSession(engine);
  await census.count();
  await newSession(engine, 's2');
  await engine.memory.add({ userId: 'ada', content: 'likes pears' });
  for (let i = 0; i < 600; i++) await engine.messages.append('s', say(`${i}`));
  left = succeeding;
  await expect(census.count()).rejects.toThrow('away');
  left = Number.POSITIVE_INFINITY;
  await census.count();
  expect(census.totals).toMatchObject({ sessions: 2, messages: 600, memories: 1, complete: true });
});

test('totals are counted anew where the journal no longer tells what has changed', async () => {
  const engine = await inMemory();
  await newSession(engine);
  expect((await engine.monitor.snapshot({ waitMs: 60_000 })).totals?.sessions).toBe(1);
  await newSession(engine, 's2');
  await engine.events.trim({ keepMs: 0 });
  expect((await engine.monitor.snapshot({ waitMs: 60_000 })).totals?.sessions).toBe(2);
});

test('a snapshot tells calls, rates, commits, groups, errors and the process', async () => {
  const engine = await inMemory();
  const id = await newSession(engine);
  await Promise.all(Array.from({ length: 20 }, (_, i) => engine.messages.append(id, say(`${i}`))));
  await expect(engine.sessions.get('nobody')).rejects.toThrow();
  await engine.window.reportUsage(id, { inputTokens: 200, cachedTokens: 150 });
  const { calls, rates, store, errors, queues, process, promptCache, lags } = await engine.monitor.snapshot();
  expect(calls['messages.append']).toMatchObject({ count: 20, outcomes: { ok: 20 } });
  expect(calls['sessions.get']).toMatchObject({ outcomes: { 'not-found': 1 } });
  expect(calls['messages.append']!.p99Ms).toBeGreaterThanOrEqual(calls['messages.append']!.p50Ms);
  expect(rates.messagesPerSecond).toBeGreaterThan(0);
  expect(store.calls.commit!.count).toBeGreaterThanOrEqual(22);
  expect(store.groups).toMatchObject({ largestBatches: 20 });
  expect(errors).toEqual({ 'not-found': 1 });
  expect(queues).toMatchObject({ commits: 0, waitingCommits: 0 });
  expect(promptCache).toEqual({ inputTokens: 200, cachedTokens: 150, hitRate: 0.75 });
  expect(process.memory.rssBytes).toBeGreaterThan(0);
  expect(lags).toEqual({ journalMs: 0, consumers: [] });
});

test('calls of tools are told by what came of them, which is no fault of the system', async () => {
  const engine = await inMemory();
  const input = { type: 'object' };
  const execute = () => {
    throw new Error('no');
  };
  engine.tools.register(defineTool({ name: 'fail', description: 'Fails.', input, execute }));
  await engine.tools.execute('fail');
  await engine.tools.execute('none');
  await engine.tools.chain([{ tool: 'fail' }]);
  const { calls, errors, health } = await engine.monitor.snapshot();
  expect(calls['tools.execute']!.outcomes).toEqual({ 'tool-failed': 2, 'not-found': 1 });
  expect(calls['tools.chain']!.outcomes).toEqual({ 'tool-failed': 1 });
  expect(errors).toEqual({ 'tool-failed': 3, 'not-found': 1 });
  expect(health.parts.find(({ name }) => name === 'errors')!.score).toBe(100);
  expect((await engine.monitor.prometheus()).text).toContain(
    'holdfast_calls_total{service="tools",verb="chain",outcome="tool-failed"} 1',
  );
});

test('a snapshot tells consumers of the journal, and that some are behind', async () => {
  const engine = await inMemory();
  const id = await newSession(engine);
  await engine.events.subscribe({ consumer: 'billing', after: 'oldest', signal: AbortSignal.abort() }).next();
  await engine.messages.append(id, say('hi'));
  const { lags } = await engine.monitor.snapshot();
  expect(lags).toMatchObject({ journalMs: 0, consumers: [{ name: 'billing', behind: 2, expired: false }] });
  expect((await engine.tenant('other').monitor.snapshot()).lags!.consumers).toEqual([]);
});

test('a store that can not be read is seen in the score, and the rest is told all the same', async () => {
  const store = await openStore('memory:');
  let away = false;
  const shaky = new Proxy(store, {
    get(target, name: keyof Store) {
      const member = target[name];
      if (typeof member !== 'function') return member;
      if (away && name !== 'close') return () => Promise.reject(new StoreUnavailableError('away'));
      return member.bind(target);
    },
  });
  await using engine = new ContextEngine(shaky);
  await newSession(engine);
  const storePart = ({ health }: MonitorSnapshot) => health.parts.find(({ name }) => name === 'store')!.score;
  expect(storePart(await engine.monitor.snapshot({ waitMs: 60_000 }))).toBe(100);
  away = true;
  await expect(engine.sessions.get('s')).rejects.toThrow();
  const snapshot = await engine.monitor.snapshot();
  expect(storePart(snapshot)).toBe(0);
  expect(snapshot.health.score).toBeLessThanOrEqual(50);
  expect(snapshot.errors).toEqual({ 'store-unavailable': 1 });
  expect(snapshot.totals).toMatchObject({ sessions: 1 });
  expect(snapshot.lags).toBeUndefined();
  expect((await engine.monitor.score()).score).toBeLessThanOrEqual(50);
});

test('a store that never answers is one that can not be read, and holds up neither the snapshot nor the end', async () => {
  const store = await openStore('memory:');
  const gate = Promise.withResolvers<void>();
  let hangs = false;
  const silent = new Proxy(store, {
    get(target, name: keyof Store) {
      const member = target[name];
      if (typeof member !== 'function') return member;
      const call = member.bind(target) as (...args: unknown[]) => unknown;
      return hangs && name !== 'close' ? () => gate.promise : call;
    },
  });
  const engine = new ContextEngine(silent, { maintenanceIntervalMs: 0, monitor: { sampleIntervalMs: 0 } });
  hangs = true;
  const { health, lags, totals } = await engine.monitor.snapshot({ waitMs: 1 });
  expect([lags, totals]).toEqual([undefined, undefined]);
  expect(health.parts.find(({ name }) => name === 'store')!.score).toBe(0);
  const score = engine.monitor.score();
  gate.resolve();
  await engine.close();
  await expect(score).resolves.toMatchObject({ score: expect.any(Number) });
});

test('operations of your own are timed, also those that fail, and of very many names the last together', async () => {
  const engine = await inMemory();
  {
    using timer = engine.monitor.operationTimer('plan');
    timer.fail(new TypeError('secret'));
  }
  const timer = engine.monitor.operationTimer('plan');
  expect(timer.stop()).toBe(timer.stop());
  for (let i = 0; i < 150; i++) engine.monitor.operationTimer(`op-${i}`).stop();
  const { operations } = await engine.monitor.snapshot();
  expect(operations.plan).toMatchObject({ count: 2, outcomes: { ok: 1, internal: 1 } });
  expect(Object.keys(operations)).toHaveLength(101);
  expect(operations.other).toMatchObject({ count: 51 });
  expect(() => engine.monitor.operationTimer('')).toThrow(expect.objectContaining({ code: 'invalid-input' }));
});

test('samples are taken by themselves, and the last ones are kept', async () => {
  const engine = await inMemory({ monitor: { sampleIntervalMs: 10, historySize: 3 } });
  await newSession(engine);
  await vi.waitFor(() => expect(engine.monitor.history()).toHaveLength(3));
  const first = engine.monitor.history()[0]!;
  expect(first).toMatchObject({ score: expect.any(Number), rssBytes: expect.any(Number), lagMs: 0 });
  await vi.waitFor(() => expect(engine.monitor.history()[0]!.at).toBeGreaterThan(first.at));
  expect(engine.tenant('other').monitor.history().length).toBe(3);
});

test('gives Prometheus its text: bounded labels, base units, and a registry of its own', async () => {
  const engine = await inMemory();
  const id = await newSession(engine, 'session-with-a-name');
  await engine.messages.append(id, say('hi'));
  engine.monitor.operationTimer('plan "b"\n').stop();
  const { contentType, text } = await engine.monitor.prometheus();
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(text).toContain('holdfast_messages 1');
  expect(text).toContain('holdfast_calls_total{service="messages",verb="append",outcome="ok"} 1');
  expect(text).toContain(
    'holdfast_call_duration_seconds_bucket{service="messages",verb="append",le="+Inf"} 1',
  );
  expect(text).toContain('holdfast_operation_duration_seconds_count{name="plan \\"b\\"\\n"} 1');
  expect(text).toMatch(/^holdfast_process_resident_memory_bytes \d+$/m);
  expect(text).not.toContain('session-with-a-name');
  expect(register.getMetricsAsArray()).toEqual([]);
});

test('what Prometheus is given is well formed: each series once, below the type and help of its metric', async () => {
  const engine = await inMemory({ monitor: { sampleIntervalMs: 0 } });
  const id = await newSession(engine);
  await engine.messages.append(id, say('hi'));
  await expect(engine.sessions.get('nobody')).rejects.toThrow();
  await engine.window.reportUsage(id, { inputTokens: 200, cachedTokens: 150 });
  engine.monitor.operationTimer('plan').stop();
  const { text } = await engine.monitor.prometheus();
  const seen = new Map<string, number>();
  const types = new Map<string, string>();
  const labels = new Set<string>();
  for (const line of text.trimEnd().split('\n').filter(Boolean)) {
    const [, name, type] = /^# TYPE (\w+) (gauge|counter|histogram)$/.exec(line) ?? [];
    if (name && type) {
      expect([...types.keys()]).not.toContain(name);
      types.set(name, type);
    } else if (!line.startsWith('# HELP ')) {
      const [, series, metric, inner = '', value] = /^((holdfast_\w+)(?:\{(.*)\})?) (\S+)$/.exec(line)!;
      expect([...seen.keys()]).not.toContain(series);
      seen.set(series!, Number(value));
      expect(value).not.toBe('NaN');
      const family = [...types.keys()].at(-1)!;
      const isHistogram = types.get(family) === 'histogram';
      expect(metric!.replace(isHistogram ? /_(bucket|sum|count)$/ : '', '')).toBe(family);
      expect(family.endsWith('_total')).toBe(types.get(family) === 'counter');
      for (const [, label] of inner.matchAll(/(\w+)="/g)) labels.add(label!);
    }
  }
  for (const [series, value] of seen)
    if (series.includes('le="+Inf"')) {
      const count = series
        .replace('_bucket', '_count')
        .replace(/,?le="\+Inf"/, '')
        .replace('{}', '');
      expect([count, seen.get(count)]).toEqual([count, value]);
    }
  const known = [
    'code',
    'kind',
    'le',
    'name',
    'outcome',
    'part',
    'queue',
    'service',
    'source',
    'stat',
    'verb',
  ];
  expect(known).toEqual(expect.arrayContaining([...labels]));
});

test('two engines in a process do not see each other', async () => {
  const [one, two] = [await inMemory(), await inMemory()];
  await newSession(one);
  expect((await two.monitor.snapshot()).calls).toEqual({});
  expect((await two.monitor.prometheus()).text).toContain('holdfast_sessions 0');
});

test('refuses all calls once the engine is closed, in tenants as well', async () => {
  const engine = await ContextEngine.open('memory:');
  const tenant = engine.tenant('other');
  await engine.close();
  const closed = expect.objectContaining({ code: 'closed' });
  for (const { monitor } of [engine, tenant]) {
    await expect(monitor.snapshot()).rejects.toEqual(closed);
    await expect(monitor.score()).rejects.toEqual(closed);
    await expect(monitor.prometheus()).rejects.toEqual(closed);
    expect(() => monitor.history()).toThrow(closed);
    expect(() => monitor.operationTimer('x')).toThrow(closed);
  }
});

test('says so where monitoring is switched off, and watches nothing', async () => {
  await using engine = await ContextEngine.open('memory:', { monitor: { enabled: false } });
  const off = expect.objectContaining({ code: 'unsupported' });
  await expect(engine.monitor.snapshot()).rejects.toEqual(off);
  expect(() => engine.monitor.operationTimer('x')).toThrow(off);
  expect(Object.hasOwn(engine.messages, 'append')).toBe(false);
});

test('refuses options that it does not know', async () => {
  await expect(ContextEngine.open('memory:', { monitor: { sampleInterval: 1 } as never })).rejects.toThrow(
    /sampleIntervalMs/,
  );
  const engine = await inMemory();
  await expect(engine.monitor.snapshot({ waitMs: -1 })).rejects.toThrow(/waitMs/);
});
