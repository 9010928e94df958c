/** A listening server for tests, and a small client. */
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContextEngine } from '../../src/index.ts';
import { type RunningServer, type ServerOptions, startServer } from '../../src/server/index.ts';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
}

export type Client = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer>;

export interface Serving extends AsyncDisposable {
  engine: ContextEngine;
  server: RunningServer;
  call: Client;
}

/** Serves a fresh engine; `file:` is a database in a folder of its own. */
export async function serve(store: 'memory:' | 'file:', options: ServerOptions = {}): Promise<Serving> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-server-'));
  const url = store === 'file:' ? `file:${join(folder, 'test.db')}` : store;
  // A machine that is busy with other tests holds the event loop up; that says nothing of the server.
  const never = { degraded: Number.POSITIVE_INFINITY, unhealthy: Number.POSITIVE_INFINITY };
  const health = { thresholds: { eventLoopMs: never } };
  const engine = await ContextEngine.open(url, { durability: 'normal', health });
  const server = await startServer(engine, { port: 0, ...options });
  return {
    engine,
    server,
    call: client(server.url),
    async [Symbol.asyncDispose]() {
      await server.close();
      await engine.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function client(base: string): Client {
  return async (method, path, body, headers = {}) => {
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(base + path, { method, headers: { ...type, ...headers }, ...json });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? true;
    return {
      status: response.status,
      headers: response.headers,
      body: text && isJson ? JSON.parse(text) : text,
    };
  };
}

/** Sends a path and headers as they are written: `fetch` would resolve dots and choose the host. */
export function rawGet(
  base: string,
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { hostname, port } = new URL(base);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpRequest({ hostname, port, path, method, headers, agent: false }, async (response) => {
    const text = (await response.toArray()).join('');
    const answered = new Headers(response.headers as Record<string, string>);
    resolve({ status: response.statusCode!, headers: answered, body: text && JSON.parse(text) });
  });
  request.on('error', reject).end();
  return promise;
}

export interface ServerEvent {
  id?: string;
  event?: string;
  data?: { type: string; sessionId: string; cursor: string; [field: string]: unknown };
  comment?: string;
}

/** The blocks of an event stream as they come in. */
export async function* eventsOf(response: Response): AsyncGenerator<ServerEvent, void, void> {
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop()!;
    for (const block of blocks) yield parseBlock(block);
  }
}

function parseBlock(block: string): ServerEvent {
  const event: ServerEvent = {};
  for (const line of block.split('\n')) {
    const [, field, value] = /^(\w*): (.*)$/.exec(line)!;
    if (field === 'data') event.data = JSON.parse(value!);
    else event[(field || 'comment') as 'id'] = value!;
  }
  return event;
}
