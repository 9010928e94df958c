import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners, once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ConcurrencyController } from '../../../src/core/concurrency/controller.ts';
import type { JobContext } from '../../../src/core/concurrency/options.ts';
import { ConflictError } from '../../../src/index.ts';

/** A function that runs until it is told to end. */
function gate<T = string>() {
  const started = Promise.withResolvers<JobContext>();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const fn = (context: JobContext) => {
    started.resolve(context);
    return promise;
  };
  return { fn, started: started.promise, end: resolve, fail: reject };
}

const soon = () => new Promise((done) => setImmediate(done));
const code = (error: unknown) => (error as { code: string }).code;
const codeOf = (promise: Promise<unknown>) => promise.then(() => 'none', code);

const unhandled: unknown[] = [];
const note = (error: unknown) => void unhandled.push(error);
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(async () => {
  vi.useRealTimers();
  await soon();
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

describe('submitting', () => {
  test('a job runs at once where a slot is free, and its result is there for whoever asks by its id', async () => {
    await using controller = new ConcurrencyController();
    const id = await controller.submit('mine', ({ id, signal }) => [id, signal.aborted]);
    expect(id).toBe('mine');
    expect(await controller.wait('mine')).toEqual(['mine', false]);
    expect(await controller.wait('mine')).toEqual(['mine', false]);
  });

  test('a job without an id is given one', async () => {
    await using controller = new ConcurrencyController();
    const ids = await Promise.all([controller.submit(() => 1), controller.submit(undefined, () => 2)]);
    expect(new Set(ids).size).toBe(2);
    expect(await Promise.all(ids.map((id) => controller.wait(id)))).toEqual([1, 2]);
  });

  test('run gives the result, which is not kept', async () => {
    await using controller = new ConcurrencyController();
    const typed: number = await controller.run('sum', async () => 1 + 1);
    expect(typed).toBe(2);
    expect(await codeOf(controller.wait('sum'))).toBe('not-found');
  });

  test('an id that is queued or running is refused, one that has ended may be used again', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1 });
    const first = gate();
    await controller.submit('a', first.fn);
    await controller.submit('b', () => 'b');
    await expect(controller.submit('a', () => 'other')).rejects.toBeInstanceOf(ConflictError);
    await expect(controller.submit('b', () => 'other')).rejects.toBeInstanceOf(ConflictError);
    first.end('a');
    expect(await controller.wait('a')).toBe('a');
    await controller.submit('a', () => 'again');
    expect(await controller.wait('a')).toBe('again');
  });

  test('everything that is wrong with a job is told at once, and names of the engine are taken', async () => {
    await using controller = new ConcurrencyController();
    const bad = controller.submit('x', () => 1, { timeoutMs: 0, kind: 'compaction', priority: Number.NaN });
    await expect(bad).rejects.toMatchObject({
      code: 'invalid-input',
      issues: [{ path: 'priority' }, { path: 'timeoutMs' }, { path: 'kind' }],
    });
    // @ts-expect-error no function
    expect(await codeOf(controller.submit('x'))).toBe('invalid-input');
    // @ts-expect-error no options
    expect(await codeOf(controller.submit(() => 1, null))).toBe('invalid-input');
    expect(() => new ConcurrencyController({ maxConcurrent: 0, maxQueued: -1 })).toThrow(
      /maxConcurrent.*maxQueued/,
    );
  });

  test('a job sees the context of whoever submitted it, also when it had to wait for room', async () => {
    const storage = new AsyncLocalStorage<string>();
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 1 });
    const first = gate();
    await controller.submit(first.fn);
    const seen = ['queued', 'waiting'].map((name) =>
      storage.run(name, () => controller.run(() => storage.getStore(), { waitForRoom: true })),
    );
    first.end('');
    expect(await Promise.all(seen)).toEqual(['queued', 'waiting']);
  });
});

describe('order', () => {
  test('higher priorities go first, and equals in the order they came', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1 });
    const first = gate();
    await controller.submit(first.fn);
    const ran: string[] = [];
    const add = (name: string, priority?: number | 'low' | 'normal' | 'high') =>
      controller.submit(() => void ran.push(name), priority === undefined ? {} : { priority });
    await add('low', 'low');
    await add('normal 1');
    await add('five', 5);
    await add('high', 'high');
    await add('normal 2', 'normal');
    await add('eleven', 11);
    first.end('');
    await controller.waitAll();
    expect(ran).toEqual(['eleven', 'high', 'five', 'normal 1', 'normal 2', 'low']);
  });

  test('while it is paused nothing starts, and what was queued starts when it goes on', async () => {
    await using controller = new ConcurrencyController();
    controller.pause();
    const fn = vi.fn(() => 1);
    await controller.submit('a', fn);
    await soon();
    expect(fn).not.toHaveBeenCalled();
    expect(controller.stats()).toMatchObject({ paused: true, queued: 1, running: 0 });
    controller.resume();
    expect(await controller.wait('a')).toBe(1);
  });
});

