import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import { defineTool } from '../../../src/index.ts';
import { inMemory, onEveryStore } from '../../support/engines.ts';

const numbers = z.object({ a: z.number(), b: z.number().default(1) });
const add = defineTool({
  name: 'add',
  description: 'Adds.',
  category: 'maths',
  tags: ['fast', 'pure'],
  input: numbers,
  execute: ({ a, b }) => a + b,
});
const fail = defineTool({
  name: 'fail',
  description: 'Fails.',
  category: 'odd',
  tags: ['fast'],
  input: z.object({}),
  execute: () => {
    throw new Error('it failed');
  },
});

test('tools are listed by category and tag, and taken away again', async () => {
  const { tools } = await inMemory();
  tools.register([fail, add]);
  const names = (options = {}) => tools.list(options).map(({ name }) => name);
  expect(names()).toEqual(['add', 'fail']);
  expect(names({ category: 'maths' })).toEqual(['add']);
  expect(names({ tag: 'fast' })).toEqual(['add', 'fail']);
  expect(names({ category: 'odd', tag: 'pure' })).toEqual([]);
  expect(tools.get('add')).toBe(add);
  expect([tools.unregister('add'), tools.unregister('add')]).toEqual([true, false]);
  expect(() => tools.get('add')).toThrow('tool "add" does not exist');
  expect(() => tools.list({ categry: 'x' } as never)).toThrow('did you mean category');
});

test('a name is taken once, unless the tool is to be replaced; of several all are registered or none', async () => {
  const { tools } = await inMemory();
  tools.register(add);
  expect(() => tools.register([fail, add])).toThrow('a tool of that name is registered');
  expect(tools.list()).toEqual([add]);
  expect(() => tools.register([fail, fail])).toThrow('a tool of that name is registered');
  expect(() => tools.register({ name: 'add', execute: () => 1 } as never)).toThrow('make it with defineTool');
  const other = defineTool({ name: 'add', description: 'Adds, too.', input: numbers, execute: () => 0 });
  tools.register(other, { replace: true });
  const { error } = await tools.execute(add, { a: 1 });
  expect(error).toMatchObject({ code: 'not-found', message: 'the tool of that name is another one' });
});

test('tools of the engine are there in every tenant, those of a tenant in that one alone', async () => {
  const engine = await inMemory();
  engine.tools.register(add);
  const blue = engine.tenant('blue');
  blue.tools.register(fail);
  const own = defineTool({ name: 'add', description: 'Blue.', input: numbers, execute: () => 'blue' });
  blue.tools.register(own);
  expect(engine.tools.list().map(({ name }) => name)).toEqual(['add']);
  expect(blue.tools.list().map(({ description }) => description)).toEqual(['Blue.', 'Fails.']);
  expect(engine.tenant('red').tools.list()).toEqual([add]);
  expect((await blue.tools.execute('add', { a: 1 })).result).toBe('blue');
  await blue.close();
  expect(engine.tenant('blue').tools.get('add')).toBe(own);
});

test('listeners hear of calls, never of their content', async () => {
  const errors: unknown[] = [];
  const { tools } = await inMemory({ onError: (error) => errors.push(error) });
  tools.register([add, fail]);
  const heard: unknown[] = [];
  const offs = [
    tools.on('started', (event) => heard.push(['started', event])),
    tools.on('ended', (event) => heard.push(['ended', event])),
    tools.on('ended', () => {
      throw new Error('deaf');
    }),
  ];
  await tools.execute('add', { a: 20 }, { userId: 'ada', toolCallId: 'c1' });
  await tools.execute('fail');
  const about = { tool: 'add', tenant: 'default', userId: 'ada', toolCallId: 'c1' };
  const told = { durationMs: expect.any(Number), cached: false, attempts: 1 };
  expect(heard).toEqual([
    ['started', about],
    ['ended', { ...about, success: true, ...told }],
    ['started', { tool: 'fail', tenant: 'default' }],
    ['ended', { tool: 'fail', tenant: 'default', success: false, code: 'tool-failed', ...told }],
  ]);
  expect(errors).toHaveLength(2);
  for (const off of offs) off();
  await tools.execute('add', { a: 1 });
  expect(heard).toHaveLength(4);
});

