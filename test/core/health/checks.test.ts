import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { EngineOptions } from '../../../src/core/engine-options.ts';
import { StoreUnavailableError } from '../../../src/core/errors.ts';
import type { HealthStatus } from '../../../src/core/health/check.ts';
import { mostCounted, thresholdsOf } from '../../../src/core/health/options.ts';
import { checkEventLoop, checkMemory } from '../../../src/core/health/process-checks.ts';
import { ProcessWatch } from '../../../src/core/monitor/process.ts';
import { kinds, SYSTEM_PARTITION } from '../../../src/core/partitions.ts';
import type { Cursor, Store } from '../../../src/core/store.ts';
import { ContextEngine, openStore } from '../../../src/index.ts';
import { withFallback } from '../../../src/stores/fallback/index.ts';
import { inMemory, newSession } from '../../support/engines.ts';

const statusesOf = (report: { checks: { name: string; status: HealthStatus }[] }) =>
  Object.fromEntries(report.checks.map(({ name, status }) => [name, status]));

/** A consumer with its place at the journal's beginning. */
async function saved(store: Store, id: string): Promise<void> {
  const { cursor } = await store.readChanges('oldest', 0);
  const value = JSON.stringify({ cursor });
  await store.commit({
    partition: SYSTEM_PARTITION,
    operations: [{ op: 'put', kind: kinds.consumer, id: JSON.stringify(['default', id]), value }],
  });
}

const NEVER = { degraded: Number.POSITIVE_INFINITY, unhealthy: Number.POSITIVE_INFINITY };
/** Leaves the machine out that the tests run on: it may be busy, short of memory, nearly full, or have its clock set. */
const calm = {
  storeMs: NEVER,
  eventLoopMs: NEVER,
  memory: NEVER,
  clockJumpMs: NEVER,
  diskFreeBytes: { degraded: 0, unhealthy: 0 },
};

/** An engine in memory whose health is that of its store and of the checks that a test registers. */
const calmly = ({ health, ...options }: EngineOptions = {}) =>
  inMemory({ ...options, health: { ...health, thresholds: { ...calm, ...health?.thresholds } } });

async function onFile(options: EngineOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const path = join(folder, 'a.db');
  const engine = await ContextEngine.open(`file:${path}`, { maintenanceIntervalMs: 0, ...options });
  onTestFinished(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });
  return { engine, path };
}

