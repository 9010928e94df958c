import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { callModel } from '../../src/core/model-call.ts';

const request = { system: 'Be brief.', prompt: 'Hello', maxOutputTokens: 10 };
const signal = new AbortController().signal;

test('a model that never answers costs its time, and is told of without what it was asked', async () => {
  const never = () => new Promise<string>(() => undefined);
  expect(await callModel(never, { ...request, signal }, 20)).toEqual({ problem: 'took longer than 20 ms' });
});

test('a model that fails is told of by the name of its error', async () => {
  const fails = async () => {
    throw new RangeError('secret');
  };
  expect(await callModel(fails, { ...request, signal }, 1000)).toEqual({
    problem: 'the model failed (RangeError)',
  });
});

test('who closes does not wait for a model', async () => {
  const closing = new AbortController();
  const asked = callModel(() => new Promise(() => undefined), { ...request, signal: closing.signal }, 60_000);
  closing.abort(new Error('closed'));
  await expect(asked).rejects.toThrow('closed');
});

test('a process that has nothing else to do still waits for a model until its time is over', async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    const { callModel } = await import(${url('../../src/core/model-call.ts')});
    const { EmbedCalls } = await import(${url('../../src/core/search/embed-calls.ts')});
    const never = () => new Promise(() => undefined);
    const { signal } = new AbortController();
    const { problem } = await callModel(never, { system: '', prompt: '', maxOutputTokens: 1, signal }, 50);
    const calls = new EmbedCalls({ name: 'never', embed: never }, { timeoutMs: 50 }, { onError: never, closing: signal });
    const { message } = await calls.query('x').catch((error) => error);
    console.log(problem + '; ' + message);
  `;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  expect((await run).stdout.trim()).toBe('took longer than 50 ms; the embedder took longer than 50 ms');
});