test('calls are counted, by tool and by what went wrong', async () => {
  const { tools } = await inMemory();
  tools.register([add, fail]);
  for (const a of [1, 2, 'three']) await tools.execute('add', { a });
  await tools.execute('fail');
  expect(tools.stats('add')).toEqual({
    calls: 3,
    succeeded: 2,
    failed: 1,
    failures: { 'invalid-input': 1 },
    cached: 0,
    attempts: 2,
    running: 0,
    durationMs: {
      min: expect.any(Number),
      mean: expect.any(Number),
      p50: expect.any(Number),
      p95: expect.any(Number),
      p99: expect.any(Number),
      max: expect.any(Number),
    },
  });
  expect(tools.stats().fail!.failures).toEqual({ 'tool-failed': 1 });
  expect(() => tools.stats('nobody')).toThrow('does not exist');
});

test('a chain hands results on, one step after another and side by side', async () => {
  const { tools } = await inMemory();
  tools.register([add, fail]);
  const result = await tools.chain([
    { tool: add, params: { a: 1, b: 2 } },
    [
      { tool: 'add', params: (before: number) => ({ a: before, b: 10 }) },
      { tool: 'add', params: (before: number) => ({ a: before, b: 100 }) },
    ],
    { tool: 'add', params: ([one, other]: number[], all: unknown[]) => ({ a: one! + other!, b: all[0] }) },
  ]);
  expect(result).toMatchObject({ success: true, result: 119 });
  expect(result.steps).toHaveLength(3);
});

test('a chain ends where a step fails, and says which', async () => {
  const { tools } = await inMemory();
  tools.register([add, fail]);
  const broken = await tools.chain([
    { tool: 'add', params: { a: 1 } },
    [
      { tool: 'add', params: { a: 1 } },
      { tool: 'fail', params: {} },
    ],
    { tool: 'add', params: { a: 1 } },
  ]);
  expect(broken).toMatchObject({
    success: false,
    error: { code: 'tool-failed', message: 'it failed' },
    failedAt: { step: 1, call: 1, tool: 'fail' },
  });
  expect(broken.steps).toHaveLength(2);
  const unmade = await tools.chain([
    {
      tool: 'add',
      params: () => {
        throw new Error('no params');
      },
    },
  ]);
  expect(unmade).toMatchObject({ success: false, failedAt: { step: 0, tool: 'add' } });
  expect(await tools.chain([])).toMatchObject({ success: false, error: { code: 'invalid-input' } });
  const aborted = await tools.chain([{ tool: 'add', params: { a: 1 } }], { signal: AbortSignal.abort() });
  expect(aborted).toMatchObject({ success: false, error: { code: 'aborted' }, failedAt: { step: 0 } });
});

test('a record that fails makes no failure of a success, and is told to onError', async () => {
  const errors: unknown[] = [];
  const { tools } = await inMemory({ onError: (error) => errors.push(error) });
  tools.register(add);
  expect(await tools.execute('add', { a: 1 }, { sessionId: 'nobody' })).toMatchObject({
    success: true,
    result: 2,
  });
  const task = {
    addUpdate: () => {
      throw new Error('full');
    },
  };
  expect(await tools.execute('add', { a: 1 }, { task })).toMatchObject({ success: true, result: 2 });
  expect(errors).toMatchObject([{ code: 'not-found' }, { message: 'full' }]);
});

