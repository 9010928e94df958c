/** Settings that are set in the environment, seen in what the program does. */
import { expect, test } from 'vitest';
import { fixture, folder, holdfast, json, start, until } from './program.ts';

test('a window is as large as the setting says where nothing else is said', async () => {
  const cwd = folder();
  await holdfast(['import', fixture], { cwd });
  const { sessions } = await json<{ sessions: { id: string }[] }>(['sessions'], { cwd });
  const id = sessions[0]!.id;
  const env = { PYTHON_CONTEXT_MANAGER_MAX_TOKENS: '1234' };
  const usual = await json<{ budget: { maxTokens: number } }>(['window', id], { cwd, env });
  expect(usual.budget.maxTokens).toBe(1234);
  const own = await json<{ budget: { maxTokens: number } }>(['window', id, '--max-tokens', '999'], {
    cwd,
    env,
  });
  expect(own.budget.maxTokens).toBe(999);
});

test('serve says where its store comes from, and its sessions and windows go by the settings', async () => {
  const cwd = folder();
  const env = {
    PYTHON_CONTEXT_MANAGER_CACHE_PATH: './cache',
    SESSION_EXPIRATION_SECONDS: '60',
    HOLDFAST_MAX_TOKENS: '2000',
    AIECS_LOG_LEVEL: 'WARNING',
  };
  const server = start(['serve', '--port', '0'], { cwd, env });
  await until(() => server.output.stdout.includes('Ctrl-C stops it') || server.exitCode !== null);
  expect(server.output.stdout).toContain('file:./cache/holdfast.db (PYTHON_CONTEXT_MANAGER_CACHE_PATH)');
  const url = /http:\/\/\S+/.exec(server.output.stdout)![0];
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return (await answer.json()) as Record<string, unknown>;
  };
  expect(await post('/v1/sessions', { id: 's', userId: 'u' })).toMatchObject({ ttlMs: 60_000 });
  expect(await post('/v1/sessions/s/window', {})).toMatchObject({ budget: { maxTokens: 2000 } });
  const health = await (await fetch(`${url}/v1/health`)).json();
  expect(health).toMatchObject({ status: 'healthy' });
  server.kill('SIGTERM');
  const { code, stderr } = await server.ended;
  expect([code, stderr]).toEqual([0, '']);
});
