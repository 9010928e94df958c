import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Compaction } from '../../src/core/model/compaction.ts';
import { fixture, folder, holdfast, json, lines, start, until } from './program.ts';

async function serve(cwd: string, ...args: string[]) {
  const server = start(['serve', '--port', '0', ...args], { cwd });
  await until(() => server.output.stdout.includes('Ctrl-C stops it') || server.exitCode !== null);
  const url = /http:\/\/\S+/.exec(server.output.stdout)?.[0] ?? '';
  return { server, url };
}

const post = (url: string, body: object) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** A request of which the server has everything but the last byte. */
async function halfARequest(url: string, body: string) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const head = [
    'POST /v1/sessions HTTP/1.1',
    `Host: ${hostname}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Expect: 100-continue',
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
  // The server asks for the body once it has taken the request.
  await until(() => answer.includes('100 Continue'));
  socket.write(body.slice(0, -1));
  return {
    async finish() {
      socket.write(body.slice(-1));
      await once(socket, 'close');
      return answer;
    },
  };
}

const longTalk = Array.from({ length: 60 }, (_, i) => ({
  role: i % 2 ? 'assistant' : 'user',
  content: `Box ${i} goes to shelf ${i * 3}, near the window.`,
}));

/** Builds windows of a long talk until one of them has been compacted. */
async function compactedBy(url: string, id: string) {
  const session = `${url}/v1/sessions/${id}`;
  await post(`${url}/v1/sessions`, { id, userId: 'me' });
  await post(`${session}/messages`, { messages: longTalk });
  for (;;) {
    await post(`${session}/window`, { maxTokens: 400, recall: false });
    const answer = (await (await fetch(`${session}/compactions`)).json()) as { compactions: Compaction[] };
    if (answer.compactions.length > 0) return answer.compactions;
  }
}

describe('holdfast serve', () => {
  it('says where it listens and what to try, and answers there', async () => {
    const cwd = folder();
    const { server, url } = await serve(cwd);
    expect(server.output.stdout).toContain(`curl ${url}/healthz`);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await post(`${url}/v1/sessions`, { id: 'first', userId: 'me' })).status).toBe(201);
    server.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
    expect(await json(['stats'], { cwd })).toMatchObject({ sessions: 1 });
  });

  it('logs one JSON line an event on standard error, with ids and never content', async () => {
    const { server, url } = await serve(folder());
    await post(`${url}/v1/sessions`, { id: 'a', userId: 'me' });
    await post(`${url}/v1/sessions/a/messages`, { role: 'user', content: 'very private' });
    server.kill('SIGINT');
    const { code, stderr } = await server.ended;
    const logged = lines<{ msg: string }>(stderr);
    expect(logged.map(({ msg }) => msg)).toEqual([
      'listening',
      'session created',
      'request',
      'request',
      'stopping',
      'stopped',
    ]);
    expect(stderr).not.toContain('private');
    expect(code).toBe(0);
  });

  it('logs in JSON, too, that a variable of a similar system leads away from the file that is here', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const env = { PYTHON_CONTEXT_MANAGER_CACHE_PATH: './other' };
    const server = start(['serve', '--port', '0'], { cwd, env });
    await until(() => server.output.stdout.includes('Ctrl-C stops it') || server.exitCode !== null);
    server.kill('SIGTERM');
    const logged = lines<{ msg: string; level: number }>((await server.ended).stderr);
    expect(logged[0]).toMatchObject({
      level: 40,
      msg: 'another store is here, and not used',
      store: 'file:./other/holdfast.db',
      from: 'PYTHON_CONTEXT_MANAGER_CACHE_PATH',
      unused: 'file:./holdfast.db',
    });
  });

  it('compacts what outgrows its windows, as its settings say', async () => {
    const cwd = folder();
    const settings = { compactionStrategy: 'truncate', lowWater: 0.3, logLevel: 'silent' };
    writeFileSync(join(cwd, 'holdfast.config.json'), JSON.stringify(settings));
    const { server, url } = await serve(cwd);
    const made = await compactedBy(url, 'long');
    expect(made[0]).toMatchObject({ id: '1', strategy: 'truncate' });
    expect(made[0]!.tokensAfter).toBeLessThan(200);
    server.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
  });

  it('leaves that to others with autoCompact false', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'holdfast.config.json'), JSON.stringify({ autoCompact: false }));
    const { url } = await serve(cwd);
    await post(`${url}/v1/sessions`, { id: 'long', userId: 'me' });
    await post(`${url}/v1/sessions/long/messages`, { messages: longTalk });
    for (let i = 0; i < 5; i++) await post(`${url}/v1/sessions/long/window`, { maxTokens: 400 });
    expect(await json(['compactions', 'long'], { cwd })).toEqual({ compactions: [] });
  });

  it('prints one JSON value with --json', async () => {
    const server = start(['serve', '--port', '0', '--json', '--store', 'memory:', '--log-level', 'silent'], {
      cwd: folder(),
    });
    await until(() => server.output.stdout.endsWith('\n'));
    server.kill('SIGTERM');
    const { stdout, stderr, code } = await server.ended;
    expect(JSON.parse(stdout)).toMatchObject({ url: expect.stringMatching(/^http:/), store: 'memory:' });
    expect([code, stderr]).toEqual([0, '']);
  });

  it('finishes a request under way before it ends', async () => {
    const cwd = folder();
    const { server, url } = await serve(cwd);
    const request = await halfARequest(url, '{"id":"late","userId":"me"}');
    server.kill('SIGTERM');
    await until(() => server.output.stderr.includes('"stopping"'));
    expect(await request.finish()).toContain('HTTP/1.1 201');
    expect((await server.ended).code).toBe(0);
    expect(await json(['show', 'late'], { cwd })).toMatchObject({ session: { id: 'late' } });
  });

  it('ends at once at the second signal', async () => {
    const { server, url } = await serve(folder());
    await halfARequest(url, '{"id":"never","userId":"me"}');
    server.kill('SIGINT');
    await until(() => server.output.stderr.includes('"stopping"'));
    server.kill('SIGINT');
    const { code, stderr } = await server.ended;
    expect(code).toBe(130);
    expect(stderr).not.toContain('"stopped"');
  });

  it('says that a port is in use, and exits with 1', async () => {
    const cwd = folder();
    const { url } = await serve(cwd);
    const { port } = new URL(url);
    const { code, stderr } = await holdfast(['serve', '--port', port], { cwd });
    expect(stderr).toContain(`port: ${port} is in use by another program`);
    expect(code).toBe(1);
  });

  it.each([
    ['--port', '70000', '--port: must be at most 65535'],
    ['--log-level', 'loud', '--log-level: expected one of fatal, error'],
  ])('refuses %s %s with exit code 2', async (option, value, message) => {
    const { code, stderr } = await holdfast(['serve', option, value], { cwd: folder() });
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