describe('back-pressure', () => {
  test('what there is no room for is refused with an error that names the settings', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 1 });
    const first = gate();
    await controller.submit(first.fn);
    await controller.submit(() => 2);
    await expect(controller.submit(() => 3)).rejects.toMatchObject({
      code: 'overloaded',
      details: { maxConcurrent: 1, maxQueued: 1 },
      hint: expect.stringContaining('maxQueued'),
    });
    expect(controller.stats().refused).toBe(1);
    first.end('');
    await controller.waitAll();
    expect(await controller.run(() => 4)).toBe(4);
  });

  test('with no queue at all one job after the other is taken', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 0 });
    for (let i = 0; i < 10; i++) expect(await controller.run(() => i)).toBe(i);
  });

  test('who waits for room gets it in the order of coming, before those who do not wait', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 0 });
    const first = gate();
    await controller.submit(first.fn);
    const ran: number[] = [];
    const all = [1, 2, 3].map((n) => controller.run(() => void ran.push(n), { waitForRoom: true }));
    expect(await codeOf(controller.submit(() => 4))).toBe('overloaded');
    first.end('');
    await Promise.all(all);
    expect(ran).toEqual([1, 2, 3]);
  });

  test('who waits for room with a higher priority gets it first', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 0 });
    const first = gate();
    await controller.submit(first.fn);
    const ran: string[] = [];
    const jobs = (['low', 5, 'high', -3, 'normal', 5] as const).map((priority, i) =>
      controller.run(() => void ran.push(`${priority} ${i}`), { priority, waitForRoom: true }),
    );
    first.end('');
    await Promise.all(jobs);
    expect(ran).toEqual(['high 2', '5 1', '5 5', 'normal 4', '-3 3', 'low 0']);
  });

  test('who waits for room can give up', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 0 });
    const first = gate();
    await controller.submit(first.fn);
    const quit = new AbortController();
    const fn = vi.fn();
    const waiting = controller.submit(fn, { waitForRoom: true, signal: quit.signal });
    quit.abort(new RangeError('enough'));
    await expect(waiting).rejects.toThrow('enough');
    first.end('');
    await soon();
    expect(fn).not.toHaveBeenCalled();
  });

  test('cancelling what is queued makes room', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 1 });
    const first = gate();
    await controller.submit(first.fn);
    await controller.submit('queued', () => 1);
    const waiting = controller.submit('next', () => 2, { waitForRoom: true });
    expect(await controller.cancel('queued')).toBe(true);
    expect(await waiting).toBe('next');
    first.end('');
    expect(await controller.wait('next')).toBe(2);
  });
});

describe('waiting', () => {
  test('a job that is unknown, or ended too long ago, is not found', async () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    await using controller = new ConcurrencyController({ keepEnded: 2, keepEndedMs: 1000 });
    for (const id of ['a', 'b', 'c']) {
      await controller.submit(id, () => id);
      await soon();
    }
    expect(await codeOf(controller.wait('a'))).toBe('not-found');
    expect(await controller.wait('b')).toBe('b');
    clock.mockReturnValue(1000);
    expect(await codeOf(controller.wait('c'))).toBe('not-found');
    expect(await codeOf(controller.wait('never'))).toBe('not-found');
    clock.mockRestore();
  });

  test('it can be for a time only, and the job goes on', async () => {
    await using controller = new ConcurrencyController();
    const slow = gate();
    await controller.submit('a', slow.fn);
    expect(await codeOf(controller.wait('a', { timeoutMs: 5 }))).toBe('timeout');
    expect(await codeOf(controller.waitAll({ timeoutMs: 5 }))).toBe('timeout');
    slow.end('done');
    expect(await controller.wait('a', { timeoutMs: 60_000 })).toBe('done');
  });

  test('waitAll tells of each job how it ended', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 2 });
    const [one, two] = [gate(), gate()];
    await controller.submit('a', one.fn);
    await controller.submit('b', two.fn);
    await controller.submit('c', () => 3);
    const all = controller.waitAll();
    const failure = new RangeError('two');
    two.fail(failure);
    one.end('one');
    expect(await all).toEqual([
      { id: 'a', status: 'fulfilled', value: 'one' },
      { id: 'b', status: 'rejected', reason: failure },
      { id: 'c', status: 'fulfilled', value: 3 },
    ]);
    expect(await controller.waitAll()).toEqual([]);
  });
});

