/** Runs the real program in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { aliases } from '../../src/core/config-aliases.ts';

const root = join(import.meta.dirname, '../..');
const main = join(root, 'src/cli/main.ts');

/** A small file with messages of every format. */
export const fixture = join(root, 'test/fixtures/transfer/conversations.jsonl');

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface Where {
  cwd: string;
  env?: Record<string, string>;
}

/** An empty folder for one test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Starts the program; a test that forgets to end it does not leave it behind. */
export function start(args: readonly string[], { cwd, env = {} }: Where): ChildProcess & Running {
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...cleanEnv(), ...env } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, ...output })));
  return Object.assign(child, { output, ended });
}

export interface Running {
  output: { stdout: string; stderr: string };
  ended: Promise<Ended>;
}

/** Runs the program to its end. */
export function holdfast(args: readonly string[], where: Where): Promise<Ended> {
  return start(args, where).ended;
}

/**
 * Runs it until the files of a database have more than so many bytes, and sends it a signal then. One that was done
 * before we saw that is run again, from nothing.
 */
export async function interrupted(
  args: readonly string[],
  { cwd, file, bytes, signal }: { cwd: string; file: string; bytes: number; signal: NodeJS.Signals },
): Promise<Ended> {
  const files = () => globSync(join(cwd, `${file}*`));
  const size = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  for (;;) {
    const child = start(args, { cwd });
    await until(() => child.exitCode !== null || files().reduce((sum, path) => sum + size(path), 0) > bytes);
    child.kill(signal);
    const ended = await child.ended;
    if (ended.code !== 0) return ended;
    for (const path of files()) rmSync(path);
  }
}

/** Runs it with `--json` and reads its one JSON value; whatever else it prints makes this fail. */
export async function json<T = Record<string, unknown>>(args: readonly string[], where: Where): Promise<T> {
  const { stdout } = await holdfast([...args, '--json'], where);
  return JSON.parse(stdout) as T;
}

/** The JSON values of a text with one a line. */
export function lines<T = Record<string, unknown>>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** Resolves as soon as the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** The environment without anything that speaks to the program. */
function cleanEnv(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(HOLDFAST_|FORCE_COLOR$|NO_COLOR$|NODE_OPTIONS$)/.test(name) && !(name in aliases),
  );
  return Object.fromEntries(entries);
}
