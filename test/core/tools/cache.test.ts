import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalKey } from '../../../src/core/tools/canonical.ts';
import { defineTool, type Tool } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';

/** A tool that counts, and gives, its calls. */
function counting(cache: Tool['cache'], execute = (calls: number): unknown => ({ calls })): Tool {
  let calls = 0;
  return defineTool({
    name: 'count',
    description: 'Counts.',
    input: { type: 'object' },
    ...(cache && { cache }),
    execute: () => execute(++calls),
  });
}

describe('cached results', () => {
  it('are given for equal inputs, whatever the order of their fields', async () => {
    const engine = await inMemory();
    engine.tools.register(counting({ ttlMs: 60_000 }));
    const first = await engine.tools.execute('count', { a: 1, b: { c: [1, 2], d: 'x' } });
    const second = await engine.tools.execute('count', { b: { d: 'x', c: [1, 2] }, a: 1 });
    const other = await engine.tools.execute('count', { a: 1, b: { c: [2, 1], d: 'x' } });
    expect([first, second, other].map(({ result, cached, attempts }) => [result, cached, attempts])).toEqual([
      [{ calls: 1 }, false, 1],
      [{ calls: 1 }, true, 0],
      [{ calls: 2 }, false, 1],
    ]);
    expect(engine.tools.stats('count')).toMatchObject({ calls: 3, cached: 1, attempts: 2 });
    expect(engine.tools.cacheUse).toEqual({ hits: 1, misses: 2, hitRate: 1 / 3 });
  });

  it('are given only for so long', async () => {
    let now = 1000;
    const engine = await inMemory({ clock: { now: () => now } });
    engine.tools.register(counting({ ttlMs: 500 }));
    const calls = async () => ((await engine.tools.execute('count')).result as { calls: number }).calls;
    expect([await calls(), await calls()]).toEqual([1, 1]);
    now += 499;
    expect(await calls()).toBe(1);
    now += 1;
    expect(await calls()).toBe(2);
  });

  it('are not given where the clock was set back, since nobody knows how old they are', async () => {
    let now = 1_000_000;
    const engine = await inMemory({ clock: { now: () => now } });
    engine.tools.register(counting({ ttlMs: 500 }));
    const calls = async () => ((await engine.tools.execute('count')).result as { calls: number }).calls;
    expect([await calls(), await calls()]).toEqual([1, 1]);
    now -= 500_000;
    expect([await calls(), await calls()]).toEqual([2, 2]);
  });

  it('are only so many, and those unused longest go first', async () => {
    const engine = await inMemory();
    engine.tools.register(counting({ ttlMs: 60_000, maxEntries: 2 }));
    const cached = async (n: number) => (await engine.tools.execute('count', { n })).cached;
    expect([await cached(1), await cached(2), await cached(1), await cached(3)]).toEqual([
      false,
      false,
      true,
      false,
    ]);
    expect([await cached(1), await cached(2)]).toEqual([true, false]);
  });

  it('are of successes alone', async () => {
    const engine = await inMemory();
    const execute = (calls: number) => {
      if (calls < 3) throw new Error('not yet');
      return calls;
    };
    engine.tools.register(counting({ ttlMs: 60_000 }, execute));
    const outcomes: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const { success, cached } = await engine.tools.execute('count');
      outcomes.push([success, cached]);
    }
    expect(outcomes).toEqual([
      [false, false],
      [false, false],
      [true, false],
      [true, true],
    ]);
  });

  it("are a tenant's own, and of a user or a session where the tool says so", async () => {
    const engine = await inMemory();
    engine.tools.register(counting({ ttlMs: 60_000, scope: 'user' }));
    const cached = async (userId?: string, tenant = 'default') =>
      (await engine.tenant(tenant).tools.execute('count', {}, { userId })).cached;
    expect([await cached('ada'), await cached('ada'), await cached('bob')]).toEqual([false, true, false]);
    expect(await cached('ada', 'other')).toBe(false);
    // A caller that names no user is given nobody's results.
    expect([await cached(), await cached()]).toEqual([false, false]);
    expect(engine.tools.stats('count').calls).toBe(5);
    expect(engine.tenant('other').tools.stats('count').calls).toBe(1);
  });

  it('are counted for all tenants together', async () => {
    const engine = await inMemory();
    engine.tools.register(counting({ ttlMs: 60_000 }));
    for (const tenant of ['blue', 'blue', 'green']) await engine.tenant(tenant).tools.execute('count');
    const use = { hits: 1, misses: 2, hitRate: 1 / 3 };
    expect((await engine.monitor.snapshot()).toolCache).toEqual(use);
    expect((await engine.tenant('green').monitor.snapshot()).toolCache).toEqual(use);
  });

  it('go with the tool that made them', async () => {
    const engine = await inMemory();
    engine.tools.register(counting({ ttlMs: 60_000 }));
    await engine.tools.execute('count');
    engine.tools.register(counting({ ttlMs: 60_000 }), { replace: true });
    expect(await engine.tools.execute('count')).toMatchObject({ cached: false, result: { calls: 1 } });
  });
});

