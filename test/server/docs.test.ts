import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serve } from './serving.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/http.md'), 'utf8');

/** Runs a script and gives what it prints. Not synchronously: the server it talks to is in this process. */
async function run(script: string): Promise<string> {
  const shell = spawn('sh', ['-e', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  return (await shell.stdout.toArray()).join('');
}

test('the examples of the page work, in their order', async (context) => {
  if (spawnSync('curl', ['--version']).error) return context.skip('there is no curl');
  await using serving = await serve('memory:');
  const examples = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) =>
    block!.split('\n\n'),
  );
  expect(examples.length).toBeGreaterThan(5);
  for (const example of examples) {
    const script = example
      .replaceAll('http://127.0.0.1:7420', serving.server.url)
      .replace(/^curl/, 'curl --silent --fail-with-body');
    const answer = JSON.parse(await run(script));
    expect(answer, example).not.toHaveProperty('error');
  }
});

test('the page names every route, and none that is not there', async () => {
  await using serving = await serve('memory:');
  const { paths } = (await serving.call('GET', '/openapi.json')).body as { paths: Record<string, object> };
  const there = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace('{sessionId}', '{id}')}`),
  );
  const rows = [...page.matchAll(/^\| (`(?:GET|POST|PUT|PATCH|DELETE)\b.*?) \|/gm)].map(([, cell]) => cell!);
  const named = rows.flatMap((cell) => {
    const path = /\/[^`]*/.exec(cell)![0].replaceAll(/:(\w+)/g, '{$1}');
    return cell.match(/\b(GET|POST|PUT|PATCH|DELETE)\b/g)!.map((method) => `${method} ${path}`);
  });
  expect(named.sort()).toEqual(there.sort());
});
