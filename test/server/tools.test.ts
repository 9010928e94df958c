import { expect, test } from 'vitest';
import { defineTool } from '../../src/index.ts';
import { serve } from './serving.ts';

const input = { type: 'object' };

test('who calls a tool too often is told when to come again, as HTTP has it too', async () => {
  await using serving = await serve('memory:');
  const rateLimit = { calls: 1, perMs: 2 ** 31 - 1 };
  const execute = () => 'sent';
  serving.engine.tools.register(
    defineTool({ name: 'send', description: 'Sends.', input, rateLimit, execute }),
  );
  const path = '/v1/tools/send/execute';
  const first = await serving.call('POST', path, {});
  expect([first.status, first.headers.get('retry-after')]).toEqual([200, null]);
  const { status, headers, body } = await serving.call('POST', path, {});
  expect([status, body.error.code]).toEqual([429, 'rate-limited']);
  expect(Number(headers.get('retry-after'))).toBe(Math.ceil(body.error.details.retryAfterMs / 1000));
});

test('a tool hears of it when the client that called it goes away', async () => {
  await using serving = await serve('memory:');
  const began = Promise.withResolvers<AbortSignal>();
  serving.engine.tools.register(
    defineTool({
      name: 'wait',
      description: 'Waits.',
      input,
      execute: (_, { signal }) => {
        began.resolve(signal);
        return new Promise<never>(() => {});
      },
    }),
  );
  const client = new AbortController();
  const url = `${serving.server.url}/v1/tools/wait/execute`;
  const answer = fetch(url, { method: 'POST', signal: client.signal });
  const signal = await began.promise;
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
  client.abort();
  await expect(answer).rejects.toThrow('aborted');
  await aborted;
  expect(signal.reason).toMatchObject({ code: 'aborted' });
});
