/** What the engine does about a store that was away, and an index that is broken. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, type TestContext, test, vi } from 'vitest';
import { FaultProxy } from '../../../scripts/servers/fault-proxy.ts';
import { startRedis } from '../../../scripts/servers/redis.ts';
import { StoreUnavailableError } from '../../../src/core/errors.ts';
import type { Store, StoreRecovery } from '../../../src/core/store.ts';
import { ContextEngine, openStore } from '../../../src/index.ts';
import { withFallback } from '../../../src/stores/fallback/index.ts';
import { inMemory, newSession } from '../../support/engines.ts';
import type { ServerName } from '../../support/server-names.ts';
import { createPlace, removePlace, serverUrl } from '../../support/servers.ts';

/** A machine that is busy with other tests holds the event loop up. */
const thresholds = { eventLoopMs: { degraded: 1e9, unhealthy: 1e9 } };
const away = { code: 'store-unavailable' };

async function opened(url: string, options: object = {}): Promise<ContextEngine> {
  const engine = await ContextEngine.open(url, { maintenanceIntervalMs: 0, timeoutMs: 2000, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

async function ownRedis(context: TestContext) {
  await serverUrl('redis', context);
  // It is killed: what it has acknowledged has to be in its file, though not on the disk.
  return startRedis({ appendOnly: 'no' });
}

test('finds a Redis that was killed unhealthy, and reconnects to it as soon as it is asked to', async (context) => {
  await using server = await ownRedis(context);
  const engine = await opened(server.url, { health: { timeoutMs: 10_000, thresholds } });
  await newSession(engine);
  expect((await engine.health.check()).status).toBe('healthy');
  await server.kill();
  await expect(engine.sessions.get('s')).rejects.toMatchObject(away);
  const report = await engine.health.check();
  expect(report.status).toBe('unhealthy');
  expect(report.reasons[0]).toMatch(/^store: the server does not answer/);
  expect(report.checks[0]?.hint).toContain('recover("reconnect")');
  await expect(engine.health.recover('reconnect')).rejects.toMatchObject(away);
  await server.restart();
  await expect(engine.health.recover('reconnect')).resolves.toMatchObject({
    action: 'reconnect',
    done: true,
    message: 'the store answers',
  });
  expect((await engine.sessions.get('s')).id).toBe('s');
  expect((await engine.health.check()).status).toBe('healthy');
});

test('tells of a store that is away as soon as a call finds it so, however seldom it looks by itself', async (context) => {
  await using server = await ownRedis(context);
  const engine = await opened(server.url, { health: { intervalMs: 1e9 } });
  await newSession(engine);
  const told = new Promise((resolve) => engine.health.onChange(({ status }) => resolve(status)));
  await server.kill();
  await expect(engine.sessions.get('s')).rejects.toMatchObject(away);
  await expect(told).resolves.toBe('unhealthy');
});

test('reconnects to a Postgres behind a network that was cut', async (context) => {
  await serverUrl('postgres', context);
  const url = await createPlace('postgres');
  const port = Number(new URL(url).port);
  await using proxy = await FaultProxy.start(port);
  const engine = await opened(proxy.through(url), { timeoutMs: 5000 });
  onTestFinished(() => removePlace(url));
  await newSession(engine);
  await proxy.refuse(true);
  proxy.reset();
  await expect(engine.sessions.get('s')).rejects.toMatchObject(away);
  await expect(engine.health.recover('reconnect')).rejects.toMatchObject(away);
  expect((await engine.health.check()).status).toBe('unhealthy');
  await proxy.refuse(false);
  await engine.health.recover('reconnect');
  expect((await engine.sessions.get('s')).id).toBe('s');
  const { checks } = await engine.health.check();
  const clock = checks.find(({ name }) => name === 'clock');
  expect(Math.abs(Number(clock?.facts?.skewMs))).toBeLessThan(2000);
});

test('brings what a fallback holds into the store when it is told to', async (context) => {
  await using server = await ownRedis(context);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const told: string[] = [];
  const tell = (_: object, message: string) => told.push(message);
  const logger = { debug() {}, info: tell, warn: tell, error: tell };
  const engine = await opened(server.url, { fallback: `file:${folder}/spool.db`, logger });
  await newSession(engine);
  await server.kill();
  await engine.messages.append('s', { role: 'user', content: 'kept' });
  const report = await engine.health.check();
  expect(report.status).toBe('degraded');
  expect(report.reasons[0]).toMatch(/^store: the store is away since /);
  await expect(engine.health.recover('replay-spool')).rejects.toMatchObject(away);
  await server.restart();
  await expect(engine.health.recover('replay-spool')).resolves.toMatchObject({
    done: true,
    message: 'the spool is empty',
  });
  expect(told).toEqual(['session created', 'store away', 'health changed', 'store back']);
  const other = await opened(server.url);
  expect((await other.messages.list('s')).map(({ content }) => content)).toEqual(['kept']);
});

test('tells the log of an acknowledged write that the store refuses when it is replayed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const fallback = `file:${folder}/spool.db`;
  const server = () => Promise.reject(new StoreUnavailableError('the server is away'));
  const spooling = await withFallback(server, await openStore(fallback), { timeoutMs: 100 });
  const partition = { tenant: 'default', type: 'session', id: 's' };
  const present = { op: 'check', kind: 'session', id: 'session', ifVersion: 'present' } as const;
  const append = { op: 'append', log: 'messages', entries: [{ value: '"canary"' }] } as const;
  await spooling.commit({ partition, operations: [present, append] });
  await spooling.close();
  const told = vi.fn();
  const logger = { debug() {}, info() {}, warn() {}, error: told };
  const store = await openStore('memory:', { fallback, logger });
  onTestFinished(() => store.close());
  const fields = { tenant: 'default', sessionId: 's', seq: 1, code: 'conflict' };
  await vi.waitFor(() => expect(told).toHaveBeenCalledWith(fields, 'acknowledged write refused'));
  expect(JSON.stringify(told.mock.calls)).not.toContain('canary');
});

test('says that an action means nothing for a store', async () => {
  const engine = await inMemory();
  for (const action of ['reconnect', 'replay-spool'] as const)
    await expect(engine.health.recover(action)).rejects.toMatchObject({ code: 'unsupported' });
  await expect(engine.health.recover('reboot' as never)).rejects.toMatchObject({ code: 'invalid-input' });
});

test('does an action once however many ask, and waits no longer than it is told to', async () => {
  const store = await openStore('memory:');
  const gate = Promise.withResolvers<void>();
  const reconnect = vi.fn(() => gate.promise);
  const engine = new ContextEngine(recovering(store, { reconnect }), { maintenanceIntervalMs: 0 });
  onTestFinished(() => engine.close());
  const first = engine.health.recover('reconnect');
  const late = await engine.health.recover('reconnect', { timeoutMs: 10 });
  expect(late).toMatchObject({ done: false, message: 'goes on: 10 ms were not enough' });
  gate.resolve();
  expect(await first).toMatchObject({ done: true });
  expect(reconnect).toHaveBeenCalledOnce();
});

test('lets nobody wait for an action once the engine is closed', async () => {
  const store = await openStore('memory:');
  const recovery = { reconnect: () => new Promise<void>(() => {}) };
  const engine = new ContextEngine(recovering(store, recovery), { maintenanceIntervalMs: 0 });
  const refused = expect(engine.health.recover('reconnect')).rejects.toMatchObject({ code: 'closed' });
  await engine.close();
  await refused;
});

/** A store that recovers in another way. */
function recovering(store: Store, recovery: StoreRecovery): Store {
  return new Proxy(store, {
    get: (target, name: keyof Store) => {
      if (name === 'recovery') return recovery;
      const member = target[name];
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
}

/** Takes all documents of sessions away, and leaves it written that they are there. */
async function breakIndex(store: Store, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const partition = { tenant: 'default', type: 'session', id };
    await store.commit({ partition, operations: [{ op: 'unindex', collection: 'messages' }] });
  }
}

async function placeOf(kind: string, context: TestContext): Promise<string> {
  if (kind === 'memory') return 'memory:';
  if (kind === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return `file:${folder}/a.db`;
  }
  await serverUrl(kind as ServerName, context);
  const url = await createPlace(kind as ServerName);
  onTestFinished(() => removePlace(url));
  return url;
}

test.for(['memory', 'sqlite', 'redis', 'postgres'])(
  'finds again what a broken index had lost, while searches go on (%s)',
  async (kind, context) => {
    const store = await openStore(await placeOf(kind, context));
    const engine = new ContextEngine(store, { maintenanceIntervalMs: 0 });
    onTestFinished(() => engine.close());
    const ids = ['a', 'b', 'c'];
    for (const id of ids) {
      await newSession(engine, id);
      const texts = ['the lighthouse keeper', `lantern of ${id}`, 'a quiet evening'];
      await engine.messages.append(
        id,
        texts.map((content) => ({ role: 'user' as const, content })),
      );
    }
    const search = (id: string) => engine.messages.search('lantern', { sessionId: id });
    const hits = async (id: string) =>
      (await search(id)).hits.filter(({ message: { content } }) => content === `lantern of ${id}`).length;
    expect(await Promise.all(ids.map(hits))).toEqual([1, 1, 1]);
    await breakIndex(store, ids);
    expect(await Promise.all(ids.map(hits))).toEqual([0, 0, 0]);
    const rebuilt = engine.health.recover('rebuild-index');
    await expect(search('b')).resolves.toBeDefined();
    await expect(rebuilt).resolves.toMatchObject({ done: true, message: 'everything is indexed anew' });
    expect(await Promise.all(ids.map(hits))).toEqual([1, 1, 1]);
    // Searching and rebuilding at once leaves nothing behind either.
    await breakIndex(store, ids);
    const [found] = await Promise.all([hits('c'), engine.health.recover('rebuild-index')]);
    expect([0, 1]).toContain(found);
    expect(await Promise.all(ids.map(hits))).toEqual([1, 1, 1]);
  },
);

test('reconnects to every node of a cluster', async (context) => {
  await serverUrl('redis-cluster', context);
  const url = await createPlace('redis-cluster');
  onTestFinished(() => removePlace(url));
  const engine = await opened(url, { timeoutMs: 20_000 });
  await newSession(engine);
  await expect(engine.health.recover('reconnect')).resolves.toMatchObject({ done: true });
  expect((await engine.sessions.get('s')).id).toBe('s');
});