describe('equal calls at the same time', () => {
  it('are one call, whose result each has for itself', async () => {
    const engine = await inMemory();
    const gate = Promise.withResolvers<void>();
    engine.tools.register(counting({ ttlMs: 60_000 }, (calls) => gate.promise.then(() => ({ calls }))));
    const calls = Array.from({ length: 50 }, () => engine.tools.execute('count'));
    gate.resolve();
    const results = await Promise.all(calls);
    expect(results.map(({ result }) => result)).toEqual(Array(50).fill({ calls: 1 }));
    expect(new Set(results.map(({ result }) => result)).size).toBe(50);
    expect(results.filter(({ cached }) => cached)).toHaveLength(49);
  });

  it('count once towards a rate limit, and one caller over its limit takes no other along', async () => {
    const engine = await inMemory();
    let calls = 0;
    engine.tools.register(
      defineTool({
        name: 'count',
        description: 'Counts.',
        input: { type: 'object' },
        cache: { ttlMs: 60_000 },
        rateLimit: { calls: 1, perMs: 2 ** 31 - 1, scope: 'user' },
        execute: () => ++calls,
      }),
    );
    const of = (userId: string, n: number) => engine.tools.execute('count', { n }, { userId });
    const equal = await Promise.all(Array.from({ length: 8 }, () => of('ada', 1)));
    expect(equal.map(({ result }) => result)).toEqual(Array(8).fill(1));
    const [over, ...others] = await Promise.all([of('ada', 2), of('bob', 2), of('bob', 2)]);
    expect(over).toMatchObject({ success: false, error: { code: 'rate-limited' } });
    expect(others).toMatchObject([{ result: 2 }, { result: 2 }]);
  });

  it('go on when one of their callers leaves, be it the first', async () => {
    const engine = await inMemory();
    const gate = Promise.withResolvers<void>();
    engine.tools.register(counting({ ttlMs: 60_000 }, (calls) => gate.promise.then(() => calls)));
    const first = new AbortController();
    const leaving = engine.tools.execute('count', {}, { signal: first.signal });
    const staying = engine.tools.execute('count');
    first.abort();
    expect((await leaving).error!.code).toBe('aborted');
    gate.resolve();
    expect(await staying).toMatchObject({ success: true, result: 1, cached: true });
  });

  it('end when all of their callers have left', async () => {
    const engine = await inMemory();
    const started = Promise.withResolvers<AbortSignal>();
    engine.tools.register(
      defineTool({
        name: 'slow',
        description: 'Waits.',
        input: { type: 'object' },
        cache: { ttlMs: 60_000 },
        execute: (_, { signal }) => {
          started.resolve(signal);
          return new Promise(() => {});
        },
      }),
    );
    const callers = [new AbortController(), new AbortController()];
    const calls = callers.map(({ signal }) => engine.tools.execute('slow', {}, { signal }));
    const signal = await started.promise;
    callers[0]!.abort();
    await calls[0];
    expect(signal.aborted).toBe(false);
    callers[1]!.abort();
    await calls[1];
    expect(signal.aborted).toBe(true);
  });
});

describe('the name of an input', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, field]) => [key, shuffled(field)] as const);
    return Object.fromEntries(entries.reverse());
  };

  it('is the same whatever the order of the fields', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalKey(shuffled(value))).toBe(canonicalKey(value));
      }),
    );
  });

  it('is another one for another input', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        const same = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
        fc.pre(!JSON.stringify([one, other]).includes('-0'));
        expect(canonicalKey(one) === canonicalKey(other)).toBe(same);
      }),
    );
  });

  it('tells values apart that JSON would not', () => {
    const values = [
      1,
      '1',
      1n,
      '1n',
      null,
      'null',
      undefined,
      0,
      -0,
      Number.NaN,
      new Date(1),
      '1970',
      [],
      {},
      '{}',
      [[]],
    ];
    expect(new Set(values.map(canonicalKey)).size).toBe(values.length);
  });

  it('is none for what has no name', () => {
    const ring: Record<string, unknown> = {};
    ring.self = ring;
    for (const value of [() => 1, new (class {})(), ring, [Symbol('x')], Array(20_000).fill(1)])
      expect(canonicalKey(value)).toBeUndefined();
  });

  function sorted(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([key, field]) => [`field ${key}`, sorted(field)]).concat([['object', true]]);
  }
});