describe('ending before its end', () => {
  test('a queued job that is cancelled never starts', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1 });
    const first = gate();
    await controller.submit(first.fn);
    const fn = vi.fn();
    await controller.submit('a', fn);
    expect(await controller.cancel('a')).toBe(true);
    expect(await controller.cancel('a')).toBe(false);
    expect(await codeOf(controller.wait('a'))).toBe('aborted');
    first.end('');
    await controller.waitAll();
    expect(fn).not.toHaveBeenCalled();
    expect(controller.stats()).toMatchObject({ cancelled: 1, completed: 1, lingering: 0 });
  });

  test('of a running job that is cancelled the signal is aborted, and who waits hears at once', async () => {
    await using controller = new ConcurrencyController();
    const slow = gate();
    await controller.submit('a', slow.fn);
    const { signal } = await slow.started;
    const waiting = codeOf(controller.wait('a'));
    expect(await controller.cancel('a')).toBe(true);
    expect(signal.aborted).toBe(true);
    expect(code(signal.reason)).toBe('aborted');
    expect(await waiting).toBe('aborted');
    expect(controller.stats()).toMatchObject({ running: 0, lingering: 1, cancelled: 1 });
    slow.end('too late');
    await soon();
    expect(controller.stats()).toMatchObject({ lingering: 0, completed: 0 });
    expect(await codeOf(controller.wait('a'))).toBe('aborted');
    expect(await codeOf(controller.cancel('unknown'))).toBe('not-found');
  });

  test("a caller's signal cancels it with its own reason, queued, running or not yet submitted", async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1 });
    const quit = new AbortController();
    const { signal } = quit;
    const [running, never] = [gate(), vi.fn()];
    const jobs = [controller.run(running.fn, { signal }), controller.run(never, { signal })];
    const reason = new RangeError('gone');
    const ends = Promise.allSettled(jobs);
    await running.started;
    quit.abort(reason);
    expect(await ends).toEqual(jobs.map(() => ({ status: 'rejected', reason })));
    await expect(controller.submit(never, { signal })).rejects.toBe(reason);
    running.end('');
    await soon();
    expect(never).not.toHaveBeenCalled();
  });

  test('one signal cancels all that it was submitted with, and none takes the place of another', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 1 });
    const quit = new AbortController();
    const [running, never] = [gate(), vi.fn()];
    const options = { signal: quit.signal, waitForRoom: true };
    const jobs = [running.fn, never, never, never].map((fn) => controller.run(fn, options));
    const ends = Promise.allSettled(jobs);
    await running.started;
    const reason = new RangeError('gone');
    quit.abort(reason);
    expect(await ends).toEqual(jobs.map(() => ({ status: 'rejected', reason })));
    running.end('');
    await controller.waitAll();
    expect(await controller.run(() => 'next')).toBe('next');
    expect(never).not.toHaveBeenCalled();
  });

  test('however many jobs share a signal, it has one listener, which goes with the last of them', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 2, maxQueued: 2 });
    const { signal } = new AbortController();
    const slow = gate();
    const options = { signal, waitForRoom: true };
    const jobs = Array.from({ length: 8 }, () => controller.run(slow.fn, options));
    await slow.started;
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    slow.end('');
    await Promise.all(jobs);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('a signal that is aborted after the end changes nothing', async () => {
    await using controller = new ConcurrencyController();
    const quit = new AbortController();
    await controller.submit('a', () => 1, { signal: quit.signal });
    expect(await controller.wait('a')).toBe(1);
    quit.abort();
    expect(await controller.wait('a')).toBe(1);
    expect(controller.stats()).toMatchObject({ completed: 1, cancelled: 0 });
  });

  test('a job that takes too long ends with timeout, and its time begins when it starts', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, timeoutMs: 20 });
    const first = gate();
    await controller.submit(first.fn, { timeoutMs: 60_000 });
    const second = gate();
    const ended = controller.run(second.fn);
    first.end('');
    const { signal } = await second.started;
    expect(signal.aborted).toBe(false);
    await expect(ended).rejects.toMatchObject({ code: 'timeout', details: { timeoutMs: 20 } });
    expect(signal.aborted).toBe(true);
    second.end('');
    expect(controller.stats()).toMatchObject({ timedOut: 1 });
    expect(controller.stats().kinds.job!.lastError).toMatchObject({ code: 'timeout' });
  });

  test('a function that goes on keeps its slot for the grace, so that never more run than may', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await using controller = new ConcurrencyController({ maxConcurrent: 1, graceMs: 1000 });
    const [deaf, deafer, fn] = [gate(), gate(), vi.fn()];
    await controller.submit('deaf', deaf.fn);
    await controller.submit('deafer', deafer.fn);
    await controller.submit('next', fn);
    await controller.cancel('deaf');
    await vi.advanceTimersByTimeAsync(999);
    expect(controller.stats()).toMatchObject({ running: 0, lingering: 1, queued: 2 });
    deaf.end('at last');
    await deafer.started;
    await controller.cancel('deafer');
    await vi.advanceTimersByTimeAsync(999);
    expect(fn).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(fn).toHaveBeenCalledTimes(1);
    deafer.end('much later');
  });

  test('one that never ends loses its slot after the grace, and is still counted', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1, graceMs: 5 });
    const never = gate();
    await controller.submit('never', never.fn, { timeoutMs: 5 });
    expect(await controller.run(() => 'others run')).toBe('others run');
    expect(controller.stats()).toMatchObject({ running: 0, lingering: 1, timedOut: 1 });
    never.end('');
    await soon();
    expect(controller.stats().lingering).toBe(0);
  });
});

