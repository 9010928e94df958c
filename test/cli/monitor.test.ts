import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { defineTool } from '../../src/index.ts';
import { serve } from '../server/serving.ts';
import { fixture, folder, holdfast, json } from './program.ts';

test('monitor shows what a store holds, for people and for programs', async () => {
  const cwd = folder();
  await holdfast(['import', fixture], { cwd });
  const { totals, health } = await json<{ totals: { sessions: number; complete: boolean }; health: object }>(
    ['monitor'],
    { cwd },
  );
  expect(totals.sessions).toBeGreaterThan(0);
  expect(totals.complete).toBe(true);
  expect(health).toMatchObject({ score: expect.any(Number) });
  const { stdout, code } = await holdfast(['monitor'], { cwd });
  expect(code).toBe(0);
  expect(stdout).toContain(`sessions          ${totals.sessions},`);
  expect(stdout).toMatch(/^score +\d+ of 100/m);
});

test('monitor asks a running server, of the tenant that is named', async () => {
  await using serving = await serve('memory:');
  await serving.engine.tenant('acme').sessions.create({ id: 's', userId: 'ada' });
  const cwd = folder();
  const url = ['--url', serving.server.url];
  expect(await json(['monitor', ...url], { cwd })).toMatchObject({
    tenant: 'default',
    totals: { sessions: 0 },
  });
  expect(await json(['monitor', '--tenant', 'acme', ...url], { cwd })).toMatchObject({
    tenant: 'acme',
    totals: { sessions: 1 },
    calls: { 'sessions.create': { count: 1 } },
  });
});

test("how often tools' caches were hit is told on the command line and to Prometheus", async () => {
  await using serving = await serve('memory:');
  const { engine, server } = serving;
  const execute = () => 7;
  engine.tools.register(
    defineTool({
      name: 'warm',
      description: 'x',
      input: { type: 'object' },
      cache: { ttlMs: 60_000 },
      execute,
    }),
  );
  for (let i = 0; i < 4; i++) await engine.tools.execute('warm', {});
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(text).toContain('holdfast_tool_cache_calls_total{outcome="hit"} 3');
  expect(text).toContain('holdfast_tool_cache_calls_total{outcome="miss"} 1');
  const { stdout } = await holdfast(['monitor', '--url', server.url], { cwd: folder() });
  expect(stdout).toMatch(/^tool cache hits +75\.0 %/m);
});

test('monitor asks a server that is below a path of its own', async () => {
  await using serving = await serve('memory:');
  const proxy = createServer(async ({ url = '' }, response) => {
    const isBelow = url.startsWith('/agents/');
    const answer = isBelow && (await fetch(new URL(url.slice('/agents'.length), serving.server.url)));
    response.writeHead(answer ? answer.status : 404).end(answer ? await answer.text() : '');
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void proxy.close());
  await once(proxy, 'listening');
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/agents`;
  for (const given of [url, `${url}/`])
    expect(await json(['monitor', '--url', given], { cwd: folder() })).toMatchObject({ tenant: 'default' });
});

test('monitor says so where no server answers', async () => {
  const { stderr, code } = await holdfast(['monitor', '--url', 'http://127.0.0.1:9'], { cwd: folder() });
  expect(code).toBe(1);
  expect(stderr).toContain('no server answers there');
});
