import { AIMessage, ToolMessage } from '@langchain/core/messages';
import { DynamicTool, tool } from '@langchain/core/tools';
import { FakeListChatModel } from '@langchain/core/utils/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTool } from '../../src/core/tools/tool.ts';
import { ContextEngine } from '../../src/index.ts';
import { fromLangChainTool, toLangChainTools } from '../../src/integrations/langchain/index.ts';

let engine: ContextEngine;
beforeEach(async () => {
  engine = await ContextEngine.open('memory:');
});
afterEach(() => engine.close());

const call = (name: string, args: Record<string, unknown>) =>
  ({ type: 'tool_call', id: 'call-1', name, args }) as const;

test("a model's call of a tool of ours goes through the engine, and comes back as a message", async () => {
  engine.tools.register(
    defineTool({
      name: 'weather',
      description: 'The weather in a city',
      input: z.object({ city: z.string(), days: z.number().default(1) }),
      execute: ({ city, days }, { toolCallId, role }) => ({ city, days, toolCallId, role }),
    }),
  );
  const [weather] = await toLangChainTools(engine.tools, { role: 'guide' });
  const asked = new AIMessage({ content: '', tool_calls: [call('weather', { city: 'Oslo' })] });
  const message: unknown = await weather!.invoke(asked.tool_calls![0]!);
  expect(message).toBeInstanceOf(ToolMessage);
  const { content, artifact, tool_call_id } = message as ToolMessage;
  const result = { city: 'Oslo', days: 1, toolCallId: 'call-1', role: 'guide' };
  expect(JSON.parse(content as string)).toEqual(result);
  expect(tool_call_id).toBe('call-1');
  expect(artifact).toMatchObject({ success: true, result, cached: false });
  expect(engine.tools.stats('weather')).toMatchObject({ calls: 1 });
  expect(await weather!.invoke({ city: 'Bergen' })).toContain('Bergen');
});

test('a failed call throws our code and message', async () => {
  engine.tools.register(
    defineTool({
      name: 'kettle',
      description: 'Boils water',
      input: { type: 'object' },
      execute: () => {
        throw new Error('the kettle is empty');
      },
    }),
  );
  const [kettle] = await toLangChainTools(engine.tools);
  await expect(kettle!.invoke(call('kettle', {}))).rejects.toMatchObject({
    code: 'tool-failed',
    message: 'the kettle is empty',
  });
});

test("the config's signal ends a call", async () => {
  const caller = new AbortController();
  engine.tools.register(
    defineTool({
      name: 'wait',
      description: 'Waits',
      input: { type: 'object' },
      execute: (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve('late'));
          caller.abort();
        }),
    }),
  );
  const [wait] = await toLangChainTools(engine.tools, { names: ['wait'] });
  await expect(wait!.invoke({}, { signal: caller.signal })).rejects.toMatchObject({ code: 'aborted' });
});

test('a model sees the image that a tool gives', async () => {
  engine.tools.register(
    defineTool({
      name: 'picture',
      description: 'A dot',
      input: { type: 'object' },
      execute: () => ({
        content: [
          { type: 'text', text: 'a dot' },
          { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png' },
        ],
      }),
    }),
  );
  const [picture] = await toLangChainTools(engine.tools);
  const { content } = (await picture!.invoke(call('picture', {}))) as unknown as ToolMessage;
  expect(content).toEqual([
    { type: 'text', text: 'a dot' },
    { type: 'image', mimeType: 'image/png', data: 'iVBORw0KGgo=' },
  ]);
});

test('a tool of LangChain keeps its schema, and what that makes of the input is made once', async () => {
  const increment = tool(({ n }) => n + 1, {
    name: 'increment',
    description: 'Adds one',
    schema: z.object({ n: z.number().transform((n) => n * 10) }),
  });
  engine.tools.register(await fromLangChainTool(increment, { category: 'sums' }));
  expect((await engine.tools.execute('increment', { n: 4 })).result).toBe('41');
  expect((await engine.tools.execute('increment', { n: 'x' })).error).toMatchObject({
    code: 'invalid-input',
  });
  expect(engine.tools.get('increment')).toMatchObject({ description: 'Adds one', category: 'sums' });
});

test('an artifact stands beside the content', async () => {
  const search = tool(({ query }, config) => [`1 hit for ${query}`, { hits: [config.toolCall?.id] }], {
    name: 'search',
    description: 'Searches',
    schema: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
    responseFormat: 'content_and_artifact',
  });
  engine.tools.register(await fromLangChainTool(search));
  expect((await engine.tools.execute('search', { query: 'tea' }, { toolCallId: 'c7' })).result).toEqual({
    content: '1 hit for tea',
    artifact: { hits: ['c7'] },
  });
});

test('a tool that takes a text, and one that asks a model, are taken as well', async () => {
  const echo = new DynamicTool({ name: 'echo', description: 'Echoes', func: async (text) => `${text}!` });
  engine.tools.register(await fromLangChainTool(echo));
  expect((await engine.tools.execute('echo', { input: 'hi' })).result).toBe('hi!');

  const model = new FakeListChatModel({ responses: ['Tea is a drink.'] });
  const explain = tool(async ({ word }, config) => (await model.invoke(word, config)).content, {
    name: 'explain',
    description: 'Explains a word',
    schema: z.object({ word: z.string() }),
  });
  engine.tools.register(await fromLangChainTool(explain));
  expect((await engine.tools.execute('explain', { word: 'tea' })).result).toBe('Tea is a drink.');
});

test('what a tool throws, and an error message that it gives, fail the call', async () => {
  const throws = tool(
    () => {
      throw new Error('no tea');
    },
    { name: 'throws', description: '', schema: z.object({}) },
  );
  const gives = tool(
    (_, config) =>
      new ToolMessage({ content: 'no milk', tool_call_id: config.toolCall!.id!, status: 'error' }),
    { name: 'gives', description: '', schema: z.object({}) },
  );
  for (const one of [throws, gives]) engine.tools.register(await fromLangChainTool(one));
  expect((await engine.tools.execute('throws', {})).error).toMatchObject({ message: 'no tea' });
  expect((await engine.tools.execute('gives', {})).error).toMatchObject({ message: 'no milk' });
});
