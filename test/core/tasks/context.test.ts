import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ClosedError,
  InvalidInputError,
  isHoldfastError,
  TaskContext,
  taskContext,
} from '../../../src/index.ts';

async function failureOf(
  work: () => unknown,
): Promise<{ code: string; message: string; errors?: unknown[]; cause?: unknown }> {
  try {
    await work();
  } catch (error) {
    return error as never;
  }
  throw new Error('nothing was thrown');
}

describe('a task context', () => {
  test('belongs to nobody in no chat unless told otherwise', () => {
    using task = taskContext();
    expect(task).toMatchObject({ userId: 'anonymous', chatId: 'none', metadata: {}, metadataToggles: {} });
    expect(task.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('folds the AI preference into its metadata', () => {
    using task = taskContext({ metadata: { lang: 'en' }, aiPreference: { provider: 'acme' } });
    expect(task.metadata).toEqual({ lang: 'en', aiPreference: { provider: 'acme' } });
  });

  test('has the metadata active that is not switched off', () => {
    using task = taskContext({
      metadata: { a: 1, b: 2, constructor: 3 },
      metadataToggles: { a: false, b: true },
    });
    expect(task.activeMetadata()).toEqual({ b: 2, constructor: 3 });
    task.toggleMetadata('b', false);
    task.updateMetadata({ c: 4, constructor: null });
    expect(task.activeMetadata()).toEqual({ c: 4 });
    expect(task.metadata).toEqual({ a: 1, b: 2, c: 4 });
    expect(task.history.at(-1)).toMatchObject({ updateType: 'metadata', data: { c: 4, constructor: null } });
  });

  test('does not let its metadata grow beyond what can be kept', () => {
    using task = taskContext({ metadata: { a: 'x'.repeat(700_000) } });
    expect(() => task.updateMetadata({ b: 'x'.repeat(700_000) })).toThrow(InvalidInputError);
    expect(Object.keys(task.metadata)).toEqual(['a']);
    expect(task.history).toEqual([]);
  });

  test('has an update in its history at once, and as it was when it was added', async () => {
    using task = taskContext();
    const data = { text: 'hello' };
    const done = task.addUpdate('message', data, { from: 'ada' });
    data.text = 'changed';
    expect(task.history).toEqual([
      {
        timestamp: expect.any(Number),
        updateType: 'message',
        data: { text: 'hello' },
        metadata: { from: 'ada' },
      },
    ]);
    await done;
    task.addUpdate('anything else');
    expect(task.history.at(-1)).toMatchObject({ updateType: 'anything else', data: null, metadata: {} });
  });

  test('rejects at once what is no JSON, and keeps nothing of it', () => {
    using task = taskContext();
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    for (const data of [cycle, 1n, () => 1, 'x'.repeat(2 ** 20 + 1)])
      expect(() => task.addUpdate('message', data)).toThrow(InvalidInputError);
    for (const type of ['', undefined, null, 5, 'a\0'])
      expect(() => task.addUpdate(type as string, 1)).toThrow(InvalidInputError);
    expect(() => taskContext({ metadataToggles: { a: 1 } } as never)).toThrow(InvalidInputError);
    expect(() => taskContext({ usrId: 'ada' } as never)).toThrow(/did you mean userId/);
    expect(task.history).toEqual([]);
  });

  test('knows the last operation on each file, and what kind of path never matters', () => {
    using task = taskContext();
    task.trackFile('a.ts', 'read');
    task.trackFile('a.ts', 'edit', 'tool');
    task.trackFile('__proto__', 'delete');
    const timestamp = expect.any(Number);
    expect(task.fileTracker['a.ts']).toEqual({
      operation: 'edit',
      source: 'tool',
      timestamp,
      state: 'active',
    });
    expect(Object.entries(task.fileTracker)[1]).toEqual([
      '__proto__',
      { operation: 'delete', source: 'task', timestamp, state: 'deleted' },
    ]);
    expect(task.history.map(({ updateType }) => updateType)).toEqual(Array(3).fill('file_operation'));
  });

  test('does not add a model that repeats the last one, but counts what it used', () => {
    using task = taskContext();
    task.trackModel('m1', 'acme', 'chat', { inputTokens: 10, cachedTokens: 4, outputTokens: 1, cost: 0.1 });
    task.trackModel('m1', 'acme', 'chat', { inputTokens: 20, cost: 0.2 });
    task.trackModel('m1', 'acme', 'plan');
    task.trackModel('m2', 'acme', 'chat', { cost: 0.7 });
    task.trackModel('m1', 'acme', 'chat');
    expect(task.models.map(({ modelId, mode }) => `${modelId} ${mode}`)).toEqual([
      'm1 chat',
      'm1 plan',
      'm2 chat',
      'm1 chat',
    ]);
    expect(task.history.length).toBe(4);
    // A sum of fractions that comes out exact.
    expect(task.usage).toMatchObject({
      calls: 5,
      inputTokens: 30,
      cachedTokens: 4,
      outputTokens: 1,
      cost: 1,
    });
    expect(task.usage.models.map(({ modelId, calls }) => [modelId, calls])).toEqual([
      ['m1', 4],
      ['m2', 1],
    ]);
    expect(() => task.trackModel('m1', 'acme', 'chat', { inputTokens: 1, cachedTokens: 2 })).toThrow(
      /cachedTokens/,
    );
  });

  test('says of an optimization whether it removed anything', () => {
    using task = taskContext();
    task.addUpdate('message', 'same');
    expect(task.optimize()).toBe(false);
    task.addUpdate('message', 'same');
    expect(task.optimize()).toBe(true);
    expect(task.history.length).toBe(1);
    task.addUpdate('message', 'x'.repeat(1001));
    expect(task.optimize()).toBe(true);
    expect(task.history.map(({ data }) => data)).toEqual(['same']);
    expect(task.truncate(0)).toBe(true);
    expect(task.truncate(0)).toBe(false);
  });

  test('keeps within its size by itself where it is told to', () => {
    using task = taskContext({}, { autoOptimize: true, maxSize: 100 });
    for (let i = 0; i < 1000; i++) task.addUpdate('message', `update ${i}`);
    expect(task.size).toBeLessThanOrEqual(100);
    expect(task.history.at(-1)!.data).toBe('update 999');
  });

  test('gives a call its active metadata, history, files and models, and what the call adds', () => {
    using task = taskContext({ chatId: 'c', metadata: { a: 1, b: 2 }, metadataToggles: { b: false } });
    task.trackFile('a.ts', 'read');
    task.trackModel('m', 'acme', 'chat');
    const context = task.buildContext({ question: 'why?', metadata: { c: 3 } });
    expect(context).toMatchObject({
      chatId: 'c',
      userId: 'anonymous',
      question: 'why?',
      metadata: { a: 1, c: 3 },
    });
    expect(context.metadata).not.toHaveProperty('b');
    expect(context).toMatchObject({
      fileTracker: { 'a.ts': { operation: 'read' } },
      models: [{ modelId: 'm' }],
    });
    expect(context.history).toHaveLength(2);
  });

  test('takes nothing more after its end', async () => {
    const task = taskContext();
    await task.close();
    await task.close();
    expect(() => task.addUpdate('message', 1)).toThrow(ClosedError);
    expect(() => task.addResource('r', { close() {} })).toThrow(ClosedError);
    expect(task.closed).toBe(true);
  });

  test('that had ended before ends no second time', async () => {
    const json = taskContext({ id: 't' }).toJSON();
    const task = TaskContext.fromJSON({ ...json, closedAt: 5, failed: true, durationMs: 3 });
    await task.close();
    await task.fail(new Error('late'));
    expect(task.toJSON()).toMatchObject({ closedAt: 5, failed: true, durationMs: 3, history: [] });
  });

  test('comes back from JSON as it was', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
      .filter((s) => !s.includes('\0'));
    const json = fc.jsonValue({ maxDepth: 3 });
    const object = fc.dictionary(fc.oneof(name, fc.constantFrom('__proto__', 'constructor')), json);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('update' as const), type: name, data: json, metadata: object }),
      fc.record({ kind: fc.constant('file' as const), path: fc.oneof(name, fc.constant('__proto__')) }),
      fc.record({ kind: fc.constant('model' as const), model: name, provider: name, cost: fc.nat(1000) }),
    );
    fc.assert(
      fc.property(name, object, fc.array(step), (id, metadata, steps) => {
        const task = taskContext({ id, userId: 'ada', metadata, metadataToggles: { a: false } });
        for (const one of steps) {
          if (one.kind === 'update') task.addUpdate(one.type, one.data, one.metadata);
          else if (one.kind === 'file') task.trackFile(one.path, 'read');
          else task.trackModel(one.model, one.provider, 'chat', { cost: one.cost / 1000 });
        }
        task[Symbol.dispose]();
        const text = JSON.stringify(task);
        expect(JSON.stringify(TaskContext.fromJSON(JSON.parse(text)))).toBe(text);
      }),
    );
    expect(() => TaskContext.fromJSON({ id: 'x', history: [{}] })).toThrow(InvalidInputError);
  });

  test('tells what would help it', () => {
    using task = taskContext();
    for (let i = 0; i < 10; i++) task.addUpdate('message', 'again');
    for (let i = 0; i < 6; i++) task.trackModel(`m${i}`, 'acme', 'chat', { inputTokens: 5000 });
    const { duplicates, modelCalls, suggestions } = taskContext.performance(task);
    expect({ duplicates, modelCalls }).toEqual({ duplicates: 9, modelCalls: 6 });
    expect(suggestions.join(' ')).toMatch(/optimize\(\).*cache/);
    expect(taskContext.checkHealth(task)).toMatchObject({ healthy: true, problems: [] });
  });
});