describe('engine.health.check', () => {
  it('finds a new store on a file well, with facts and the time that each check took', async () => {
    const { engine } = await onFile({ health: { thresholds: calm } });
    const report = await engine.health.check();
    expect(report).toMatchObject({ status: 'healthy', reasons: [], at: expect.any(Number) });
    expect(statusesOf(report)).toEqual({
      store: 'healthy',
      schema: 'healthy',
      disk: 'healthy',
      journal: 'healthy',
      memory: 'healthy',
      'event-loop': 'healthy',
      clock: 'healthy',
    });
    for (const { durationMs, message } of report.checks) {
      expect(durationMs).toBeGreaterThanOrEqual(0);
      expect(message).not.toBe('');
    }
    const disk = report.checks.find(({ name }) => name === 'disk');
    expect(disk?.facts?.freeBytes).toBeGreaterThan(0);
  });

  it('looks at no disk where there is none', async () => {
    const engine = await calmly();
    expect(statusesOf(await engine.health.check())).not.toHaveProperty('disk');
  });

  it('looks at the disk of a fallback too, without which an outage loses writes', async () => {
    const path = mkdtempSync(join(tmpdir(), 'holdfast-'));
    onTestFinished(() => rmSync(path, { recursive: true }));
    const diskFreeBytes = { degraded: 2 ** 60, unhealthy: 2 ** 60 };
    const health = { thresholds: { diskFreeBytes } };
    const openOn = async (store: () => Promise<Store>, name: string) => {
      const spool = await openStore(`file:${path}/${name}.db`);
      const both = await withFallback(store, spool);
      const engine = new ContextEngine(both, { health, maintenanceIntervalMs: 0 });
      onTestFinished(() => engine.close());
      const { checks } = await engine.health.check();
      return checks.find((check) => check.name === 'disk');
    };
    const message = expect.stringMatching(/^\d+ MiB free where the fallback is$/);
    const there = await openOn(() => openStore('memory:'), 'a');
    expect(there).toMatchObject({ status: 'degraded', message, hint: expect.stringMatching(/^Make room/) });
    const away = () => Promise.reject(new StoreUnavailableError('the server is away'));
    expect(await openOn(away, 'b')).toMatchObject({ status: 'unhealthy', message });
  });

  it('goes by thresholds that are options, and tells what to do', async () => {
    const thresholds = { ...calm, diskFreeBytes: { degraded: 2 ** 60, unhealthy: 0 } };
    const { engine } = await onFile({ health: { thresholds } });
    const report = await engine.health.check();
    expect(report.status).toBe('degraded');
    expect(report.reasons).toEqual([expect.stringMatching(/^disk: \d+ MiB free where the store is$/)]);
    expect(report.checks.find(({ name }) => name === 'disk')?.hint).toMatch(/^Make room/);
    const full = await onFile({ health: { thresholds: { diskFreeBytes: { unhealthy: 2 ** 60 } } } });
    expect((await full.engine.health.check()).status).toBe('unhealthy');
  });

  it('takes Infinity for a threshold that is never reached, and nothing for the default', async () => {
    const thresholds = { journalLag: NEVER, memory: { degraded: 0, unhealthy: undefined } };
    const engine = await calmly({ health: { thresholds } as never });
    const { status, reasons } = await engine.health.check();
    expect([status, reasons]).toEqual(['degraded', [expect.stringMatching(/^memory: /)]]);
  });

  it('counts no further than it matters how far somebody is behind', () => {
    const most = (levels: object) => mostCounted(thresholdsOf({ journalLag: levels }).journalLag);
    expect(most({})).toBe(10_000);
    expect(most({ unhealthy: 50_000 })).toBe(50_000);
    expect(most({ degraded: Number.POSITIVE_INFINITY })).toBe(10_000);
  });

  it('refuses thresholds that there are none of, all problems at once', async () => {
    const health = { thresholds: { diskFre: {} }, timeoutMs: 0 };
    await expect(ContextEngine.open('memory:', { health } as never)).rejects.toMatchObject({
      code: 'invalid-input',
      issues: [{ path: 'health.timeoutMs' }, { path: 'health.thresholds.diskFre' }],
    });
  });

  it('is unhealthy once a newer version has migrated the store', async () => {
    const { engine, path } = await onFile();
    const db = new Sqlite(path);
    db.pragma('user_version = 999');
    db.close();
    const report = await engine.health.check();
    expect(report.status).toBe('unhealthy');
    expect(report.reasons[0]).toMatch(/^schema: is 999, this version knows \d+$/);
  });

  it('tells of a clock that jumps, and that it is off the way it went', async () => {
    const clock = { ahead: 0, now: () => Date.now() + clock.ahead };
    const engine = await calmly({ clock, health: { thresholds: { clockJumpMs: { degraded: 30_000 } } } });
    expect((await engine.health.check()).status).toBe('healthy');
    clock.ahead = -60_000;
    const report = await engine.health.check();
    const moved = expect.stringMatching(/^clock: has moved by -(59|60)\.\d s against the time that passed$/);
    expect(report.reasons).toEqual([moved]);
    expect(report.status).toBe('degraded');
  });

  it('tells how far the index is behind, until it has caught up', async () => {
    const thresholds = { journalLag: { degraded: 5 } };
    const engine = await calmly({ health: { thresholds } });
    await newSession(engine);
    await engine.messages.append('s', { role: 'user', content: 'first' });
    await engine.messages.search('first', { sessionId: 's' });
    await engine.health.recover('catch-up-index');
    expect((await engine.health.check()).status).toBe('healthy');
    for (let i = 0; i < 6; i++) await engine.messages.append('s', { role: 'user', content: `${i}` });
    const report = await engine.health.check();
    expect(report.status).toBe('degraded');
    expect(report.reasons).toEqual([expect.stringMatching(/^journal: the index is \d+ changes behind$/)]);
    await expect(engine.health.recover('catch-up-index')).resolves.toMatchObject({ done: true });
    expect((await engine.health.check()).status).toBe('healthy');
  });

  it('tells which subscriber is behind, and of a journal that nobody trims', async () => {
    const clock = { ahead: 0, now: () => Date.now() + clock.ahead };
    const thresholds = { journalLag: { degraded: 3 } };
    const engine = await calmly({ clock, health: { thresholds }, journalKeepMs: 1000 });
    await newSession(engine);
    for await (const _ of engine.events.subscribe({ consumer: 'slow', after: 'oldest' })) break;
    for (let i = 0; i < 4; i++) await engine.messages.append('s', { role: 'user', content: `${i}` });
    clock.ahead = 3 * 3_600_000;
    const { checks } = await engine.health.check();
    const journal = checks.find(({ name }) => name === 'journal');
    expect(journal?.message).toMatch(/^consumer 'slow' is \d+ changes behind; is not trimmed/);
    expect(journal?.hint).toContain("events.forget('slow')");
  });
});

