import { afterEach, beforeEach, expect, test } from 'vitest';
import { ContextEngine } from '../../src/index.ts';
import { connectMcpTools, type McpOptions, type McpProgress } from '../../src/integrations/mcp/index.ts';
import { toolNames } from '../support/mcp-server.ts';
import { withSecret } from './secret.ts';

let engine: ContextEngine;
beforeEach(async () => {
  engine = await ContextEngine.open('memory:');
});
afterEach(() => engine.close());

const program = `${import.meta.dirname}/../support/mcp-server.ts`;
const fixture = (...args: string[]) => ({ command: process.execPath, args: [program, ...args] });

/** Connected, and registered with the engine. */
function connect(options: McpOptions = {}, ...args: string[]) {
  return connectMcpTools(fixture(...args), { register: engine.tools, ...options });
}

const call = (name: string, input: unknown = {}, signal?: AbortSignal) =>
  engine.tools.execute(name, input, signal ? { signal } : {});

test('takes over the tools of all pages, with what they say of themselves', async () => {
  await using mcp = await connect();
  expect(mcp.tools.map(({ name }) => name)).toEqual(toolNames);
  expect(mcp.refused).toEqual([]);
  expect(engine.tools.get('add')).toMatchObject({
    description: 'Adds two numbers',
    category: 'fixture',
    permission: 'public',
    inputJsonSchema: { required: ['a', 'b'] },
  });
});

test('gives structured content where there is some, and text where there is none', async () => {
  await using _mcp = await connect();
  expect(await call('add', { a: 1, b: 2 })).toMatchObject({ success: true, result: { sum: 3 } });
  expect(await call('shout', { text: 'hello' })).toMatchObject({ success: true, result: 'HELLO' });
});

test('keeps images and resources as they came', async () => {
  await using _mcp = await connect();
  const { result } = await call('picture');
  expect(result).toEqual({
    content: [
      { type: 'text', text: 'a dot' },
      { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png' },
      { type: 'resource_link', uri: 'file:///dots/1.png', name: 'the dot' },
      { type: 'resource', resource: { uri: 'file:///dots/1.txt', text: '.' } },
    ],
  });
});

test('checks the input before the server sees it', async () => {
  await using _mcp = await connect();
  const { error } = await call('add', { a: 'one' });
  expect(error).toMatchObject({ code: 'invalid-input' });
  expect(error!.message).toContain("'b'");
});

test('tells a failure in the words of the server', async () => {
  await using _mcp = await connect();
  expect(await call('fail')).toMatchObject({
    success: false,
    error: { code: 'tool-failed', message: 'the kettle is empty' },
  });
  expect((await call('reject')).error).toMatchObject({ code: 'tool-failed' });
  expect((await call('reject')).error!.message).toContain('no such kettle');
});

test('does not believe a result that breaks its own schema', async () => {
  await using _mcp = await connect();
  expect((await call('lie')).error).toMatchObject({ code: 'tool-failed' });
});

test('does not take an answer that is not one of the protocol for a server that is gone', async () => {
  await using _mcp = await connect();
  expect((await call('gibberish')).error).toEqual({
    code: 'tool-failed',
    message: "the MCP server's answer is not one of the protocol",
  });
});

test('passes a cancellation on to the server, and progress back', async () => {
  const heard: McpProgress[] = [];
  const caller = new AbortController();
  await using _mcp = await connect({
    onProgress: (progress) => {
      heard.push(progress);
      if (heard.length === 3) caller.abort();
    },
  });
  const { error } = await call('wait', { id: 'soup' }, caller.signal);
  expect(error).toMatchObject({ code: 'aborted' });
  expect(heard[2]).toMatchObject({ tool: 'wait', progress: 3, message: 'step 3' });
  expect((await call('cancelled')).result).toBe('soup');
});

test('passes the end of the time on to the server', async () => {
  await using _mcp = await connect();
  const waiting = engine.tools.execute('wait', { id: 'stew' }, { timeoutMs: 200 });
  expect((await waiting).error).toMatchObject({ code: 'timeout' });
  expect((await call('cancelled')).result).toBe('stew');
});

test('follows the list of tools as it changes', async () => {
  const heard: string[][] = [];
  await using mcp = await connect({ onChange: (tools) => heard.push(tools.map(({ name }) => name)) });
  const before = engine.tools.get('add');
  await call('grow');
  await expect.poll(() => mcp.tools.some(({ name }) => name === 'grown')).toBe(true);
  expect((await call('grown')).result).toBe('called grown');
  await call('shrink');
  await expect.poll(() => mcp.tools.some(({ name }) => name === 'grown')).toBe(false);
  expect((await call('grown')).error).toMatchObject({ code: 'not-found' });
  expect(engine.tools.get('add')).toBe(before);
  expect(heard.map((names) => names.includes('grown'))).toEqual([false, true, false]);
});

test('leaves no tools behind where a program fails to hear of them', async () => {
  const onChange = () => {
    throw new RangeError('not now');
  };
  await expect(connect({ onChange })).rejects.toThrow('not now');
  expect(engine.tools.list()).toEqual([]);
});

test('fails the call during which the server dies, and starts it again for the next', async () => {
  await using _mcp = await connect();
  const { error } = await call('die');
  expect(error).toMatchObject({ code: 'tool-unavailable' });
  expect((await call('add', { a: 2, b: 2 })).result).toEqual({ sum: 4 });
});

test('leaves a server that died dead where it is told so', async () => {
  await using _mcp = await connect({ reconnect: false });
  await call('die');
  expect((await call('add', { a: 2, b: 2 })).error).toMatchObject({ code: 'tool-unavailable' });
});

test('hands a server no variable that it was not given', async () => {
  await withSecret('HOLDFAST_TEST_SECRET', async () => {
    const shown = { ...fixture(), env: { KETTLE: 'full' } };
    await using _mcp = await connectMcpTools(shown, { register: engine.tools });
    const seen = JSON.parse((await call('environment')).result as string);
    expect(seen).toMatchObject({ KETTLE: 'full' });
    expect(seen).not.toHaveProperty('HOLDFAST_TEST_SECRET');
  });
});

test('refuses each tool that does harm or makes no sense, says why, and takes the others', async () => {
  await using mcp = await connect({}, '--hostile');
  const reasons = Object.fromEntries(mcp.refused.map(({ name, reason }) => [`${name.slice(0, 20)}`, reason]));
  expect(Object.keys(reasons).sort()).toEqual(
    [
      ...['.. .. etc passwd', '', '(number)', '(undefined)', `long-${'x'.repeat(15)}`, 'twin', 'no-object'],
      ...['no-schema', 'not-compiling', 'elsewhere', 'bad-output', 'huge-schema', '__proto__'],
    ].sort(),
  );
  expect(reasons.elsewhere).toContain('refers to what is not in it');
  const names = mcp.tools.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['add', '_etc_passwd', 'twin', 'hidden', 'wordy']));
  expect((await call('_etc_passwd')).result).toBe('called ../../etc/passwd');
  expect(engine.tools.get('hidden').description).toBe('Reads a file.');
  expect(engine.tools.get('wordy').description.length).toBe(4096);
});