test('a call is recorded in its task and in its session, and once where the task is of the session', async () => {
  const engine = await inMemory();
  engine.tools.register(add);
  await engine.sessions.create({ id: 's', userId: 'ada' });
  const updates: unknown[] = [];
  const elsewhere = { addUpdate: (type: string, data: object) => updates.push([type, data]) };
  await engine.tools.execute('add', { a: 1 }, { sessionId: 's', task: elsewhere });
  expect(updates).toMatchObject([['tool_call', { tool: 'add', success: true }]]);
  expect((await engine.tasks.timeline('s')).items).toMatchObject([{ update: { updateType: 'tool_call' } }]);
  await using task = await engine.tasks.open({ userId: 'ada', sessionId: 's' });
  await engine.tools.execute('add', { a: 1 }, { sessionId: 's', task, toolCallId: 'own' });
  const { items } = await engine.tasks.timeline('s');
  expect(items.filter((item) => JSON.stringify(item).includes('"own"'))).toHaveLength(1);
});

test('a task that never says that it has recorded a call holds up neither its result nor close', async () => {
  const engine = await inMemory();
  engine.tools.register(add);
  const task = { addUpdate: () => new Promise(() => {}) };
  expect(await engine.tools.execute('add', { a: 1 }, { task })).toMatchObject({ success: true, result: 2 });
  await engine.close();
}, 30_000);

test('listeners that fail are told to onError, those as well that fail later', async () => {
  const errors: unknown[] = [];
  const { tools } = await inMemory({ onError: (error) => errors.push(error) });
  tools.register(add);
  tools.on('started', () => {
    throw new Error('at once');
  });
  tools.on('ended', async () => {
    throw new Error('later');
  });
  expect(await tools.execute('add', { a: 1 })).toMatchObject({ success: true });
  await vi.waitFor(() => expect(errors).toMatchObject([{ message: 'at once' }, { message: 'later' }]));
  expect(() => tools.on('ended', 'no function' as never)).toThrow(/listener/);
});

test('a chain whose parameters never come ends with the signal of its caller', async () => {
  const { tools } = await inMemory();
  tools.register(add);
  const caller = new AbortController();
  const params = () => {
    caller.abort();
    return new Promise(() => {});
  };
  const steps = [{ tool: 'add', params }];
  expect(await tools.chain(steps, { signal: caller.signal })).toMatchObject({
    success: false,
    error: { code: 'aborted' },
    failedAt: { step: 0, tool: 'add' },
  });
});

test('a call of a tool that there is not is recorded as well', async () => {
  const engine = await inMemory();
  await engine.sessions.create({ id: 's', userId: 'ada' });
  await engine.tools.execute('ad', { a: 1 }, { sessionId: 's', toolCallId: 'c1' });
  await engine.tools.execute('', {}, { sessionId: 's' });
  const { items } = await engine.tasks.timeline('s');
  expect(items).toMatchObject([
    {
      update: {
        updateType: 'tool_call',
        data: { tool: 'ad', toolCallId: 'c1', code: 'not-found', attempts: 0 },
      },
    },
  ]);
});

test('a result that can not be offloaded is truncated, and onError told why', async () => {
  const errors: unknown[] = [];
  const { tools } = await inMemory({ onError: (error) => errors.push(error), tools: { record: 'none' } });
  const about = { description: 'Gives.', input: { type: 'object' }, maxResultBytes: 1000 };
  tools.register(
    defineTool({ ...about, name: 'give', onLargeResult: 'offload', execute: () => 'x'.repeat(2000) }),
  );
  const told = await tools.execute('give', {}, { sessionId: 'nobody' });
  expect(told).toMatchObject({ success: true, large: { length: 2000 } });
  expect(told.large!.handle).toBeUndefined();
  expect(errors).toMatchObject([{ code: 'not-found' }]);
});

test('a cached result that was offloaded is given to the session alone that can read it back', async () => {
  const engine = await inMemory({ tools: { onLargeResult: 'offload', maxResultBytes: 100 } });
  engine.tools.register(
    defineTool({
      name: 'give',
      description: 'Gives.',
      input: { type: 'object' },
      cache: { ttlMs: 60_000 },
      execute: () => 'x'.repeat(1000),
    }),
  );
  for (const sessionId of ['s', 't']) {
    await engine.sessions.create({ id: sessionId, userId: 'ada' });
    for (const cached of [false, true]) {
      const told = await engine.tools.execute('give', {}, { sessionId });
      expect(told).toMatchObject({ success: true, cached });
      const { text } = await engine.tools.readResult(sessionId, told.large!.handle!);
      expect(text).toBe('x'.repeat(1000));
    }
  }
});