describe('the checks of the process', () => {
  const facts = () => {
    using watch = new ProcessWatch().start();
    return watch.read();
  };

  it('tell of a heap that is nearly full, and of a container that is', () => {
    const now = facts();
    const full = { ...now, memory: { ...now.memory, heapUsedBytes: now.memory.heapLimitBytes * 0.9 } };
    expect(checkMemory(full, thresholdsOf())).toMatchObject({ status: 'degraded' });
    const memory = { ...now.memory, rssBytes: 99, limitBytes: 100 };
    expect(checkMemory({ ...now, memory }, thresholdsOf())).toMatchObject({ status: 'unhealthy' });
  });

  it('know at the first look what has held the event loop up since the engine was opened', async () => {
    const engine = await calmly();
    await vi.waitFor(async () => {
      for (const until = Date.now() + 150; Date.now() < until; );
      const { eventLoop } = (await engine.monitor.snapshot()).process;
      expect(eventLoop.delayMaxMs).toBeGreaterThan(100);
    });
    const { checks } = await engine.health.check();
    const loop = checks.find(({ name }) => name === 'event-loop');
    expect(loop?.facts?.delayMaxMs).toBeGreaterThan(100);
  });

  it('tell of an event loop that is held up', () => {
    const now = facts();
    const held = { ...now, eventLoop: { ...now.eventLoop, delayP99Ms: 300 } };
    expect(checkEventLoop(held, thresholdsOf())).toMatchObject({
      status: 'degraded',
      message: 'timers come 300 ms late at the 99th percentile',
    });
  });
});

describe('what holds where a call says nothing else', () => {
  it('is what the engine was told', async () => {
    const engine = await calmly({ sessionTtlMs: 5000, maxTokens: 4000, taskMaxSize: 10 });
    await newSession(engine);
    expect((await engine.sessions.get('s')).ttlMs).toBe(5000);
    await engine.sessions.create({ id: 'own', userId: 'u', ttlMs: 9000 });
    expect((await engine.sessions.get('own')).ttlMs).toBe(9000);
    expect((await engine.window.build('s')).budget.maxTokens).toBe(4000);
    expect((await engine.window.build('s', { maxTokens: 500 })).budget.maxTokens).toBe(500);
    await using task = await engine.tasks.open({ sessionId: 's' });
    for (const data of ['first text', 'other text']) await task.addUpdate('note', data);
    expect(task.optimize()).toBe(true);
    expect(task.history.map((update) => update.data)).toEqual(['other text']);
    const bare = await calmly();
    await newSession(bare);
    await expect(bare.window.build('s')).rejects.toMatchObject({ code: 'invalid-input' });
  });
});

