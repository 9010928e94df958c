import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { FaultProxy } from '../../scripts/servers/fault-proxy.ts';
import { freePort } from '../../scripts/servers/free-port.ts';

/** A server that says everything back, and the proxy before it. */
async function echo(): Promise<{ proxy: FaultProxy; heard: string[] }> {
  const heard: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => heard.push(`${chunk}`));
    socket.pipe(socket);
  });
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await FaultProxy.start(port);
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return { proxy, heard };
}

async function client(proxy: FaultProxy): Promise<{ socket: Socket; said: () => string }> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  socket.on('data', (chunk) => (text += chunk));
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return { socket, said: () => text };
}

test('a proxy passes everything on, in both directions, to the end', async () => {
  const { proxy } = await echo();
  const { socket, said } = await client(proxy);
  const text = 'x'.repeat(5_000_000);
  socket.end(text);
  await once(socket, 'end');
  expect(said() === text).toBe(true);
});

test('a proxy leads URLs through itself', async () => {
  const { proxy } = await echo();
  expect(proxy.through('redis://127.0.0.1:1/0')).toBe('redis://127.0.0.1:1/0');
  const server = new URL('postgres://me@127.0.0.1/db');
  server.port = '10000';
  const other = await FaultProxy.start(10_000);
  onTestFinished(() => other.close());
  expect(other.through(server.href)).toBe(`postgres://me@127.0.0.1:${other.port}/db`);
});

test('latency delays each direction and keeps the order, also when it shrinks', async () => {
  const { proxy } = await echo();
  const { socket, said } = await client(proxy);
  proxy.setLatency(50);
  const started = performance.now();
  socket.write('a');
  await once(socket, 'data');
  expect(performance.now() - started).toBeGreaterThanOrEqual(98);
  socket.write('b');
  await new Promise((done) => setImmediate(done));
  proxy.setLatency(0);
  socket.write('c');
  await expect.poll(said).toBe('abc');
});

test('a black hole lets nothing through until it is gone', async () => {
  const { proxy, heard } = await echo();
  const before = await client(proxy);
  proxy.blackHole(true);
  before.socket.write('a');
  const during = await client(proxy);
  during.socket.write('b');
  const other = await echo();
  // A whole exchange elsewhere shows that there was time for this one.
  const elsewhere = await client(other.proxy);
  elsewhere.socket.write('x');
  await expect.poll(elsewhere.said).toBe('x');
  expect([heard, before.said(), during.said()]).toEqual([[], '', '']);
  proxy.blackHole(false);
  await expect.poll(() => [before.said(), during.said()]).toEqual(['a', 'b']);
});

test('a black hole for answers lets the server hear what its client can not know of', async () => {
  const { proxy, heard } = await echo();
  const { socket, said } = await client(proxy);
  proxy.blackHole('answers');
  socket.write('a');
  await expect.poll(() => heard).toEqual(['a']);
  expect(said()).toBe('');
  proxy.blackHole(false);
  await expect.poll(said).toBe('a');
});

test('a reset breaks all connections, and new ones are accepted', async () => {
  const { proxy } = await echo();
  const clients = [await client(proxy), await client(proxy)];
  for (const { socket, said } of clients) {
    socket.write('a');
    await expect.poll(said).toBe('a');
  }
  const errors = clients.map(({ socket }) => once(socket, 'error'));
  proxy.reset();
  for (const [error] of await Promise.all(errors)) expect(error).toMatchObject({ code: 'ECONNRESET' });
  const next = await client(proxy);
  next.socket.write('b');
  await expect.poll(next.said).toBe('b');
});

test('a refusing proxy keeps its connections and its port', async () => {
  const { proxy } = await echo();
  const { socket, said } = await client(proxy);
  socket.write('a');
  await expect.poll(said).toBe('a');
  const { port } = proxy;
  await proxy.refuse(true);
  await expect(client(proxy)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  socket.write('b');
  await expect.poll(said).toBe('ab');
  await proxy.refuse(false);
  expect(proxy.port).toBe(port);
  await client(proxy);
});

test('a server that is down breaks the connections that the proxy accepts for it', async () => {
  const proxy = await FaultProxy.start(await freePort());
  onTestFinished(() => proxy.close());
  const { socket } = await client(proxy);
  await expect(once(socket, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' });
});