describe('odd functions', () => {
  const thrower = new Proxy(new Error('odd'), {
    get: () => {
      throw new RangeError('not even a name');
    },
    getPrototypeOf: () => {
      throw new RangeError('nor a kind');
    },
  });
  test.for([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'oops'],
    ['an error that throws when looked at', thrower],
  ] as const)('one that throws %s fails with just that, at once or later', async ([, thrown]) => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1 });
    const atOnce = () => {
      throw thrown;
    };
    for (const fn of [atOnce, async () => atOnce()]) {
      const end = await controller.run(fn).then(
        () => 'no failure',
        (error: unknown) => ({ error }),
      );
      expect((end as { error: unknown }).error === thrown).toBe(true);
    }
    expect(controller.stats()).toMatchObject({ failed: 2, running: 0 });
    expect(await controller.run(() => 'fine')).toBe('fine');
  });

  test('a thenable that answers twice counts once, and one whose then throws fails', async () => {
    await using controller = new ConcurrencyController();
    const then = (...[yes, no]: ((value: number) => void)[]) => [yes!(1), yes!(2), no!(3)];
    expect(await controller.run(() => ({ then }) as unknown as Promise<number>)).toBe(1);
    const broken = {
      // biome-ignore lint/suspicious/noThenProperty: that is what is tried
      get then(): never {
        throw new RangeError('broken');
      },
    };
    await expect(controller.run(() => broken)).rejects.toThrow('broken');
  });

  test('failures that nobody waits for disturb nobody', async () => {
    await using controller = new ConcurrencyController();
    for (let i = 0; i < 20; i++) await controller.submit(() => Promise.reject(new RangeError('alone')));
    await controller.waitAll();
    expect(controller.stats()).toMatchObject({ failed: 20 });
  });
});