describe('checks of your own', () => {
  it('are in the report, and make the whole degraded at most unless they are critical', async () => {
    const engine = await calmly();
    const off = engine.health.register('model', () => ({ status: 'unhealthy', message: 'gives no answer' }));
    const report = await engine.health.check();
    expect(report).toMatchObject({ status: 'degraded', reasons: ['model: gives no answer'] });
    engine.health.register('model', () => ({ status: 'unhealthy' }), { critical: true });
    expect((await engine.health.check()).status).toBe('unhealthy');
    // The one that was replaced takes nothing away any more.
    off();
    expect((await engine.health.check()).status).toBe('unhealthy');
    engine.health.register('model', () => undefined)();
    expect((await engine.health.check()).status).toBe('healthy');
  });

  it('that hang or throw have failed, and the report comes nevertheless', async () => {
    const engine = await calmly({ health: { timeoutMs: 60_000 } });
    engine.health.register('hangs', () => new Promise(() => {}), { timeoutMs: 20 });
    engine.health.register('throws', () => {
      throw new TypeError('the secret of the house');
    });
    engine.health.register(
      'heeds its signal',
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      { timeoutMs: 20 },
    );
    const report = await engine.health.check();
    expect(report.status).toBe('degraded');
    expect(report.reasons).toEqual([
      'hangs: gave no answer within 20 ms',
      'throws: failed with TypeError',
      'heeds its signal: gave no answer within 20 ms',
    ]);
    expect(JSON.stringify(report)).not.toContain('secret');
  });

  it('that hang are not begun again until they end, and have failed meanwhile', async () => {
    const engine = await calmly();
    const gate = Promise.withResolvers<undefined>();
    const run = vi.fn(() => gate.promise);
    engine.health.register('hangs', run, { timeoutMs: 20 });
    for (let i = 0; i < 3; i++)
      expect((await engine.health.check()).reasons).toEqual(['hangs: gave no answer within 20 ms']);
    expect(run).toHaveBeenCalledOnce();
    gate.resolve(undefined);
    await vi.waitFor(async () => expect((await engine.health.check()).status).toBe('healthy'));
    expect(run.mock.calls.length).toBeGreaterThan(1);
  });

  it('that throw what can not be asked for its name have failed as any other', async () => {
    const engine = await calmly();
    const unnamed = Object.defineProperty(new Error('x'), 'name', {
      get: () => {
        throw new Error('the secret of the house');
      },
    });
    const throws = [
      unnamed,
      Object.assign(new Error('x'), { name: Symbol('x') }),
      Symbol('x'),
      undefined,
      null,
    ];
    for (const [i, thrown] of throws.entries())
      engine.health.register(`throws ${i}`, () => {
        throw thrown;
      });
    const told = ['object', 'object', 'symbol', 'undefined', 'object'];
    expect((await engine.health.check()).reasons).toEqual(
      told.map((kind, i) => `throws ${i}: failed with ${kind}`),
    );
  });

  it('that give what is no outcome have failed, so that no mistake passes for health', async () => {
    const engine = await calmly();
    const round: Record<string, unknown> = {};
    round.round = round;
    const gives: [name: string, outcome: unknown][] = [
      ['a status that there is none of', { status: 'down' }],
      ['no status', {}],
      ['false', false],
      ['text', 'all is well'],
      ['facts in a circle', { status: 'healthy', facts: round }],
      ['a number that is no JSON', { status: 'healthy', facts: { n: 7n } }],
    ];
    for (const [name, outcome] of gives) engine.health.register(name, () => outcome as never);
    const report = await engine.health.check();
    expect(report.status).toBe('degraded');
    expect(report.reasons).toEqual(gives.map(([name]) => `${name}: gave no outcome`));
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('tell by their status where they say nothing else, and no more than a thousand characters', async () => {
    const engine = await calmly();
    engine.health.register('terse', () => ({ status: 'unhealthy' }));
    engine.health.register('talks', () => ({ status: 'degraded', message: 'x'.repeat(5000) }));
    const { reasons } = await engine.health.check();
    expect(reasons).toEqual(['terse: is unhealthy', `talks: ${'x'.repeat(1000)}`]);
  });

  it('can not have the name of one of ours, nor be no function', async () => {
    const engine = await calmly();
    expect(() => engine.health.register('store', () => undefined)).toThrow(/is one of the checks/);
    expect(() => engine.health.register('own', 'no' as never)).toThrow(/expected a function/);
  });
});

describe('engine.health.onChange', () => {
  it('tells at once when it gets worse, and after two good reports when it gets better', async () => {
    const engine = await calmly();
    let status: HealthStatus = 'healthy';
    engine.health.register('own', () => ({ status }), { critical: true });
    const told: unknown[] = [];
    const off = engine.health.onChange((now, before) => told.push([before, now.status]));
    const look = async (next: HealthStatus) => {
      status = next;
      await engine.health.check();
    };
    await look('healthy');
    expect(told).toEqual([]);
    await look('degraded');
    await look('unhealthy');
    // It comes and goes: nobody is told.
    await look('healthy');
    await look('unhealthy');
    await look('healthy');
    expect(told).toEqual([
      ['healthy', 'degraded'],
      ['degraded', 'unhealthy'],
    ]);
    await look('healthy');
    expect(told.at(-1)).toEqual(['unhealthy', 'healthy']);
    off();
    await look('unhealthy');
    expect(told).toHaveLength(3);
  });

  it('lets no listener that throws keep others from being told', async () => {
    const errors: unknown[] = [];
    const engine = await calmly({ onError: (error) => errors.push(error) });
    engine.health.register('own', () => ({ status: 'degraded' }));
    const hears = vi.fn();
    engine.health.onChange(() => {
      throw new Error('deaf');
    });
    engine.health.onChange(async () => {
      throw new Error('deaf later');
    });
    engine.health.onChange(hears);
    await engine.health.check();
    expect(hears).toHaveBeenCalledOnce();
    await vi.waitFor(() => expect(errors).toEqual([new Error('deaf'), new Error('deaf later')]));
    expect(() => engine.health.onChange(undefined as never)).toThrow(/expected a function/);
  });

  it('hears of what is found by itself, where it looks regularly', async () => {
    const engine = await calmly({ health: { intervalMs: 5 } });
    const changed = new Promise((resolve) => engine.health.onChange(({ status }) => resolve(status)));
    engine.health.register('own', () => ({ status: 'degraded' }));
    await expect(changed).resolves.toBe('degraded');
  });
});

describe('engine.health', () => {
  it('gives who asks at the same time the same report, and the last one without looking', async () => {
    const engine = await calmly();
    const looks = vi.fn();
    engine.health.register('own', looks);
    const [one, two] = await Promise.all([engine.health.check(), engine.health.check()]);
    expect(two).toBe(one);
    expect(await engine.health.report()).toBe(one);
    expect(looks).toHaveBeenCalledOnce();
  });

  it('is the same in the view of every tenant', async () => {
    const engine = await calmly();
    expect(engine.tenant('other').health).toBe(engine.health);
  });

  it('is closed with the engine', async () => {
    const engine = await calmly();
    await engine.close();
    await expect(engine.health.check()).rejects.toMatchObject({ code: 'closed' });
    await expect(engine.health.recover('catch-up-index')).rejects.toMatchObject({ code: 'closed' });
  });

  it('reports no failures, and tells nobody of any, that are only its end', async () => {
    const engine = await calmly();
    const told = vi.fn();
    engine.health.onChange(told);
    const asked = Promise.withResolvers<void>();
    const hangs = () => {
      asked.resolve();
      return new Promise<never>(() => {});
    };
    engine.health.register('slow', hangs, { critical: true });
    const report = engine.health.check();
    const refused = expect(report).rejects.toMatchObject({ code: 'closed' });
    await asked.promise;
    await engine.close();
    await refused;
    expect(told).not.toHaveBeenCalled();
  });

  it('reads no further in the journal once the time of that check is over', async () => {
    const slow = await openStore('memory:');
    let reads = 0;
    const gate = Promise.withResolvers<void>();
    const store = new Proxy(slow, {
      get: (target, name: keyof Store) => {
        const member = target[name];
        if (typeof member !== 'function') return member;
        if (name !== 'readChanges') return (member as () => unknown).bind(target);
        return async (after: Cursor | 'oldest' | 'newest', limit: number) => {
          if (after === 'oldest' || after === 'newest') return target.readChanges(after, limit);
          reads++;
          await gate.promise;
          return target.readChanges(after, limit);
        };
      },
    });
    const health = { timeoutMs: 20 };
    const engine = new ContextEngine(store, {
      maintenanceIntervalMs: 0,
      health,
      monitor: { enabled: false },
    });
    onTestFinished(() => engine.close());
    await newSession(engine);
    for (const id of ['one', 'two']) await saved(slow, id);
    const { reasons } = await engine.health.check();
    expect(reasons).toContain('journal: gave no answer within 20 ms');
    expect(reads).toBe(1);
    gate.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toBe(1);
  });
});
