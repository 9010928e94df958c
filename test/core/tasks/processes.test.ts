import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { ContextEngine, taskContext } from '../../../src/index.ts';

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A program, and the lines that it has printed. */
function start(
  program: URL,
  ...args: string[]
): { child: ChildProcess; lines: string[]; line(text: string): Promise<void>; dead: Promise<unknown> } {
  const child = spawn(process.execPath, [fileURLToPath(program), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  let rest = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!;
    lines.push(...parts);
  });
  const line = (text: string) => expect.poll(() => lines).toContain(text);
  // Not `exit`: what it has printed may come after that.
  return { child, lines, line, dead: once(child, 'close') };
}

async function killed(kind: 'engine' | 'file', place: string): Promise<number> {
  const { child, lines, line, dead } = start(new URL('./worker.ts', import.meta.url), kind, place);
  await line('20');
  child.kill('SIGKILL');
  await dead;
  return lines.length;
}

test('a task in a store loses no acknowledged update and no call when its process is killed', async () => {
  const place = join(await newFolder(), 'store.db');
  {
    await using engine = await ContextEngine.open(`file:${place}`);
    await engine.sessions.create({ id: 's', userId: 'ada' });
  }
  const acknowledged = await killed('engine', place);
  await using engine = await ContextEngine.open(`file:${place}`);
  const task = await engine.tasks.get('killed');
  const numbers = task.history.filter(({ updateType }) => updateType === 'message').map(({ data }) => data);
  // What was under way may be there as well, in its place.
  expect(numbers.length - acknowledged).toBeOneOf([0, 1]);
  expect(numbers).toEqual(numbers.map((_, i) => i));
  const { calls, inputTokens } = await engine.tasks.usage({ sessionId: 's' });
  expect(calls).toBe(inputTokens);
  expect(calls - acknowledged).toBeOneOf([0, 1]);
});

test('a task in a file loses no acknowledged update and no call when its process is killed', async () => {
  const taskDir = await newFolder();
  const acknowledged = await killed('file', taskDir);
  using task = taskContext({ id: 'killed' }, { taskDir });
  const numbers = task.history.filter(({ updateType }) => updateType === 'message').map(({ data }) => data);
  expect(numbers.length - acknowledged).toBeOneOf([0, 1]);
  expect(numbers).toEqual(numbers.map((_, i) => i));
  expect(task.usage.calls - acknowledged).toBeOneOf([0, 1]);
});

test('a signal releases and saves, and then ends the process as it always does', async () => {
  const taskDir = await newFolder();
  const { child, lines, line, dead } = start(new URL('./signal-worker.ts', import.meta.url), taskDir);
  await line('ready');
  child.kill('SIGTERM');
  await dead;
  expect(child.signalCode).toBe('SIGTERM');
  expect(lines).toContain('released');
  using task = taskContext({ id: 'told' }, { taskDir });
  expect(task.history.map(({ updateType }) => updateType)).toEqual(['resource', 'message']);
});

test('a signal that the program handles itself is left to it, and our handlers are gone then', async () => {
  const { child, line, lines, dead } = start(
    new URL('./signal-worker.ts', import.meta.url),
    await newFolder(),
    'heard',
  );
  await line('ready');
  child.kill('SIGTERM');
  await line('heard');
  await line('released');
  child.stdin!.end();
  await dead;
  expect(child.exitCode).toBe(0);
  expect(lines).toContain('left 1');
});