describe('numbers', () => {
  test('jobs are counted by kind, with how long they waited and ran', async () => {
    await using controller = new ConcurrencyController({ maxConcurrent: 1 });
    const first = gate();
    await controller.submit(first.fn, { kind: 'report' });
    await controller.submit(() => 1, { kind: 'report' });
    await controller.submit(() => 1);
    const { kinds, ...all } = controller.stats();
    expect(all).toMatchObject({ running: 1, queued: 2, maxConcurrent: 1, maxQueued: 1000 });
    expect(kinds.report).toMatchObject({ running: 1, queued: 1 });
    expect(kinds.job).toMatchObject({ running: 0, queued: 1 });
    first.end('');
    await controller.waitAll();
    const { report } = controller.stats().kinds;
    expect(report).toMatchObject({ completed: 2, waitMs: { count: 2 }, runMs: { count: 2 } });
    expect(report!.runMs.maxMs).toBeGreaterThan(0);
    expect(report!.runMs.totalMs).toBeGreaterThanOrEqual(report!.runMs.maxMs);
  });

  test('failures in a row are seen with the code of the last one, until something succeeds', async () => {
    await using controller = new ConcurrencyController();
    const fail = () => Promise.reject(new ConflictError('lost', 1));
    for (let i = 0; i < 3; i++) await codeOf(controller.run(fail, { kind: 'sync' }));
    const { sync } = controller.stats().kinds;
    expect(sync).toMatchObject({ failed: 3, failuresInARow: 3, lastError: { code: 'conflict' } });
    expect(sync!.lastError!.at).toBeLessThanOrEqual(Date.now());
    await controller.run(() => 1, { kind: 'sync' });
    expect(controller.stats().kinds.sync).toMatchObject({ failed: 3, failuresInARow: 0 });
  });

  test('no number of kinds grows without end', async () => {
    await using controller = new ConcurrencyController();
    for (let i = 0; i < 300; i++) await controller.run(() => i, { kind: i ? `kind ${i}` : '__proto__' });
    const { kinds, completed } = controller.stats();
    expect(Object.keys(kinds).length).toBeLessThanOrEqual(101);
    expect(Object.hasOwn(kinds, '__proto__')).toBe(true);
    expect(kinds.other!.completed).toBe(200);
    expect(completed).toBe(300);
  });
});

describe('closing', () => {
  test('what runs and what is queued is finished, paused or not, and nothing more is taken', async () => {
    const controller = new ConcurrencyController({ maxConcurrent: 1, maxQueued: 1 });
    controller.pause();
    const [one, two] = [gate(), gate()];
    await controller.submit('one', one.fn);
    await controller.submit('two', two.fn);
    const waiting = codeOf(controller.submit(() => 3, { waitForRoom: true }));
    const closing = controller.close();
    expect(await waiting).toBe('closed');
    expect(await codeOf(controller.submit(() => 3))).toBe('closed');
    expect(() => controller.pause()).toThrow('closed');
    one.end('1');
    two.end('2');
    await closing;
    expect(await Promise.all([controller.wait('one'), controller.wait('two')])).toEqual(['1', '2']);
    await controller.close();
  });

  test('pools have slots and ids of their own, and are closed with the controller that made them', async () => {
    const controller = new ConcurrencyController({ maxConcurrent: 1 });
    const pool = controller.pool({ maxConcurrent: 1 });
    const [one, two] = [gate(), gate()];
    await controller.submit('a', one.fn);
    await pool.submit('a', two.fn);
    expect(pool.stats()).toMatchObject({ running: 1, queued: 0 });
    expect(controller.stats()).toMatchObject({ running: 1, queued: 0 });
    const closing = controller.close();
    expect(await codeOf(pool.submit(() => 1))).toBe('closed');
    one.end('1');
    two.end('2');
    await closing;
    expect(await pool.wait('a')).toBe('2');
    expect(() => controller.pool()).toThrow('closed');
  });

  test('a pool is set as the one that made it, where it does not say otherwise', async () => {
    const controller = new ConcurrencyController({ maxConcurrent: 3, drainTimeoutMs: 5, graceMs: 5 });
    const pool = controller.pool({ maxQueued: 7 });
    expect(pool.stats()).toMatchObject({ maxConcurrent: 3, maxQueued: 7 });
    const deaf = gate();
    await pool.submit('deaf', deaf.fn);
    await controller.close();
    expect(await codeOf(pool.wait('deaf'))).toBe('aborted');
    deaf.end('');
  });

  test('what takes longer than the drain is cancelled, and what ignores that is left behind', async () => {
    const controller = new ConcurrencyController({ maxConcurrent: 2, drainTimeoutMs: 5, graceMs: 5 });
    const deaf = gate();
    const heeding = async ({ signal }: JobContext) => {
      await once(signal, 'abort');
      throw signal.reason;
    };
    const never = vi.fn();
    await controller.submit('deaf', deaf.fn);
    await controller.submit('heeding', heeding);
    await controller.submit('queued', never);
    await controller.close();
    for (const id of ['deaf', 'heeding', 'queued']) expect(await codeOf(controller.wait(id))).toBe('aborted');
    expect(never).not.toHaveBeenCalled();
    expect(controller.stats()).toMatchObject({ cancelled: 3, running: 0, queued: 0, lingering: 1 });
    deaf.end('');
  });
});
