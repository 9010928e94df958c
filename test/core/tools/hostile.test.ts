import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { defineTool, type Tool } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';

/** A tool that does a thing, whatever it is called with. */
function doing(execute: (input: Record<string, unknown>) => unknown, settings: Partial<Tool> = {}): Tool {
  const { timeoutMs = 1000, onLargeResult = 'truncate', maxResultBytes = 100_000 } = settings;
  return defineTool({
    name: 'odd',
    description: 'Does odd things.',
    input: { type: 'object' },
    timeoutMs,
    onLargeResult,
    maxResultBytes,
    execute,
  });
}

async function outcome(tool: Tool, params: unknown = {}) {
  const engine = await inMemory();
  engine.tools.register(tool);
  return engine.tools.execute(tool.name, params);
}

/** What would end a process that does not look after it. */
function watchProcess(): unknown[] {
  const unhandled: unknown[] = [];
  const hear = (error: unknown) => void unhandled.push(error);
  process.on('unhandledRejection', hear);
  onTestFinished(() => void process.off('unhandledRejection', hear));
  return unhandled;
}

const cyclicCause = new Error('outer');
cyclicCause.cause = cyclicCause;
const untouchable = new Proxy(
  {},
  {
    get: () => {
      throw new Error('do not look');
    },
    getPrototypeOf: () => {
      throw new Error('do not ask');
    },
    ownKeys: () => {
      throw new Error('do not count');
    },
  },
);
const thrown: [string, unknown, string][] = [
  ['undefined', undefined, 'the tool threw undefined'],
  ['null', null, 'the tool threw null'],
  ['a string', 'no fuel', 'no fuel'],
  ['a number', 7, 'the tool threw 7'],
  ['a symbol', Symbol('x'), 'the tool threw Symbol(x)'],
  ['an error whose cause is itself', cyclicCause, 'outer'],
  ['an object without a message', { a: 1 }, 'the tool failed without a message'],
  ['an object that nobody may look at', untouchable, 'the tool failed'],
  [
    'an object whose toString throws',
    {
      toString() {
        throw new Error('never');
      },
    },
    'the tool failed without a message',
  ],
  [
    'an object whose message is a getter that throws',
    {
      get message() {
        throw new Error('never');
      },
    },
    'the tool failed',
  ],
];

for (const [what, value, message] of thrown) {
  test(`a tool that throws ${what} fails with words`, async () => {
    const result = await outcome(
      doing(() => {
        throw value;
      }),
    );
    expect(result).toMatchObject({ success: false, error: { code: 'tool-failed', message }, attempts: 1 });
    const later = await outcome(doing(() => Promise.reject(value)));
    expect(later).toMatchObject({ success: false, error: { code: 'tool-failed', message } });
  });
}

