import {
  dynamicTool,
  generateText,
  isStepCount,
  jsonSchema,
  type ModelMessage,
  type ToolSet,
  tool,
} from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTool } from '../../src/core/tools/tool.ts';
import { ContextEngine } from '../../src/index.ts';
import { fromAiSdkTool, fromAiSdkTools, toAiSdkTools } from '../../src/integrations/ai-sdk/index.ts';

let engine: ContextEngine;
beforeEach(async () => {
  engine = await ContextEngine.open('memory:');
});
afterEach(() => engine.close());

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};

/** Calls one tool, and then says that it is done. */
function modelThatCalls(toolName: string, input: unknown): MockLanguageModelV4 {
  const call = { type: 'tool-call', toolCallId: 'call-1', toolName, input: JSON.stringify(input) } as const;
  return new MockLanguageModelV4({
    doGenerate: [
      { content: [call], finishReason: { unified: 'tool-calls', raw: undefined }, usage, warnings: [] },
      {
        content: [{ type: 'text', text: 'done' }],
        finishReason: { unified: 'stop', raw: undefined },
        usage,
        warnings: [],
      },
    ],
  });
}

/** What the model was shown of the tool's result. */
async function shown(tools: ToolSet, toolName: string, input: unknown): Promise<unknown> {
  const model = modelThatCalls(toolName, input);
  const { text } = await generateText({ model, tools, prompt: 'Go on.', stopWhen: isStepCount(3) });
  expect(text).toBe('done');
  const message = model.doGenerateCalls[1]!.prompt.find(({ role }) => role === 'tool');
  return message?.role === 'tool' && message.content[0]?.type === 'tool-result'
    ? message.content[0].output
    : undefined;
}

const weather = defineTool({
  name: 'weather',
  description: 'The weather in a city',
  input: z.object({ city: z.string(), days: z.coerce.number().default(1) }),
  execute: ({ city, days }, { toolCallId, sessionId }) => ({ city, days, toolCallId, sessionId }),
});

test('a model calls a tool of ours through the engine', async () => {
  engine.tools.register(weather);
  await engine.sessions.create({ id: 'trip', userId: 'ada' });
  const tools = await toAiSdkTools(engine.tools, { sessionId: 'trip' });
  expect(await shown(tools, 'weather', { city: 'Oslo', days: '3' })).toEqual({
    type: 'json',
    value: { city: 'Oslo', days: 3, toolCallId: 'call-1', sessionId: 'trip' },
  });
  expect(engine.tools.stats('weather')).toMatchObject({ calls: 1, succeeded: 1 });
});

test('a model is told of a call that failed, with our message', async () => {
  engine.tools.register(
    defineTool({
      name: 'kettle',
      description: 'Boils water',
      input: z.object({}),
      execute: () => {
        throw new Error('the kettle is empty');
      },
    }),
  );
  const tools = await toAiSdkTools(engine.tools);
  expect(await shown(tools, 'kettle', {})).toMatchObject({
    type: 'error-text',
    value: expect.stringMatching(/the kettle is empty$/),
  });
});

test('an input that does not fit is refused by the engine, which counts it', async () => {
  engine.tools.register(weather);
  const output = await shown(await toAiSdkTools(engine.tools), 'weather', { days: 2 });
  expect(output).toMatchObject({ type: 'error-text', value: expect.stringContaining('city') });
  expect(engine.tools.stats('weather')).toMatchObject({ failed: 1, failures: { 'invalid-input': 1 } });
});

test('permissions hold for the role that the tools are handed out for', async () => {
  engine.tools.register(
    defineTool({
      name: 'reboot',
      description: 'Starts anew',
      permission: 'admin',
      input: z.object({}),
      execute: () => 'ok',
    }),
  );
  const output = await shown(await toAiSdkTools(engine.tools), 'reboot', {});
  expect(output).toMatchObject({ type: 'error-text' });
  expect(await shown(await toAiSdkTools(engine.tools, { role: 'admin' }), 'reboot', {})).toEqual({
    type: 'text',
    value: 'ok',
  });
});

