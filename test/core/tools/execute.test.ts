import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expect, it, test, vi } from 'vitest';
import { z } from 'zod';
import { defineTool, type Tool } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';

const about = { name: 'forecast', description: 'Tells the weather of a city.' };

const schemas: [string, Tool][] = [
  [
    'zod',
    defineTool({
      ...about,
      input: z.object({ city: z.string(), days: z.number() }),
      execute: ({ city }) => city,
    }),
  ],
  [
    'valibot',
    defineTool({
      ...about,
      input: v.object({ city: v.string(), days: v.number() }),
      execute: ({ city }) => city,
    }),
  ],
  [
    'arktype',
    defineTool({ ...about, input: type({ city: 'string', days: 'number' }), execute: ({ city }) => city }),
  ],
  ...['https://json-schema.org/draft/2020-12/schema', 'http://json-schema.org/draft-07/schema#'].map(
    ($schema): [string, Tool] => [
      `JSON Schema (${$schema})`,
      defineTool({
        ...about,
        input: {
          $schema,
          type: 'object',
          properties: { city: { type: 'string' }, days: { type: 'number' } },
          required: ['city', 'days'],
        },
        execute: ({ city }) => city,
      }),
    ],
  ),
];

describe.each(schemas)('a tool whose input is a schema of %s', (library, tool) => {
  it('is called with what fits', async () => {
    const engine = await inMemory();
    engine.tools.register(tool);
    const result = await engine.tools.execute('forecast', { city: 'Oslo', days: 2 });
    expect(result).toEqual({
      success: true,
      result: 'Oslo',
      cached: false,
      attempts: 1,
      durationMs: expect.any(Number),
    });
  });

  it('tells all that is wrong with an input, by field, and is not called', async () => {
    const engine = await inMemory();
    engine.tools.register(tool);
    const { success, error, attempts } = await engine.tools.execute('forecast', { city: 7, days: 'two' });
    expect({ success, attempts, code: error!.code }).toEqual({
      success: false,
      attempts: 0,
      code: 'invalid-input',
    });
    const issues = error!.details!.issues as { path: string }[];
    expect(issues.map(({ path }) => path).sort()).toEqual(['city', 'days']);
  });

  it('tells its JSON Schema, where the library can', () => {
    const fields = { properties: { city: { type: 'string' }, days: { type: 'number' } } };
    if (library === 'valibot') expect(tool.inputJsonSchema).toBeUndefined();
    else expect(tool.inputJsonSchema).toMatchObject({ type: 'object', ...fields });
  });
});

test('a definition may bring the JSON Schema that its library lacks', () => {
  const inputJsonSchema = { type: 'object', properties: { city: { type: 'string' } } };
  const tool = defineTool({
    ...about,
    input: v.object({ city: v.string() }),
    inputJsonSchema,
    execute: () => 1,
  });
  expect(tool.inputJsonSchema).toEqual(inputJsonSchema);
});

test('defaults fill in for what is missing, also those of JSON Schema', async () => {
  const engine = await inMemory();
  const input = { type: 'object', properties: { days: { type: 'integer', default: 3 } } };
  engine.tools.register(defineTool({ ...about, input, execute: ({ days }) => days }));
  expect(await engine.tools.execute('forecast')).toMatchObject({ success: true, result: 3 });
});

test('of many problems the first are told', async () => {
  const engine = await inMemory();
  const input = { type: 'object', properties: { list: { type: 'array', items: { type: 'string' } } } };
  engine.tools.register(defineTool({ ...about, input, execute: () => 1 }));
  const { error } = await engine.tools.execute('forecast', {
    list: Array.from({ length: 5000 }, (_, i) => i),
  });
  const issues = error!.details!.issues as { message: string }[];
  expect(issues).toHaveLength(21);
  expect(issues.at(-1)!.message).toBe('and 4980 more');
});