describe('resources', () => {
  /** Something to release, that notes when it is. */
  const noting = (order: string[], name: string) => ({ close: () => void order.push(name) });

  test('are released in reverse order, and noted in the history', async () => {
    const order: string[] = [];
    await using task = taskContext();
    for (const name of ['a', 'b', 'c']) task.addResource(name, noting(order, name));
    expect(task.history.map(({ data }) => data)).toEqual([{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
    await task.close();
    expect(order).toEqual(['c', 'b', 'a']);
  });

  test('are released by the first method they have, in the order that is documented', async () => {
    const names = [Symbol.asyncDispose, Symbol.dispose, 'close', 'end', 'destroy', 'release'] as const;
    for (const [i, expected] of names.entries()) {
      const called: unknown[] = [];
      const methods = names.slice(i).map((name) => [name, async () => void called.push(name)]);
      const task = taskContext();
      task.addResource('r', Object.fromEntries(methods));
      await task.close();
      expect(called).toEqual([expected]);
    }
    using task = taskContext();
    expect(() => task.addResource('r', { nothing: 1 })).toThrow(/none of the methods/);
  });

  test('that throw keep no other from being released, and are all told', async () => {
    const order: string[] = [];
    const task = taskContext();
    const failing = (name: string, how: () => unknown) => task.addResource(name, { close: how });
    task.addResource('first', noting(order, 'first'));
    failing('throws', () => {
      throw new TypeError('broken');
    });
    failing('rejects', () => Promise.reject(new RangeError('refused')));
    task.addResource('last', noting(order, 'last'));
    const error = await failureOf(() => task.close());
    expect(order).toEqual(['last', 'first']);
    expect(error).toMatchObject({ code: 'release', errors: [{ message: 'refused' }, { message: 'broken' }] });
    expect((error.cause as AggregateError).errors).toMatchObject([
      RangeError('refused'),
      TypeError('broken'),
    ]);
    expect(error.message).toContain('"rejects", "throws"');
    expect(error.message).not.toContain('broken');
    expect(task.history.filter(({ updateType }) => updateType === 'error')).toHaveLength(2);
  });

  test('that hang are given up after their time, and the others go on', async () => {
    const order: string[] = [];
    const hangs = { close: () => new Promise(() => {}) };
    const task = taskContext({}, { releaseTimeoutMs: 20 });
    task.addResource('first', noting(order, 'first'));
    task.addResource('hangs', hangs);
    // Takes longer than the others may: until a longer time is over.
    const longer = taskContext({}, { releaseTimeoutMs: 60 });
    longer.addResource('hangs', hangs);
    task.addResource('slow', { close: () => failureOf(() => longer.close()) }, { timeoutMs: 10_000 });
    const error = await failureOf(() => task.close());
    expect(error.errors).toMatchObject([{ code: 'release' }]);
    expect(String(error.errors![0])).toContain('was not released within 20 ms');
    expect(order).toEqual(['first']);
  });

  test('that are closed already do no harm', async () => {
    const task = taskContext();
    let closes = 0;
    const file = task.addResource('file', {
      close() {
        if (++closes > 1) throw Object.assign(new Error('not running'), { code: 'ERR_SERVER_NOT_RUNNING' });
      },
    });
    file.close();
    const shared = task.addResource('one name', {
      count: 0,
      close() {
        this.count++;
      },
    });
    task.addResource('another name', shared);
    await task.close();
    await task.close();
    expect(closes).toBe(2);
    expect(shared.count).toBe(1);
  });

  test('may end their task themselves, and are refused once it is ending, so that none is forgotten', async () => {
    const order: string[] = [];
    const task = taskContext();
    task.addResource('last', noting(order, 'last'));
    task.addResource('first', {
      close() {
        void task.close();
        order.push('first');
        expect(() => task.addResource('late', noting(order, 'late'))).toThrow(ClosedError);
        task.addUpdate('message', 'still here');
      },
    });
    await task.close();
    expect(order).toEqual(['first', 'last']);
    expect(task.history.map(({ data }) => data)).toContain('still here');
  });

  test('of one name are all released', async () => {
    const order: string[] = [];
    const task = taskContext();
    task.addResource('db', noting(order, 'old'));
    task.addResource('db', noting(order, 'new'));
    task.addResource('other', noting(order, 'other'));
    expect(await task.releaseResource('db')).toBe(true);
    expect(await task.releaseResource('db')).toBe(false);
    await task.close();
    expect(order).toEqual(['new', 'old', 'other']);
  });

  test('are released at once by `using`, which says so when one would have to be waited for', () => {
    const order: string[] = [];
    {
      using task = taskContext();
      task.addResource('a', noting(order, 'a'));
      task.addResource('b', noting(order, 'b'));
    }
    expect(order).toEqual(['b', 'a']);
    const task = taskContext();
    task.addResource('a', noting(order, 'again'));
    task.addResource('slow', { close: async () => void order.push('slow') });
    let thrown: unknown;
    try {
      task[Symbol.dispose]();
    } catch (error) {
      thrown = error;
    }
    expect(order).toEqual(['b', 'a', 'slow', 'again']);
    expect(thrown).toMatchObject({ code: 'release', errors: [{ code: 'release' }] });
    expect((thrown as { errors: { hint: string }[] }).errors[0]!.hint).toContain('await using');
  });
});

describe('a task with a body', () => {
  test('gives what the body gives, and is closed then', async () => {
    let held: TaskContext | undefined;
    const result = await taskContext({ userId: 'ada' }, async (task) => {
      held = task;
      return 42;
    });
    expect([result, held!.closed, held!.toJSON().failed]).toEqual([42, true, false]);
  });

  test('throws what the body threw, whatever goes wrong at the end', async () => {
    const order: string[] = [];
    const bodyError = new Error('the body');
    let held: TaskContext | undefined;
    const error = await failureOf(() =>
      taskContext({}, (task) => {
        held = task;
        task.addResource('good', { close: () => void order.push('good') });
        task.addResource('bad', { close: () => Promise.reject(new Error('the resource')) });
        throw bodyError;
      }),
    );
    expect(error).toBe(bodyError);
    expect((error as { releaseError?: unknown }).releaseError).toMatchObject({ code: 'release' });
    expect(Object.keys(error)).not.toContain('releaseError');
    expect(order).toEqual(['good']);
    expect(held!.toJSON().failed).toBe(true);
    const errors = held!.history.filter(({ updateType }) => updateType === 'error');
    expect(errors.map(({ data }) => data)).toMatchObject([
      { message: 'the body' },
      { message: 'the resource' },
    ]);
  });

  test('throws what could not be released when the body is done', async () => {
    const error = await failureOf(() =>
      taskContext({}, {}, (task) => {
        task.addResource('bad', {
          end: () => {
            throw new Error('no');
          },
        });
      }),
    );
    expect(isHoldfastError(error) && error.code).toBe('release');
  });

  test('releases all, and throws what the body threw, whatever odd thing that is', async () => {
    const trap = () => {
      throw new Error('looked at');
    };
    const odd = [
      'text',
      undefined,
      Symbol('s'),
      Object.create(null),
      Object.freeze(new Error('frozen')),
      { name: Symbol('name'), message: { toString: trap }, code: 5 },
      {
        get message() {
          return trap();
        },
      },
      { name: '\ud800', message: '\ud800', code: 'x'.repeat(2 ** 21) },
      new Proxy({}, { get: trap, defineProperty: trap, isExtensible: trap }),
    ];
    const warned: unknown[] = [];
    const hear = (warning: unknown) => void warned.push(warning);
    process.on('warning', hear);
    for (const thrown of odd) {
      const order: string[] = [];
      let held: TaskContext | undefined;
      const outcome = await taskContext({}, (task) => {
        held = task;
        task.addResource('first', { close: () => void order.push('first') });
        task.addResource('odd', { close: () => Promise.reject(thrown) });
        task.addResource('last', { close: () => void order.push('last') });
        throw thrown;
      }).then(
        () => 'nothing',
        (error: unknown) => [error],
      );
      // Compared by identity: a deep look would itself be thrown at.
      expect(Array.isArray(outcome) && Object.is(outcome[0], thrown)).toBe(true);
      expect(order).toEqual(['last', 'first']);
      expect(held!.closed).toBe(true);
      const errors = held!.history.filter(({ updateType }) => updateType === 'error');
      expect(errors.map(({ metadata }) => metadata)).toEqual([{ in: 'body' }, { in: 'odd' }]);
      expect(errors[0]!.data).toMatchObject({ name: expect.any(String), message: expect.any(String) });
    }
    await expect.poll(() => warned.length).toBeGreaterThan(0);
    process.off('warning', hear);
  });

  test('tells in its history what was thrown, also where that is only a text', async () => {
    let held: TaskContext | undefined;
    const run = taskContext({}, (task) => {
      held = task;
      return Promise.reject('no more paper');
    });
    await expect(run).rejects.toBe('no more paper');
    expect(held!.history.at(-1)).toMatchObject({ data: { name: 'Error', message: 'no more paper' } });
  });
});
