import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../scripts/servers/free-port.ts';
import { ContextEngine } from '../../src/index.ts';
import { connectMcpTools, type McpOptions } from '../../src/integrations/mcp/index.ts';
import { mcpServer, toolNames } from '../support/mcp-server.ts';

let engine: ContextEngine;
let http: Server;
let url: string;
/** By their ids, as such a server keeps them. */
const sessions = new Map<string, StreamableHTTPServerTransport>();
/** Sessions whose next request is cut off, and that get no answer from then on. */
const lost = new Set<string>();
const silent = new Set<string>();
/** Sessions whose next answer has no end. */
const pours = new Set<string>();
function* water() {
  for (;;) yield Buffer.alloc(65_536, '~');
}

beforeEach(async () => {
  engine = await ContextEngine.open('memory:');
  // One that it can have again once it was stopped.
  http = await listen(await freePort());
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`;
});
afterEach(async () => {
  await engine.close();
  await stop();
});

async function listen(port: number): Promise<Server> {
  const server = createServer(async (request, response) => {
    if (request.headers.authorization !== 'Bearer kettle') {
      response.writeHead(401).end('the token was kettle');
      return;
    }
    const id = request.headers['mcp-session-id'];
    if (id !== undefined && !sessions.has(String(id))) {
      response.writeHead(404).end();
      return;
    }
    if (silent.has(String(id))) return;
    if (lost.delete(String(id))) {
      silent.add(String(id));
      request.socket.destroy();
      return;
    }
    if (pours.delete(String(id))) {
      response.writeHead(200, { 'content-type': 'application/json' });
      Readable.from(water())
        .on('error', () => {})
        .pipe(response);
      return;
    }
    await (sessions.get(String(id)) ?? (await newSession())).handleRequest(request, response);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

async function newSession(): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  await mcpServer().connect(transport as Transport);
  return transport;
}

async function stop(): Promise<void> {
  sessions.clear();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
}

const connect = (options: McpOptions = {}) =>
  connectMcpTools(
    { url, headers: { authorization: 'Bearer kettle' } },
    { register: engine.tools, ...options },
  );
const call = (name: string, input: unknown = {}, signal?: AbortSignal) =>
  engine.tools.execute(name, input, signal ? { signal } : {});

test('calls the tools of a server over HTTP, and takes leave of it', async () => {
  {
    await using mcp = await connect();
    expect(mcp.tools.map(({ name }) => name)).toEqual(toolNames);
    expect((await call('add', { a: 1, b: 2 })).result).toEqual({ sum: 3 });
    expect((await call('fail')).error).toMatchObject({ code: 'tool-failed', message: 'the kettle is empty' });
    expect(sessions.size).toBe(1);
  }
  expect(sessions.size).toBe(0);
});

test('passes a cancellation on over HTTP', async () => {
  const begun = new Set<string>();
  const onProgress = ({ toolCallId = '' }) => void begun.add(toolCallId);
  await using _mcp = await connect({ onProgress });
  const caller = new AbortController();
  const waiting = call('wait', { id: 'soup' }, caller.signal);
  caller.abort();
  expect((await waiting).error).toMatchObject({ code: 'aborted' });
  const again = new AbortController();
  const options = { signal: again.signal, toolCallId: 'second' };
  const second = engine.tools.execute('wait', { id: 'stew' }, options);
  await expect.poll(() => begun.has('second')).toBe(true);
  again.abort();
  await second;
  await expect.poll(async () => (await call('cancelled')).result).toContain('stew');
});

test('hears over HTTP that the list of tools has changed', async () => {
  await using mcp = await connect();
  await expect
    .poll(async () => {
      await call('grow');
      return mcp.tools.some(({ name }) => name === 'grown');
    })
    .toBe(true);
});

test('begins a new session where the server has forgotten the old one', async () => {
  await using _mcp = await connect();
  sessions.clear();
  expect((await call('add', { a: 1, b: 2 })).result).toEqual({ sum: 3 });
});

test('finds a server again that was started anew, and says so while it is away', async () => {
  await using _mcp = await connect();
  const { port } = http.address() as AddressInfo;
  await stop();
  expect((await call('add', { a: 1, b: 2 })).error).toMatchObject({ code: 'tool-unavailable' });
  http = await listen(port);
  expect((await call('add', { a: 1, b: 2 })).result).toEqual({ sum: 3 });
});

test('a call that comes while it is asked whether the server is there, goes to the one that is', async () => {
  await using _mcp = await connect();
  for (const id of sessions.keys()) lost.add(id);
  expect((await call('add', { a: 1, b: 2 })).error).toMatchObject({ code: 'tool-unavailable' });
  expect((await call('add', { a: 1, b: 2 })).result).toEqual({ sum: 3 });
});

test('an answer that has no end is not read to its end', async () => {
  await using _mcp = await connect();
  for (const id of sessions.keys()) pours.add(id);
  const { error } = await call('shout', { text: 'hi' });
  expect(error).toEqual({ code: 'tool-failed', message: "the MCP server's answer is larger than 10 MiB" });
  expect((await call('shout', { text: 'hi' })).result).toBe('HI');
});

test('ends a call whose server goes away while it waits', async () => {
  await using _mcp = await connect();
  const waiting = call('wait', { id: 'soup' });
  await expect.poll(async () => (await call('shout', { text: 'x' })).result).toBe('X');
  await stop();
  expect((await waiting).error).toMatchObject({ code: 'tool-unavailable' });
  http = await listen(0);
});

test('says that the server refuses us, and not in its words', async () => {
  const refused = connectMcpTools({ url, headers: { authorization: 'Bearer teapot' } });
  await expect(refused).rejects.toMatchObject({ code: 'forbidden' });
  await expect(refused).rejects.not.toThrow(/kettle|teapot/);
});

test.for(['', '__', '\u{1f375}'.repeat(500), 'a\ud800\u0000', '\u200b'])(
  'takes the tools of a server that calls itself %j',
  async (name) => {
    const [ours, theirs] = InMemoryTransport.createLinkedPair();
    await mcpServer({ name }).connect(theirs);
    const client = new Client({ name: 'mine', version: '1.0.0' });
    await client.connect(ours);
    await using mcp = await connectMcpTools(client, { register: engine.tools });
    expect(mcp.tools.map(({ name }) => name)).toEqual(toolNames);
    await client.close();
  },
);

test('uses a client that was connected by the program, and leaves it open', async () => {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const server = mcpServer();
  await server.connect(theirs);
  const client = new Client({ name: 'mine', version: '1.0.0' });
  await client.connect(ours);
  const mcp = await connectMcpTools(client, { register: engine.tools });
  expect((await call('add', { a: 1, b: 2 })).result).toEqual({ sum: 3 });
  const add = mcp.tools.find(({ name }) => name === 'add')!;
  await mcp.close();
  await client.ping();
  await client.close();
  await expect(connectMcpTools(client)).rejects.toMatchObject({ code: 'tool-unavailable' });
  engine.tools.register(add);
  expect((await call('add', { a: 1, b: 2 })).success).toBe(false);
});