test('words for a failure that come by a promise are none, and harm nobody', async () => {
  const unhandled = watchProcess();
  const describeError = () => Promise.reject(new Error('no words'));
  const engine = await inMemory({ tools: { describeError: describeError as never } });
  const tool = doing(() => {
    throw new Error('x');
  });
  engine.tools.register(tool);
  expect((await engine.tools.execute(tool, {})).error).toEqual({
    code: 'tool-failed',
    message: 'the tool failed',
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

test('what a tool says of its failure is cut to what a model can read', async () => {
  const result = await outcome(
    doing(() => {
      throw new Error('x'.repeat(1_000_000));
    }),
  );
  expect(result.error!.message).toHaveLength(2000);
});

test('a tool that never settles is given up on, and its signal aborted', async () => {
  const engine = await inMemory();
  let signal: AbortSignal | undefined;
  const tool = defineTool({
    name: 'odd',
    description: 'Never comes back.',
    input: z.object({}),
    timeoutMs: 20,
    execute: (_, call) => {
      signal = call.signal;
      return new Promise(() => {});
    },
  });
  engine.tools.register(tool);
  const result = await engine.tools.execute(tool, {});
  expect(result).toMatchObject({ success: false, error: { code: 'timeout', details: { timeoutMs: 20 } } });
  expect(signal!.aborted).toBe(true);
  expect(engine.tools.stats('odd')).toMatchObject({ running: 0, failures: { timeout: 1 } });
});

test('a rejection that comes after a tool was given up on is heard by nobody', async () => {
  const unhandled = watchProcess();
  const late = Promise.withResolvers<never>();
  const result = await outcome(doing(() => late.promise, { timeoutMs: 10 }));
  expect(result.error!.code).toBe('timeout');
  late.reject(new Error('too late'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

test('a signal that is asked for after the time is over is aborted already', async () => {
  const over = Promise.withResolvers<void>();
  const after = Promise.withResolvers<boolean>();
  const engine = await inMemory();
  engine.tools.register(
    defineTool({
      name: 'odd',
      description: 'Looks late.',
      input: z.object({}),
      timeoutMs: 10,
      execute: async (_, call) => {
        await over.promise;
        after.resolve(call.signal.aborted);
      },
    }),
  );
  expect((await engine.tools.execute('odd', {})).error!.code).toBe('timeout');
  over.resolve();
  expect(await after.promise).toBe(true);
});

test('a promise of somebody else, whose then throws or calls back twice, counts once', async () => {
  const throwing = {
    // biome-ignore lint/suspicious/noThenProperty: that is what is tried
    then() {
      throw new Error('no promise');
    },
  };
  expect(await outcome(doing(() => throwing))).toMatchObject({
    success: false,
    error: { code: 'tool-failed', message: 'no promise' },
  });
  const twice = {
    // biome-ignore lint/suspicious/noThenProperty: that is what is tried
    then(resolve: (value: string) => void, reject: (error: unknown) => void) {
      resolve('first');
      reject(new Error('second'));
      resolve('third');
    },
  };
  expect(await outcome(doing(() => twice))).toMatchObject({ success: true, result: 'first' });
});

const cycle: Record<string, unknown> = { name: 'ring' };
cycle.self = cycle;
const wide: Record<string, unknown> = {};
Object.assign(wide, { a: wide, b: [wide, wide], c: new Map([['d', wide]]) });
const deep = Array.from({ length: 1000 }).reduce<unknown>((inner) => ({ inner }), 'end');
class Point {
  x = 1;
  #y = 2;
  sum() {
    return this.x + this.#y;
  }
}
const given: [string, unknown, unknown][] = [
  ['nothing', undefined, null],
  ['a cycle', cycle, { name: 'ring', self: '[Circular]' }],
  ['a BigInt', { n: 12345678901234567890n }, { n: '12345678901234567890' }],
  ['numbers that are none', [Number.NaN, Number.POSITIVE_INFINITY, -0], [null, null, -0]],
  ['functions and symbols among its fields', { a: 1, f() {}, s: Symbol('s'), u: undefined }, { a: 1 }],
  ['functions in an array', [() => 1, undefined], [null, null]],
  ['a Map', new Map([['a', new Map([[1, 2]])]]), { a: [[1, 2]] }],
  ['a Set', new Set([1, 'b']), [1, 'b']],
  ['a Buffer', { bytes: Buffer.from('hello') }, { bytes: 'aGVsbG8=' }],
  ['a typed array', new Uint16Array([1, 2]), 'AQACAA=='],
  [
    'a Date',
    { at: new Date(0), never: new Date(Number.NaN) },
    { at: '1970-01-01T00:00:00.000Z', never: null },
  ],
  ['a URL', new URL('https://example.org/a'), 'https://example.org/a'],
  ['an Error', { e: new RangeError('far') }, { e: { name: 'RangeError', message: 'far' } }],
  ['an object of a class', new Point(), { x: 1 }],
  [
    'a field called __proto__',
    JSON.parse('{"__proto__": {"admin": true}}'),
    JSON.parse('{"__proto__": {"admin": true}}'),
  ],
  ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ['boxed values', { n: new Number(1), s: new String('s') }, { n: 1, s: 's' }],
];

for (const [what, value, result] of given) {
  test(`a tool that gives ${what} gives JSON`, async () => {
    const told = await outcome(doing(() => value));
    expect(told).toMatchObject({ success: true, attempts: 1 });
    expect(told.result).toEqual(result);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
}

test('a tool that gives an object that is in itself many times gives no endless JSON', async () => {
  const { success, result } = await outcome(doing(() => wide));
  expect(success).toBe(true);
  expect(JSON.stringify(result).length).toBeLessThan(200_000);
});

test('a tool that gives what is nested a thousand times gives as much as can be told', async () => {
  const { success, result } = await outcome(doing(() => deep));
  expect(success).toBe(true);
  expect(JSON.stringify(result)).toContain('[Nested too deeply]');
});

const refused: [string, unknown][] = [
  ['a function', () => 1],
  ['a symbol', Symbol('x')],
  ['an object that nobody may look at', untouchable],
  [
    'an object whose toJSON throws',
    {
      toJSON() {
        throw new Error('never');
      },
    },
  ],
  [
    'an object with a getter that throws',
    {
      deep: {
        get here() {
          throw new Error('never');
        },
      },
    },
  ],
];
for (const [what, value] of refused) {
  test(`a tool that gives ${what} fails`, async () => {
    const result = await outcome(doing(() => value));
    expect(result).toMatchObject({ success: false, error: { code: 'tool-failed' }, attempts: 1 });
    expect(result.error!.message).not.toContain('never');
  });
}

const unread: [string, unknown, string][] = [
  ['a promise inside', { deep: [Promise.resolve(1)] }, 'result.deep[0] is a promise: await it'],
  ['a generator', [1].values(), 'result is a stream or iterator: read it to its end'],
  ['a stream', { body: new ReadableStream() }, 'result.body is a stream or iterator: read it to its end'],
  ['an answer of fetch', new Response('x'), 'result is a body: await its text() or json()'],
];
for (const [what, value, message] of unread) {
  test(`a tool that gives ${what} is told to wait for what is in it`, async () => {
    const { error } = await outcome(doing(() => value));
    expect(error).toMatchObject({ code: 'tool-failed', message: `the result is no JSON: ${message}` });
  });
}

test('a result of 50 MB is cut to what it may be, and not copied', async () => {
  const huge = Buffer.alloc(50 * 1024 * 1024, 'ä').toString();
  const before = process.memoryUsage();
  const { result, large } = await outcome(doing(() => huge, { maxResultBytes: 10_000 }));
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  expect(grown).toBeLessThan(20 * 1024 * 1024);
  expect(large).toEqual({ length: huge.length });
  expect(Buffer.byteLength(result as string)).toBeLessThan(10_200);
  expect(result).toContain('the first 5,000 of 26,214,400 characters');
});

test('a list of millions is read no further than its beginning', async () => {
  let reads = 0;
  const endless = new Proxy([], {
    get: (target, key) => {
      if (key === 'length') return 100_000_000;
      if (typeof key === 'string' && /^\d+$/.test(key)) return ++reads;
      return Reflect.get(target, key);
    },
  });
  const result = await outcome(doing(() => ({ list: endless }), { maxResultBytes: 10_000 }));
  expect(result).toMatchObject({ success: true, large: {} });
  expect(reads).toBeLessThan(10_001);
});

test('a result is no larger than it may be, whatever it is made of', async () => {
  const maxResultBytes = 50_000;
  const items = [
    -1.234567890123456e-300,
    123_456_789_012,
    99_999,
    '\u0001',
    '漢',
    true,
    null,
    {},
    { '\u0001': 1 },
  ];
  for (const item of items) {
    for (const length of [2_000, 10_000, 60_000]) {
      const value = Array(length).fill(item);
      const { success } = await outcome(doing(() => value, { maxResultBytes, onLargeResult: 'refuse' }));
      expect(success).toBe(Buffer.byteLength(JSON.stringify(value)) <= maxResultBytes);
    }
  }
});

test('a large result is refused where that is asked for', async () => {
  const tool = doing(() => 'x'.repeat(2000), { maxResultBytes: 1000, onLargeResult: 'refuse' });
  expect(await outcome(tool)).toMatchObject({
    success: false,
    error: { code: 'result-too-large', details: { limit: 1000 } },
  });
});

test('a tool that changes its input changes nothing of the caller, nor of the next attempt', async () => {
  const seen: unknown[] = [];
  const engine = await inMemory();
  engine.tools.register(
    defineTool({
      name: 'greedy',
      description: 'Eats its input.',
      input: { type: 'object' },
      idempotent: true,
      retries: { attempts: 3, backoffMs: 0 },
      execute: (input) => {
        const list = input.list as string[];
        seen.push([...list]);
        list.length = 0;
        input.more = true;
        throw new Error('still hungry');
      },
    }),
  );
  const params = { list: ['a', 'b'] };
  expect(await engine.tools.execute('greedy', params)).toMatchObject({ success: false, attempts: 3 });
  expect(params).toEqual({ list: ['a', 'b'] });
  expect(seen).toEqual([
    ['a', 'b'],
    ['a', 'b'],
    ['a', 'b'],
  ]);
});

test('what a caller or a tool does to a result later harms nobody', async () => {
  const engine = await inMemory();
  const own = { items: ['a'] };
  engine.tools.register(
    defineTool({
      name: 'shared',
      description: 'Gives what it keeps.',
      input: { type: 'object' },
      cache: { ttlMs: 60_000 },
      execute: () => own,
    }),
  );
  for (let i = 0; i < 3; i++) {
    const { result } = await engine.tools.execute('shared', {});
    expect(result).toEqual({ items: ['a'] });
    (result as typeof own).items.push('spoilt');
  }
  expect(own).toEqual({ items: ['a'] });
});

const inputs: [string, unknown, string][] = [
  ['a cycle', cycle, 'ok'],
  ['an object that is in itself many times', { wide: { ...wide } }, 'ok'],
  ['a function', { f: () => 1 }, 'invalid-input'],
  ['an object that nobody may look at', untouchable, 'invalid-input'],
  ['a field called __proto__', JSON.parse('{"__proto__": {"admin": true}}'), 'ok'],
  ['nothing', undefined, 'ok'],
  ['null', null, 'invalid-input'],
];
for (const [what, params, code] of inputs) {
  test(`a tool that is called with ${what} does no harm`, async () => {
    const tool = defineTool({
      name: 'odd',
      description: 'Takes anything.',
      input: { type: 'object' },
      cache: { ttlMs: 1000 },
      execute: () => 'ok',
    });
    const { success, error } = await outcome(tool, params);
    expect(success ? 'ok' : error.code).toBe(code);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
}

test('a schema that throws, or never answers, fails the call', async () => {
  const standard = (validate: () => unknown) =>
    ({ '~standard': { version: 1, vendor: 'odd', validate } }) as never;
  const throwing = defineTool({
    name: 'odd',
    description: '',
    input: standard(() => {
      throw new Error('secret');
    }),
    execute: () => 1,
  });
  const result = await outcome(throwing);
  expect(result).toMatchObject({ success: false, error: { code: 'tool-failed' }, attempts: 0 });
  expect(result.error!.message).not.toContain('secret');
  const silent = defineTool({
    name: 'odd',
    description: '',
    timeoutMs: 20,
    input: standard(() => new Promise(() => {})),
    execute: () => 1,
  });
  expect(await outcome(silent)).toMatchObject({ success: false, attempts: 0 });
});

test('of a long input the first thing that is wrong is told, not each alternative of each item', async () => {
  const alternatives = Array.from({ length: 50 }, () => ({ type: 'string' }));
  const input = { type: 'object', properties: { notes: { type: 'array', items: { anyOf: alternatives } } } };
  const tool = defineTool({ name: 'odd', description: '', input, execute: ({ notes }) => notes });
  const notes = Array.from({ length: 100_000 }, () => 'a note');
  expect(await tool.checkInput({ notes })).toEqual({ value: { notes } });
  const { issues: few } = await tool.checkInput({ notes: [...notes, 7] });
  const { issues: same } = await tool.checkInput({ notes: notes.map(() => 7) });
  expect(few).toHaveLength(alternatives.length + 1);
  expect(same).toHaveLength(alternatives.length + 1);
  // Of a short one, all of it.
  const { issues: all } = await tool.checkInput({ notes: [7, 'a note', 7] });
  expect(all).toHaveLength(2 * (alternatives.length + 1));
});
