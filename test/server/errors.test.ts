import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { StoreUnavailableError } from '../../src/core/errors.ts';
import { createApp, startServer } from '../../src/server/index.ts';
import { rawGet, type Serving, serve } from './serving.ts';

let serving: Serving;
const logger = { info: vi.fn(), error: vi.fn() };

beforeAll(async () => {
  serving = await serve('memory:', { maxBodyBytes: 1000, logger });
  await serving.call('POST', '/v1/sessions', { id: 's', userId: 'ada' });
});
afterAll(() => serving[Symbol.asyncDispose]());

async function post(body: unknown, headers: Record<string, string>) {
  const url = `${serving.server.url}/v1/sessions/s/messages`;
  const response = await fetch(url, { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
  return { status: response.status, body: await response.json() };
}

const json = { 'content-type': 'application/json' };
const message = JSON.stringify({ role: 'user', content: 'hi' });

test('answers 400 to what is no JSON, without repeating it', async () => {
  for (const body of ['{"role": "secret', '', '{}x', new Uint8Array([0x22, 0xff, 0x22])]) {
    const answer = await post(body, json);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'invalid-input' } } });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
  }
});

test('takes JSON in UTF-8 only', async () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
  ]) {
    const answer = await post(message, { 'content-type': type });
    expect(answer).toMatchObject({ status: 415, body: { error: { code: 'invalid-input' } } });
  }
  for (const type of ['application/json; charset=utf-8', 'application/vnd.api+json', 'Application/JSON']) {
    expect((await post(message, { 'content-type': type })).status).toBe(201);
  }
});

test('answers 413 to a body above the limit, declared or streamed', async () => {
  const large = JSON.stringify({ role: 'user', content: 'x'.repeat(2000) });
  const limit = { error: { code: 'invalid-input', details: { maxBytes: 1000 } } };
  expect(await post(large, json)).toMatchObject({ status: 413, body: limit });
  const stream = () => Readable.toWeb(Readable.from([Buffer.from(large)]));
  expect(await post(stream(), json)).toMatchObject({ status: 413, body: limit });
  const small = Readable.toWeb(Readable.from([Buffer.from(message)]));
  expect((await post(small, json)).status).toBe(201);
});

test('answers 413 to an upload of many megabytes and goes on', async () => {
  const { url } = serving.server;
  const body = Buffer.alloc(40 * 1024 * 1024, 'x');
  const response = await fetch(`${url}/v1/sessions`, { method: 'POST', body, headers: json });
  expect(response.status).toBe(413);
  expect((await serving.call('GET', '/v1/sessions/s')).status).toBe(200);
});

test('refuses a body where none is read', async () => {
  const answer = await serving.call('DELETE', '/v1/sessions/s', { really: true });
  expect(answer).toMatchObject({ status: 400, body: { error: { code: 'invalid-input' } } });
});

test('answers 404 and 405 in the same shape', async () => {
  for (const path of [
    '/',
    '/v1',
    '/v1/sessions/',
    '/v1/sessions/s/nothing',
    '/v2/sessions',
    '/v1//sessions',
  ]) {
    const answer = await serving.call('GET', path);
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'not-found' } } });
  }
  const wrong = await serving.call('DELETE', '/v1/sessions');
  expect(wrong).toMatchObject({ status: 405, body: { error: { code: 'unsupported' } } });
  expect(wrong.headers.get('allow')).toBe('POST, GET');
  expect((await serving.call('POST', '/openapi.json', {})).status).toBe(405);
  expect((await serving.call('PUT', '/healthz', {})).status).toBe(405);
  expect((await rawGet(serving.server.url, '/v1/sessions/s', 'BREW')).status).toBe(400);
});

test('answers HEAD without a body', async () => {
  for (const path of ['/v1/sessions/s', '/v1/events', '/healthz']) {
    const response = await fetch(serving.server.url + path, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  }
});

test('answers 400 to a target that is no path', async () => {
  expect(await rawGet(serving.server.url, '/v1\\sessions')).toMatchObject({
    status: 400,
    body: { error: { code: 'invalid-input' } },
  });
});

test('tells a client nothing of an error that is not ours, and the log no content', async () => {
  const secret = 'the content of a message';
  const app = createApp({ sessions: { get: failing(secret) } } as never, { logger });
  const response = await app.request('/v1/sessions/x');
  expect(response.status).toBe(500);
  const { error } = (await response.json()) as { error: { code: string } };
  expect(error.code).toBe('internal');
  expect(JSON.stringify(error)).not.toContain(secret);
  expect(logger.error).toHaveBeenCalledOnce();
  const [fields] = logger.error.mock.lastCall!;
  expect(fields).toMatchObject({ status: 500, sessionId: 'x', error: { name: 'TypeError' } });
  expect(JSON.stringify(fields)).not.toContain(secret);
});

function failing(text: string) {
  return async () => {
    throw new TypeError(text);
  };
}

test('gives each code of the library its status', async () => {
  const cause = new TypeError('underneath');
  const error = new StoreUnavailableError('the disk is full', { cause, hint: 'Make room.' });
  const app = createApp({ sessions: { get: () => Promise.reject(error) } } as never);
  const response = await app.request('/v1/sessions/x');
  expect(response.status).toBe(503);
  const wire = { code: 'store-unavailable', message: 'the disk is full', hint: 'Make room.' };
  expect(await response.json()).toEqual({ error: wire });
});

test('logs routes and ids, never queries, bodies or answers', async () => {
  logger.info.mockClear();
  await serving.call('POST', '/v1/sessions/s/messages', { role: 'user', content: 'hush' });
  await serving.call('GET', '/v1/sessions?userId=hush');
  await serving.call('POST', '/v1/sessions/s/messages', { role: 'hush' });
  expect(logger.info.mock.calls.map(([{ route, status }]) => [route, status])).toEqual([
    ['/v1/sessions/{sessionId}/messages', 201],
    ['/v1/sessions', 200],
    ['/v1/sessions/{sessionId}/messages', 400],
  ]);
  expect(JSON.stringify(logger.info.mock.calls)).not.toContain('hush');
});

test('survives a client that goes in the middle of a body', async () => {
  const before = logger.info.mock.calls.length;
  const socket = connect(serving.server.port, '127.0.0.1');
  socket.write('POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n');
  socket.write('Content-Type: application/json\r\n\r\n{"id":', () => socket.destroy());
  await vi.waitFor(() => expect(logger.info.mock.calls.length).toBeGreaterThan(before));
  expect(logger.info.mock.lastCall![0]).toMatchObject({ route: '/v1/sessions', status: 400 });
});

test('describes the API in OpenAPI 3.1', async () => {
  const { body } = await serving.call('GET', '/openapi.json');
  expect(body.openapi).toBe('3.1.0');
  expect(body.paths['/v1/sessions'].post.requestBody.content['application/json'].schema).toEqual({
    $ref: '#/components/schemas/NewSession',
  });
  expect(Object.keys(body.components.schemas)).toContain('Message');
});

test('a port that is taken or impossible is a ConfigError that says so', async () => {
  const { engine, server } = serving;
  await expect(startServer(engine, { port: server.port })).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining(`port: ${server.port} is in use`),
  });
  await expect(startServer(engine, { port: 70_000 })).rejects.toMatchObject({ code: 'config' });
  await expect(startServer(engine, { port: 0, host: '203.0.113.1' })).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining('host'),
  });
});