test("the caller's signal ends a call, with our code", async () => {
  const caller = new AbortController();
  engine.tools.register(
    defineTool({
      name: 'wait',
      description: 'Waits',
      input: z.object({}),
      execute: (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve('late'));
          caller.abort();
        }),
    }),
  );
  const { wait } = await toAiSdkTools(engine.tools);
  const options = { toolCallId: 'c', messages: [], context: undefined, abortSignal: caller.signal };
  await expect(wait!.execute!({}, options as never)).rejects.toMatchObject({ code: 'aborted' });
});

test('only the tools that are named are offered, and one that is not there is an error', async () => {
  engine.tools.register(weather);
  engine.tools.register(defineTool({ ...plain, name: 'other' }));
  expect(Object.keys(await toAiSdkTools(engine.tools))).toEqual(['other', 'weather']);
  expect(Object.keys(await toAiSdkTools(engine.tools, { names: ['other'] }))).toEqual(['other']);
  await expect(toAiSdkTools(engine.tools, { names: ['wether'] })).rejects.toMatchObject({
    code: 'not-found',
  });
});

const plain = { description: '', input: { type: 'object' }, execute: () => 'ok' };

test('an option that there is not is told when the tools are handed out, not at each call', async () => {
  const wrong = { name: 'weather' } as never;
  await expect(toAiSdkTools(engine.tools, wrong)).rejects.toThrow(/name/);
  await expect(toAiSdkTools(engine as never)).rejects.toThrow(/expected engine\.tools/);
});

