import { expect, test } from 'vitest';
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

test('monitor says so where no server answers', async () => {
  const { stderr, code } = await holdfast(['monitor', '--url', 'http://127.0.0.1:9'], { cwd: folder() });
  expect(code).toBe(1);
  expect(stderr).toContain('no server answers there');
});