test('does not follow a list that has no end', async () => {
  await expect(connect({}, '--endless')).rejects.toMatchObject({ code: 'tool-failed' });
});

test('keeps the tools of two servers apart by a prefix', async () => {
  await using _one = await connect();
  await using two = await connect();
  expect(two.tools).toEqual([]);
  expect(two.refused.map(({ name }) => name)).toEqual(toolNames);
  await using three = await connect({ prefix: 'other_' });
  expect(three.refused).toEqual([]);
  expect((await call('other_shout', { text: 'hi' })).result).toBe('HI');
});

test('sets what a program says of the tools, and leaves out what it does not want', async () => {
  await using mcp = await connect({
    overrides: ({ name, annotations }) =>
      annotations?.readOnlyHint ? { permission: 'restricted', tags: ['reads'] } : name === 'add' ? {} : false,
  });
  expect(mcp.tools.map(({ name, permission }) => [name, permission])).toEqual([
    ['add', 'public'],
    ['shout', 'restricted'],
  ]);
  expect((await call('shout', { text: 'hi' })).error).toMatchObject({ code: 'forbidden' });
});

test('ends the server and takes its tools away when it is closed', async () => {
  const mcp = await connect();
  const add = engine.tools.get('add');
  await mcp.close();
  await mcp.close();
  expect((await call('add', { a: 1, b: 1 })).error).toMatchObject({ code: 'not-found' });
  engine.tools.register(add);
  expect((await call('add', { a: 1, b: 1 })).success).toBe(false);
});

test('says what is wrong with a server that can not be started', async () => {
  await expect(connectMcpTools({ command: 'no-such-program' })).rejects.toMatchObject({
    code: 'tool-unavailable',
    message: "the MCP server's command can't be started",
  });
  await expect(connectMcpTools({ command: process.execPath, args: ['-e', '0'] })).rejects.toMatchObject({
    code: 'tool-unavailable',
  });
  const silent = { command: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'] };
  await expect(connectMcpTools(silent, { connectTimeoutMs: 100 })).rejects.toMatchObject({
    code: 'tool-unavailable',
  });
});

test('says all that is wrong with what it is given', async () => {
  await expect(connectMcpTools({ url: 'ftp://example.org' })).rejects.toMatchObject({
    code: 'invalid-input',
  });
  const options = { prefix: 7, reconnect: { attempts: 0 } } as never;
  const both = { ...fixture(), url: 'http://127.0.0.1:9/mcp' };
  await expect(connectMcpTools(both as never)).rejects.toThrow(/url: does not go with the other fields/);
  await expect(connectMcpTools(fixture(), options)).rejects.toThrow(/prefix.*reconnect/s);
});
