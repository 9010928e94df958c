import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineTool } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';

const permissions = ['public', 'restricted', 'admin', 'ask'] as const;
const tools = permissions.map((permission) =>
  defineTool({
    name: permission,
    description: 'Does as it may.',
    input: z.object({ list: z.array(z.string()).default([]) }),
    permission,
    execute: ({ list }) => list,
  }),
);

test('by default roles decide: none, one of a program, and admin', async () => {
  const engine = await inMemory();
  engine.tools.register(tools);
  const codes = async (role?: string) =>
    Promise.all(
      permissions.map(async (name) => (await engine.tools.execute(name, {}, { role })).error?.code ?? 'ok'),
    );
  expect(await codes()).toEqual(['ok', 'forbidden', 'forbidden', 'forbidden']);
  expect(await codes('public')).toEqual(['ok', 'forbidden', 'forbidden', 'forbidden']);
  expect(await codes('clerk')).toEqual(['ok', 'ok', 'forbidden', 'forbidden']);
  expect(await codes('admin')).toEqual(['ok', 'ok', 'ok', 'forbidden']);
});

test('without anybody to ask, what needs asking is denied, with a hint', async () => {
  const engine = await inMemory();
  engine.tools.register(tools);
  expect((await engine.tools.execute('ask')).error).toMatchObject({
    code: 'forbidden',
    hint: expect.stringContaining('approve'),
  });
});

test('a program that has asked already says so', async () => {
  const engine = await inMemory();
  engine.tools.register(tools);
  expect(await engine.tools.execute('ask', {}, { approved: true })).toMatchObject({ success: true });
  expect((await engine.tools.execute('admin', {}, { approved: true })).error!.code).toBe('forbidden');
});

/** What says nothing, but throws when it is asked. */
function unreadable(): object {
  return {
    get decision() {
      throw new Error('broken');
    },
    get approved() {
      throw new Error('broken');
    },
  };
}

test('a policy decides in place of the roles, and says why', async () => {
  const engine = await inMemory({
    tools: {
      policy: ({ tool, userId }) => {
        if (userId === 'ada') return 'allow';
        return tool === 'public' ? { decision: 'deny', reason: 'is for Ada alone' } : 'deny';
      },
    },
  });
  engine.tools.register(tools);
  expect(await engine.tools.execute('admin', {}, { userId: 'ada' })).toMatchObject({ success: true });
  const denied = await engine.tools.execute('public', {}, { userId: 'bob' });
  expect(denied.error).toMatchObject({ code: 'forbidden', message: 'the tool public is for Ada alone' });
  const silently = await engine.tools.execute('restricted', {}, { userId: 'bob' });
  expect(silently.error).toEqual({
    code: 'forbidden',
    message: 'the tool restricted is not allowed to this caller',
    details: { tool: 'restricted', permission: 'restricted' },
  });
});

for (const [what, policy] of [
  ['throws', () => Promise.reject(new Error('broken'))],
  ['says nothing', () => undefined],
  ['says something else', () => 'yes'],
  ['can not be read', unreadable],
] as const) {
  test(`a policy that ${what} allows nothing`, async () => {
    const engine = await inMemory({ onError: () => {}, tools: { policy: policy as never } });
    engine.tools.register(tools);
    expect((await engine.tools.execute('public', {}, { role: 'admin' })).error!.code).toBe('forbidden');
  });
}

test('a person whose answer can not be read has not said yes', async () => {
  const engine = await inMemory({ onError: () => {}, tools: { approve: unreadable as never } });
  engine.tools.register(tools);
  expect((await engine.tools.execute('ask')).error!.code).toBe('forbidden');
});

test('what is done to a request while it is decided on reaches no tool', async () => {
  const spoil = ({ input }: { input: unknown }) => (input as { list: string[] }).list.push('spoiled');
  const engine = await inMemory({
    tools: {
      policy: (request) => {
        spoil(request);
        return 'ask';
      },
      approve: (request) => {
        spoil(request);
        return true;
      },
    },
  });
  engine.tools.register(tools);
  expect(await engine.tools.execute('public', { list: ['a'] })).toMatchObject({ result: ['a'] });
});

test('a person may take longer than the tool', async () => {
  const asked = Promise.withResolvers<unknown>();
  const answer = Promise.withResolvers<boolean>();
  const engine = await inMemory({
    tools: {
      timeoutMs: 5,
      approve: (request) => {
        asked.resolve(request);
        return answer.promise;
      },
    },
  });
  const hangs = defineTool({
    name: 'hangs',
    description: 'Never ends.',
    input: z.object({}),
    execute: () => new Promise(() => {}),
  });
  engine.tools.register([...tools, hangs]);
  const params = { list: ['a'] };
  const call = engine.tools.execute('ask', params, { userId: 'ada', toolCallId: 'c1' });
  const request = await asked.promise;
  expect(request).toMatchObject({
    tool: 'ask',
    input: params,
    userId: 'ada',
    toolCallId: 'c1',
    tenant: 'default',
  });
  (request as { input: typeof params }).input.list.push('changed');
  // The time of a tool is over meanwhile.
  expect((await engine.tools.execute('hangs', {})).error!.code).toBe('timeout');
  answer.resolve(true);
  expect(await call).toMatchObject({ success: true, result: ['a'] });
});

test('a person who says no is heard, one who says nothing is waited for so long', async () => {
  let signal: AbortSignal | undefined;
  const engine = await inMemory({
    tools: {
      approvalTimeoutMs: 20,
      approve: ({ userId }, options) => {
        signal = options.signal;
        return userId === 'ada'
          ? { approved: false, reason: 'was not what Ada wants' }
          : new Promise(() => {});
      },
    },
  });
  engine.tools.register(tools);
  const no = await engine.tools.execute('ask', {}, { userId: 'ada' });
  expect(no.error).toMatchObject({ code: 'forbidden', message: 'the tool ask was not what Ada wants' });
  const silent = await engine.tools.execute('ask', {}, { userId: 'bob' });
  expect(silent.error).toMatchObject({ code: 'timeout', details: { timeoutMs: 20 } });
  expect(signal!.aborted).toBe(true);
});

test('who waits for a person can give up', async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  const approve = (_: unknown, { signal }: { signal: AbortSignal }) => {
    asked.resolve(signal);
    return new Promise<boolean>(() => {});
  };
  const engine = await inMemory({ tools: { approve } });
  engine.tools.register(tools);
  const caller = new AbortController();
  const call = engine.tools.execute('ask', {}, { signal: caller.signal });
  const signal = await asked.promise;
  caller.abort();
  expect((await call).error!.code).toBe('aborted');
  expect(signal.aborted).toBe(true);
});
