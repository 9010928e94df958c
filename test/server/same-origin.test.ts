import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp, startServer } from '../../src/server/index.ts';
import { rawGet, type Serving, serve } from './serving.ts';

const forbidden = {
  status: 403,
  body: { error: { code: 'forbidden', message: expect.any(String), hint: expect.any(String) } },
};

let serving: Serving;
let port: number;

beforeAll(async () => {
  serving = await serve('memory:');
  ({ port } = serving.server);
  await serving.call('POST', '/v1/sessions', { id: 's', userId: 'ada' });
  await serving.call('POST', '/v1/sessions/s/messages', { role: 'user', content: 'hi' });
});
afterAll(() => serving[Symbol.asyncDispose]());

function send(method: string, path: string, headers: Record<string, string> = {}, to = port) {
  return rawGet(`http://127.0.0.1:${to}`, path, method, headers);
}

/** Serves the same engine in another way, and gives the port while the test runs. */
async function alsoServe(options: { host?: string; allowedHosts?: string[] }) {
  const server = await startServer(serving.engine, { port: 0, ...options });
  return { port: server.port, [Symbol.asyncDispose]: () => server.close() };
}

test('a page of another origin changes nothing, with any method', async () => {
  const origins = ['http://evil.example', `http://localhost:${port + 1}`, `http://127.0.0.1`, 'null', ''];
  const others = ['file://', `ftp://127.0.0.1:${port}`, `http://x@127.0.0.1:${port}`, 'no origin'];
  for (const origin of [...origins, ...others]) {
    expect(await send('POST', '/v1/sessions/s/messages/clear', { origin }), origin).toMatchObject(forbidden);
  }
  for (const [method, path] of [
    ['DELETE', '/v1/sessions/s'],
    ['PUT', '/v1/sessions/s/state/key'],
    ['PATCH', '/v1/sessions/s'],
    ['OPTIONS', '/v1/sessions/s'],
    ['GET', '/v1/sessions'],
    ['GET', '/openapi.json'],
    ['GET', '/nothing'],
  ] as const) {
    expect(await send(method, path, { origin: 'http://evil.example' }), path).toMatchObject(forbidden);
  }
  expect(await serving.engine.messages.list('s')).toHaveLength(1);
});

test('a request that the browser calls cross-site is refused without an Origin too', async () => {
  const site = (value: string) => send('GET', '/v1/sessions', { 'sec-fetch-site': value });
  expect(await site('cross-site')).toMatchObject(forbidden);
  expect(await site('same-origin')).toMatchObject({ status: 200 });
  expect(await site('none')).toMatchObject({ status: 200 });
});

test("a page of the server's own origin is answered", async () => {
  const host = `localhost:${port}`;
  const headers = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
  expect(await send('POST', '/v1/sessions/s/messages/pop', headers)).toMatchObject({ status: 200 });
  await serving.call('POST', '/v1/sessions/s/messages', { role: 'user', content: 'hi' });
});

test('a program that sends no Origin is answered', async () => {
  expect(await send('POST', '/v1/sessions/s/end')).toMatchObject({ status: 200 });
  expect(await send('GET', '/healthz')).toMatchObject({ status: 200 });
});

test('a server on a loopback address knows loopback hosts with any port, and no others', async () => {
  for (const host of [
    'localhost',
    'LOCALHOST:1',
    'app.localhost:80',
    '127.0.0.1',
    '127.9.8.7:5',
    '[::1]:7420',
  ]) {
    expect(await send('GET', '/v1/sessions', { host }), host).toMatchObject({ status: 200 });
  }
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    'localhost.evil.example',
    'evillocalhost',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '0.0.0.0',
    '[::2]',
  ]) {
    expect(await send('GET', '/v1/sessions', { host }), host).toMatchObject(forbidden);
  }
});

test('a host that can be read in two ways is never answered', async () => {
  for (const host of ['evil.example@localhost', 'localhost/evil', 'localhost?x', 'localhost#x', 'a b']) {
    const { status } = await send('GET', '/v1/sessions', { host });
    expect([400, 403], host).toContain(status);
  }
});

test('a rebound name is refused though its Origin is the same', async () => {
  const host = `evil.example:${port}`;
  const headers = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
  expect(await send('POST', '/v1/sessions/s/messages/clear', headers)).toMatchObject(forbidden);
});

test('a server on every address takes any host, and checks Origin all the same', async () => {
  await using server = await alsoServe({ host: '0.0.0.0' });
  const host = 'agent.example:7420';
  expect(await send('GET', '/v1/sessions', { host }, server.port)).toMatchObject({ status: 200 });
  const headers = { host, origin: 'http://evil.example' };
  expect(await send('GET', '/v1/sessions', headers, server.port)).toMatchObject(forbidden);
});

test('a server takes the allowed hosts beside its own', async () => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    await using server = await alsoServe({ host, allowedHosts: ['Context.Internal', 'fd00:0::1'] });
    for (const known of ['context.internal', 'context.internal:443', '[fd00::1]:80', 'localhost']) {
      expect(await send('GET', '/v1/sessions', { host: known }, server.port)).toMatchObject({ status: 200 });
    }
    const stranger = { host: 'evil.example' };
    expect(await send('GET', '/v1/sessions', stranger, server.port)).toMatchObject(forbidden);
  }
});

test('an app of an embedder takes any host unless it names some', async () => {
  const url = 'http://agent.example/v1/sessions';
  const headers = { origin: 'https://agent.example', host: 'agent.example:443' };
  const anyHost = createApp(serving.engine);
  expect((await anyHost.request(url)).status).toBe(200);
  // A proxy that ends TLS: the page's scheme says which port may be left out.
  expect((await anyHost.request(url, { headers })).status).toBe(200);
  expect((await anyHost.request(url, { headers: { origin: 'http://evil.example' } })).status).toBe(403);
  const known = (allowedHosts: string[]) => createApp(serving.engine, { allowedHosts }).request(url);
  expect((await known(['agent.example'])).status).toBe(200);
  expect((await known([])).status).toBe(403);
});

test('an allowed host that is none is a ConfigError that names it', () => {
  const allowedHosts = ['good.example', 'https://x', 'x:80', ''];
  expect(() => createApp(serving.engine, { allowedHosts })).toThrow(
    expect.objectContaining({
      code: 'config',
      issues: [1, 2, 3].map((at) => expect.objectContaining({ path: `allowedHosts[${at}]` })),
    }),
  );
});