const noTools: [string, object, RegExp][] = [
  [
    'fields that are missing or unknown',
    { nme: 'x' },
    /name: is missing.*description.*input.*execute.*nme: is unknown, did you mean name/,
  ],
  ['JSON Schema that is none', { input: { type: 'objekt' } }, /input: is no JSON Schema that can be used/],
  [
    'JSON Schema besides that is none',
    { input: {}, inputJsonSchema: 5 },
    /inputJsonSchema: expected JSON Schema/,
  ],
  ['a reference that leads nowhere', { input: { $ref: 'https://example.org/s' } }, /can't resolve reference/],
  [
    'a draft that nobody knows',
    { input: { $schema: 'http://json-schema.org/draft-03/schema#' } },
    /neither draft 2020-12 nor draft-07/,
  ],
  [
    'retries of what is not idempotent',
    { input: {}, retries: { attempts: 2 } },
    /retries: need idempotent: true/,
  ],
];
for (const [what, definition, message] of noTools) {
  test(`a definition with ${what} is no tool`, () => {
    const rest = 'nme' in definition ? {} : { ...about, execute: () => 1 };
    expect(() => defineTool({ ...rest, ...definition } as never)).toThrow(message);
  });
}

test('schemas with the same $id are no trouble to each other', () => {
  const input = { $id: 'https://example.org/same', type: 'object' };
  expect(() => [1, 2].map(() => defineTool({ ...about, input, execute: () => 1 }))).not.toThrow();
});

test('what a tool gives is checked where it says what it gives', async () => {
  const engine = await inMemory();
  const output = z.object({ degrees: z.number() });
  const execute = ({ city }: { city: string }) =>
    city === 'Oslo' ? { degrees: 7 } : ({ degrees: 'warm' } as never);
  engine.tools.register(defineTool({ ...about, input: z.object({ city: z.string() }), output, execute }));
  expect(await engine.tools.execute('forecast', { city: 'Oslo' })).toMatchObject({ result: { degrees: 7 } });
  const wrong = await engine.tools.execute('forecast', { city: 'Rome' });
  expect(wrong).toMatchObject({ success: false, error: { code: 'tool-failed' }, attempts: 1 });
  expect(wrong.error!.message).toContain('its result is not what it promises: degrees');
});

test('a tool that nobody registered is not found, and the nearest name is told', async () => {
  const engine = await inMemory();
  engine.tools.register(schemas[0]![1]);
  const { success, error } = await engine.tools.execute('forcast', {});
  expect({ success, error }).toMatchObject({
    success: false,
    error: { code: 'not-found', hint: 'Did you mean forecast?' },
  });
});

test('bad options fail the call, and all of them are named', async () => {
  const engine = await inMemory();
  const { error } = await engine.tools.execute('forecast', {}, { timeoutMs: -1, sesionId: 's' } as never);
  expect(error).toMatchObject({ code: 'invalid-input' });
  expect(error!.message).toMatch(/timeoutMs: .*sesionId: is unknown, did you mean sessionId/);
});

test('a caller that gives up has the call aborted, and the tool told', async () => {
  const engine = await inMemory();
  const started = Promise.withResolvers<AbortSignal>();
  const execute = (_: unknown, { signal }: { signal: AbortSignal }) => {
    started.resolve(signal);
    return new Promise(() => {});
  };
  engine.tools.register(defineTool({ ...about, input: z.object({}), execute }));
  const caller = new AbortController();
  const call = engine.tools.execute('forecast', {}, { signal: caller.signal });
  const signal = await started.promise;
  caller.abort();
  expect(await call).toMatchObject({ success: false, error: { code: 'aborted' } });
  expect(signal.aborted).toBe(true);
  const again = await engine.tools.execute('forecast', {}, { signal: caller.signal });
  expect(again).toMatchObject({ success: false, error: { code: 'aborted' }, attempts: 0 });
});

test('a call is told for whom it is made', async () => {
  const engine = await inMemory();
  const execute = (_: unknown, { signal: _signal, ...call }: object & { signal: AbortSignal }) => call;
  engine.tools.register(defineTool({ ...about, input: z.object({}), execute }));
  const { result } = await engine.tools.execute(
    'forecast',
    {},
    { userId: 'ada', role: 'cook', toolCallId: 'c1' },
  );
  expect(result).toEqual({
    tool: 'forecast',
    tenant: 'default',
    userId: 'ada',
    role: 'cook',
    toolCallId: 'c1',
    attempt: 1,
  });
});

describe('retries', () => {
  it('call a tool again that says it may be, until it does not fail', async () => {
    const engine = await inMemory();
    const attempts: number[] = [];
    engine.tools.register(
      defineTool({
        ...about,
        input: z.object({}),
        idempotent: true,
        retries: { attempts: 5, backoffMs: 1 },
        execute: (_, { attempt }) => {
          attempts.push(attempt);
          if (attempt < 3) throw new Error('not yet');
          return 'done';
        },
      }),
    );
    expect(await engine.tools.execute('forecast')).toMatchObject({
      success: true,
      result: 'done',
      attempts: 3,
    });
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('are not made of a bad input, a denied or an aborted call', async () => {
    const engine = await inMemory();
    const caller = new AbortController();
    let calls = 0;
    const settings = { idempotent: true, retries: { attempts: 5, backoffMs: 10_000 } };
    const execute = () => {
      calls++;
      caller.abort();
      throw new Error('no');
    };
    const input = z.object({ n: z.number() });
    engine.tools.register(defineTool({ ...about, ...settings, input, execute }));
    engine.tools.register(
      defineTool({ ...about, ...settings, name: 'secret', permission: 'admin', input, execute }),
    );
    expect(await engine.tools.execute('forecast', {})).toMatchObject({
      error: { code: 'invalid-input' },
      attempts: 0,
    });
    expect(await engine.tools.execute('secret', { n: 1 })).toMatchObject({
      error: { code: 'forbidden' },
      attempts: 0,
    });
    const { signal } = caller;
    expect(await engine.tools.execute('forecast', { n: 1 }, { signal })).toMatchObject({
      error: { code: 'aborted' },
      attempts: 1,
    });
    expect(calls).toBe(1);
  });
});

test('no more calls of a tool run at a time than it takes', async () => {
  const engine = await inMemory();
  let running = 0;
  let most = 0;
  engine.tools.register(
    defineTool({
      ...about,
      input: z.object({}),
      maxConcurrent: 2,
      execute: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
      },
    }),
  );
  const results = await Promise.all(Array.from({ length: 20 }, () => engine.tools.execute('forecast')));
  expect(results.every(({ success }) => success)).toBe(true);
  expect(most).toBe(2);
});

test('a call that goes on after it was given up on keeps its slot until it ends', async () => {
  const engine = await inMemory({ concurrency: { graceMs: 3_600_000 } });
  const gates: PromiseWithResolvers<void>[] = [];
  engine.tools.register(
    defineTool({
      ...about,
      input: z.object({}),
      maxConcurrent: 1,
      timeoutMs: 1,
      execute: () => {
        gates.push(Promise.withResolvers());
        return gates.at(-1)!.promise;
      },
    }),
  );
  const first = await engine.tools.execute('forecast');
  expect(first.error!.code).toBe('timeout');
  const caller = new AbortController();
  const leaving = engine.tools.execute('forecast', {}, { signal: caller.signal });
  const next = engine.tools.execute('forecast', {}, { timeoutMs: 60_000 });
  caller.abort();
  expect(await leaving).toMatchObject({ error: { code: 'aborted' }, attempts: 0 });
  expect(gates).toHaveLength(1);
  gates[0]!.resolve();
  await vi.waitFor(() => expect(gates).toHaveLength(2));
  gates[1]!.resolve();
  expect(await next).toMatchObject({ success: true, attempts: 1 });
});

test('a call that never ends keeps its slot for a while only', async () => {
  const engine = await inMemory({ concurrency: { graceMs: 1 } });
  const input = z.object({ hang: z.boolean() });
  const execute = ({ hang }: { hang: boolean }) => (hang ? new Promise<never>(() => {}) : 'done');
  engine.tools.register(defineTool({ ...about, input, maxConcurrent: 1, timeoutMs: 1, execute }));
  const [hung, next] = await Promise.all(
    [true, false].map((hang) => engine.tools.execute('forecast', { hang })),
  );
  expect(hung).toMatchObject({ error: { code: 'timeout' } });
  expect(next).toMatchObject({ success: true, result: 'done' });
});

test('a closed engine calls nothing, and ends what it is calling', async () => {
  const engine = await inMemory();
  engine.tools.register(defineTool({ ...about, input: z.object({}), execute: () => new Promise(() => {}) }));
  const call = engine.tools.execute('forecast');
  await engine.close();
  expect(await call).toMatchObject({ success: false, error: { code: 'closed' } });
  expect(await engine.tools.execute('forecast')).toMatchObject({ success: false, error: { code: 'closed' } });
  expect(() => engine.tools.list()).toThrow('closed');
});

test('what goes wrong inside is told to onError, and to the caller only that it did', async () => {
  const errors: unknown[] = [];
  const engine = await inMemory({
    onError: (error) => errors.push(error),
    tools: { describeError: (error) => `it broke: ${(error as Error).name}` },
  });
  const execute = () => {
    throw new RangeError('the password is 1234');
  };
  engine.tools.register(defineTool({ ...about, input: z.object({}), execute }));
  const { error } = await engine.tools.execute('forecast');
  expect(error).toEqual({ code: 'tool-failed', message: 'it broke: RangeError' });
});