onEveryStore('tools in a session', (open) => {
  test('are recorded in its timeline, without content unless that is asked for', async () => {
    const engine = await open();
    engine.tools.register([add, fail]);
    const session = engine.session('s');
    await session.create({ userId: 'ada' });
    await session.tools.execute('add', { a: 41 }, { toolCallId: 'c1' });
    await session.tools.execute('fail');
    const { items } = await session.tasks.timeline();
    const records = items.map((item) =>
      'update' in item ? [item.update.updateType, item.update.data] : item,
    );
    const told = { durationMs: expect.any(Number), cached: false, attempts: 1 };
    expect(records).toEqual([
      ['tool_call', { tool: 'add', toolCallId: 'c1', success: true, ...told, resultLength: 1 }],
      ['tool_call', { tool: 'fail', success: false, code: 'tool-failed', ...told }],
    ]);
  });

  test('are recorded in full, however deep, long or strange their content is', async () => {
    const errors: unknown[] = [];
    const engine = await open({ tools: { record: 'full' }, onError: (error) => errors.push(error) });
    const strange: Record<string, () => unknown> = {
      deep: () => Array.from({ length: 1000 }).reduce<unknown>((inner) => ({ inner }), 'end'),
      control: () => '\u0001'.repeat(1_000_000),
      numbers: () => Array.from({ length: 100_000 }, () => -1.234567890123456e-300),
      lone: () => '\ud800',
    };
    const input = { type: 'object' };
    const tools = Object.entries(strange).map(([name, execute]) =>
      defineTool({ name, description: 'Gives.', input, execute }),
    );
    engine.tools.register(tools);
    const session = engine.session('s');
    await session.create({ userId: 'ada' });
    for (const { name } of tools) {
      const { success } = await session.tools.execute(name, { given: strange[name]!() });
      expect(success).toBe(true);
    }
    expect(errors).toEqual([]);
    expect((await session.tasks.timeline()).items).toHaveLength(tools.length);
  });

  test('have large results offloaded, which are read back piece by piece', async () => {
    const engine = await open({ tools: { record: 'full' } });
    const text = Array.from({ length: 60_000 }, (_, i) => `line ${i} 🍐\n`).join('');
    const input = z.object({ as: z.enum(['text', 'list']) });
    const execute = ({ as }: { as: string }) => (as === 'text' ? text : text.split('\n'));
    engine.tools.register(
      defineTool({
        name: 'read',
        description: 'Reads.',
        input,
        maxResultBytes: 1000,
        onLargeResult: 'offload',
        execute,
      }),
    );
    const session = engine.session('s');
    await session.create({ userId: 'ada' });
    for (const as of ['text', 'list'] as const) {
      const { result, large } = await session.tools.execute('read', { as });
      expect(result).toContain(large!.handle);
      let whole = '';
      for (let offset: number | undefined = 0; offset !== undefined; ) {
        const part = await session.tools.readResult(large!.handle!, { offset, limit: 200_001 });
        whole += part.text;
        offset = part.nextOffset;
      }
      expect(whole).toBe(as === 'text' ? text : JSON.stringify(text.split('\n')));
      for (const offset of [whole.length, 10 * whole.length]) {
        const beyond = await session.tools.readResult(large!.handle!, { offset });
        expect(beyond).toEqual({ text: '', offset, length: whole.length });
      }
      const { id } = await session.fork();
      const begin = await engine.tools.readResult(id, large!.handle!, { limit: 20 });
      expect(begin.text).toBe(whole.slice(0, 20));
    }
    await expect(session.tools.readResult('tool:none')).rejects.toMatchObject({ code: 'not-found' });
    await expect(session.tools.readResult('@1/0')).rejects.toMatchObject({ code: 'invalid-input' });
    await expect(engine.tools.readResult('nobody', 'tool:none')).rejects.toMatchObject({ code: 'not-found' });
  });
});