test('a model sees the image that a tool gives', async () => {
  engine.tools.register(
    defineTool({
      ...plain,
      name: 'picture',
      execute: () => ({
        content: [
          { type: 'text', text: 'a dot' },
          { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png' },
          { type: 'resource_link', uri: 'file:///dot', name: 'dot' },
        ],
      }),
    }),
  );
  expect(await shown(await toAiSdkTools(engine.tools), 'picture', {})).toMatchObject({
    type: 'content',
    value: [
      { type: 'text', text: 'a dot' },
      { type: 'file', mediaType: 'image/png' },
      { type: 'text', text: expect.stringContaining('file:///dot') },
    ],
  });
});

test("a tool of the AI SDK keeps its schema, and is given the call's id and signal", async () => {
  const sdk = tool({
    description: 'Doubles',
    inputSchema: z.object({ n: z.number(), times: z.number().default(2) }),
    outputSchema: z.object({ product: z.number(), id: z.string(), aborted: z.boolean() }),
    execute: ({ n, times }, { toolCallId, abortSignal }) => ({
      product: n * times,
      id: toolCallId,
      aborted: abortSignal!.aborted,
    }),
  });
  engine.tools.register(await fromAiSdkTool('double', sdk, { tags: ['sums'], cache: { ttlMs: 60_000 } }));
  const result = { product: 42, id: 'call-7', aborted: false };
  expect(await engine.tools.execute('double', { n: 21 }, { toolCallId: 'call-7' })).toMatchObject({ result });
  expect(await engine.tools.execute('double', { n: 21 })).toMatchObject({ result, cached: true });
  expect((await engine.tools.execute('double', { n: 'x' })).error).toMatchObject({ code: 'invalid-input' });
  expect(engine.tools.get('double')).toMatchObject({ description: 'Doubles', tags: ['sums'] });
  expect(engine.tools.get('double').inputJsonSchema).toMatchObject({ properties: { n: { type: 'number' } } });
});

test('of a stream of results the last one counts', async () => {
  const counting = tool({
    inputSchema: jsonSchema<{ to: number }>({ type: 'object', properties: { to: { type: 'number' } } }),
    async *execute({ to }) {
      for (let n = 1; n <= to; n++) yield n;
    },
  });
  engine.tools.register(await fromAiSdkTool('count', counting));
  expect((await engine.tools.execute('count', { to: 5 })).result).toBe(5);
});

test('a tool that is described at run time, with a validator of its own, is taken as well', async () => {
  const shouting = dynamicTool({
    description: 'Says it louder',
    inputSchema: jsonSchema(
      { type: 'object' },
      {
        validate: (value) =>
          typeof (value as { text?: unknown }).text === 'string'
            ? { success: true, value }
            : { success: false, error: new Error(`bad: ${JSON.stringify(value)}`) },
      },
    ),
    execute: (input) => (input as { text: string }).text.toUpperCase(),
  });
  engine.tools.register(await fromAiSdkTool('shout', shouting));
  expect((await engine.tools.execute('shout', { text: 'hi' })).result).toBe('HI');
  const { error } = await engine.tools.execute('shout', { pin: 1234 });
  expect(error).toMatchObject({ code: 'invalid-input' });
  expect(error!.message).not.toContain('1234');
});

test('what needs approval there has to be asked for here', async () => {
  const paying = tool({ inputSchema: z.object({}), needsApproval: true, execute: () => 'paid' });
  expect(await fromAiSdkTool('pay', paying)).toMatchObject({ permission: 'ask' });
  expect(await fromAiSdkTool('pay', paying, { permission: 'admin' })).toMatchObject({ permission: 'admin' });
});

test('the AI SDK asks a person where it is told to, and a call goes through after a yes alone', async () => {
  engine.tools.register(defineTool({ ...plain, name: 'pay', permission: 'ask' }));
  const there = await toAiSdkTools(engine.tools, { approval: 'ai-sdk' });
  const messages: ModelMessage[] = [{ role: 'user', content: 'Pay.' }];
  const first = await generateText({ model: modelThatCalls('pay', {}), tools: there, messages });
  const request = first.content.find(({ type }) => type === 'tool-approval-request');
  expect(engine.tools.stats('pay').calls).toBe(0);

  messages.push(...first.response.messages, {
    role: 'tool',
    content: [
      {
        type: 'tool-approval-response',
        approvalId: (request as { approvalId: string }).approvalId,
        approved: true,
      },
    ],
  });
  await generateText({ model: modelThatCalls('pay', {}), tools: there, messages });
  expect(engine.tools.stats('pay')).toMatchObject({ calls: 1, succeeded: 1 });

  // Where the engine asks, and has nobody to ask, the answer is no.
  const output = await shown(await toAiSdkTools(engine.tools), 'pay', {});
  expect(output).toMatchObject({ type: 'error-text', value: expect.stringContaining('approval') });
});

test('tools that a client runs are named all at once, unless they are left out or told how to run', async () => {
  const tools = {
    ask: tool({ inputSchema: z.object({}), outputSchema: z.string() }),
    confirm: tool({ inputSchema: z.object({}), outputSchema: z.boolean() }),
    add: tool({ inputSchema: z.object({ a: z.number() }), execute: ({ a }) => a + 1 }),
  };
  await expect(fromAiSdkTools(tools)).rejects.toThrow(/ask: .*confirm: /);
  const taken = await fromAiSdkTools(tools, { ask: false, confirm: { execute: () => true } });
  for (const one of taken) engine.tools.register(one);
  expect(taken.map(({ name }) => name)).toEqual(['confirm', 'add']);
  expect((await engine.tools.execute('confirm', {})).result).toBe(true);
});

test('an override that is for none of the tools is told, since the one it was meant for would go without', async () => {
  const erase = tool({ inputSchema: z.object({}), execute: () => 'erased' });
  await expect(fromAiSdkTools({ erase }, { earse: { permission: 'ask' } })).rejects.toThrow(/earse/);
});

test('a set goes through us and back without a loss', async () => {
  const add = tool({
    description: 'Adds',
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    execute: ({ a, b }) => ({ sum: a + b }),
  });
  for (const one of await fromAiSdkTools({ add })) engine.tools.register(one);
  expect(await shown(await toAiSdkTools(engine.tools), 'add', { a: 1, b: 2 })).toEqual({
    type: 'json',
    value: { sum: 3 },
  });
});
