import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { expect, test, vi } from 'vitest';
import { client, eventsOf, serve } from './serving.ts';

/** Holds up an engine's appends until it is let go. */
function gate() {
  const entered = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  return { entered: entered.promise, enter: entered.resolve, opened: open.promise, open: open.resolve };
}

async function serveGated(closeTimeoutMs: number) {
  const serving = await serve('memory:', { closeTimeoutMs });
  await serving.call('POST', '/v1/sessions', { id: 's', userId: 'ada' });
  const { enter, opened, ...outside } = gate();
  const append = serving.engine.messages.append.bind(serving.engine.messages);
  vi.spyOn(serving.engine.messages, 'append').mockImplementation((async (...args: never[]) => {
    enter();
    await opened;
    return append(...(args as unknown as Parameters<typeof append>));
  }) as never);
  return { serving, ...outside };
}

test('close finishes the requests under way and takes no new ones', async () => {
  const { serving, entered, open } = await serveGated(60_000);
  await using _ = serving;
  const slow = serving.call('POST', '/v1/sessions/s/messages', { role: 'user', content: 'last words' });
  await entered;
  const closing = serving.server.close();
  await expect(client(serving.server.url)('GET', '/healthz')).rejects.toThrow();
  open();
  const answer = await slow;
  expect(answer.status).toBe(201);
  expect(answer.headers.get('connection')).toBe('close');
  await closing;
  expect(await serving.engine.messages.list('s')).toMatchObject([{ content: 'last words' }]);
});

test('close ends event streams cleanly', async () => {
  await using serving = await serve('memory:');
  const response = await fetch(`${serving.server.url}/v1/events`);
  const events = eventsOf(response);
  await events.next();
  const [, end] = await Promise.all([serving.server.close(), events.next()]);
  expect(end.done).toBe(true);
});

test('close does not wait for connections that are idle', async () => {
  await using serving = await serve('memory:', { closeTimeoutMs: 60_000 });
  const agent = new Agent({ keepAlive: true });
  const request = httpRequest(`${serving.server.url}/healthz`, { agent }).end();
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'end');
  const silent = connect(serving.server.port, '127.0.0.1');
  await once(silent, 'connect');
  await serving.server.close();
  agent.destroy();
  silent.destroy();
});

/** Serves two clients that hang: one whose request is half sent, and one that waits for its answer. */
async function serveHung(closeTimeoutMs: number) {
  const { serving, entered, open } = await serveGated(closeTimeoutMs);
  const answer = serving.call('POST', '/v1/sessions/s/messages', { role: 'user', content: 'x' });
  const outcome = answer.then(
    () => 'answered',
    () => 'cut off',
  );
  await entered;
  const half = connect(serving.server.port, '127.0.0.1');
  half.on('error', () => {});
  half.write('POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{');
  await once(half, 'connect');
  return { serving, outcome, open, half };
}

test('a hung client holds up close no longer than its time', async () => {
  const patient = await serveHung(60_000);
  const hasty = await serveHung(400);
  await using _ = patient.serving;
  await using __ = hasty.serving;
  let isPatient = true;
  const waiting = patient.serving.server.close().then(() => {
    isPatient = false;
  });
  await hasty.serving.server.close();
  expect(await hasty.outcome).toBe('cut off');
  expect(isPatient).toBe(true);
  hasty.open();
  patient.open();
  patient.half.destroy();
  await waiting;
  expect(await patient.outcome).toBe('answered');
});

test('close can be called twice, and leaves the engine open', async () => {
  await using serving = await serve('memory:');
  await Promise.all([serving.server.close(), serving.server.close()]);
  await serving.server.close();
  expect((await serving.engine.storeHealth()).ok).toBe(true);
});

test('answers 503 when the engine is closed', async () => {
  await using serving = await serve('memory:');
  await serving.engine.close();
  for (const path of ['/healthz', '/v1/sessions/s', '/v1/events']) {
    const answer = await serving.call('GET', path);
    expect(answer).toMatchObject({ status: 503, body: { error: { code: 'closed' } } });
  }
});
