import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ContextEngine } from '../../src/index.ts';
import { fixture, folder, holdfast, json, lines } from './program.ts';

interface Line {
  id: string;
  userId: string;
  createdAt?: number;
  metadata?: object;
  messages: unknown[];
  holdfast?: object;
}

const given = lines<Line>(readFileSync(fixture, 'utf8'));

const byId = (text: string) => new Map(lines<Line>(text).map((line) => [line.id, line]));

/** `toEqual` reads through `__proto__`; this does not. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
  expect(isDeepStrictEqual(actual, expected)).toBe(true);
}

describe('holdfast export', () => {
  it('gives back what was imported, message for message', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const { code, stdout, stderr } = await holdfast(['export'], { cwd });
    expect([code, stderr]).toEqual([0, '']);
    const exported = byId(stdout);
    expect(exported.size).toBe(given.length);
    for (const { id, createdAt, ...line } of given) {
      const { id: _, createdAt: at, ...rest } = exported.get(id)!;
      expectSame(rest, line);
      if (createdAt === undefined) expect(at).toBeGreaterThan(Date.now() - 60_000);
      else expect(at).toBe(createdAt);
    }
  });

  it('is a backup: imported into another store and exported again, it is the same', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    await holdfast(['export', '--output', 'backup.jsonl'], { cwd });
    const other = ['--store', 'file:./other.db'];
    expect(await json(['import', 'backup.jsonl', ...other], { cwd })).toMatchObject({ new: 27 });
    const { stdout } = await holdfast(['export', ...other], { cwd });
    expectSame(byId(stdout), byId(readFileSync(join(cwd, 'backup.jsonl'), 'utf8')));
    // And again, which changes nothing.
    expect(await json(['import', 'backup.jsonl', ...other], { cwd })).toMatchObject({
      new: 0,
      unchanged: 27,
    });
    expect((await holdfast(['export', ...other], { cwd })).stdout).toBe(stdout);
  });

  it('restores neither state nor status over what a session has by now', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    {
      await using engine = await ContextEngine.open(`file:${join(cwd, 'holdfast.db')}`);
      await engine.state.set('shared-1', 'plan', 'new');
      await engine.sessions.update('shared-1', { status: 'active' });
    }
    expect(await json(['import', fixture], { cwd })).toMatchObject({ conflicts: [], new: 0 });
    const shown = await json(['show', 'shared-1'], { cwd });
    expect(shown).toMatchObject({ state: { plan: 'new', done: null }, session: { status: 'active' } });
  });

  it('writes the sessions that are named, in that order, and nothing when one of them is not there', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const { stdout } = await holdfast(['export', 'openai-1', 'hostile/../1 %s'], { cwd });
    expect(lines<Line>(stdout).map(({ id }) => id)).toEqual(['openai-1', 'hostile/../1 %s']);
    const missing = await holdfast(['export', 'openai-1', 'nobody', '--output', 'x.jsonl'], { cwd });
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toContain('session "nobody" does not exist');
    expect(existsSync(join(cwd, 'x.jsonl'))).toBe(false);
  });

  it('writes chats with only the fields of OpenAI for --format openai', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const { stdout } = await holdfast(['export', 'plain-1', 'ai-sdk-1', '--format', 'openai'], { cwd });
    const [plain, aiSdk] = lines<Line>(stdout) as [Line, Line];
    expect(Object.keys(plain)).toEqual(['messages']);
    expect(plain.messages[1]).toEqual({ role: 'user', name: 'Mara', content: 'When do I plant beans? 🌱' });
    expect(aiSdk.messages[2]).toEqual({ role: 'tool', tool_call_id: 't1', content: '{"at":"home"}' });
  });

  it('writes bytes that a program stored as base64, which can be imported', async () => {
    const cwd = folder();
    {
      await using engine = await ContextEngine.open(`file:${join(cwd, 'holdfast.db')}`);
      await engine.sessions.create({ id: 'a', userId: 'u' });
      const content = [{ type: 'file', data: new Uint8Array([0, 1, 2]), mediaType: 'application/pdf' }];
      await engine.messages.append('a', { role: 'user', content });
    }
    await holdfast(['export', '--output', 'a.jsonl'], { cwd });
    const [line] = lines<Line>(readFileSync(join(cwd, 'a.jsonl'), 'utf8'));
    expect(line?.messages).toMatchObject([{ content: [{ type: 'file', data: 'AAEC' }] }]);
    expect(await json(['import', 'a.jsonl', '--store', 'file:./b.db'], { cwd })).toMatchObject({ new: 1 });
  });

  it('replaces a file only when all is written', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    writeFileSync(join(cwd, 'out.jsonl'), 'the one before');
    expect(await json(['export', '-o', 'out.jsonl'], { cwd })).toEqual({
      file: 'out.jsonl',
      sessions: 6,
      messages: 27,
    });
    expect(readFileSync(join(cwd, 'out.jsonl'), 'utf8').split('\n')).toHaveLength(7);
    expect(existsSync(join(cwd, 'out.jsonl.partial'))).toBe(false);
  });

  it.each([
    ['nowhere/out.jsonl', 'is in a folder that does not exist'],
    ['.', 'is not a regular file'],
  ])('refuses to write to %s', async (output, message) => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const { code, stderr } = await holdfast(['export', '--output', output], { cwd });
    expect(stderr).toContain(`${output}: ${message}`);
    expect(code).toBe(2);
  });

  it('writes nothing, and no error, for an empty store', async () => {
    const cwd = folder();
    expect(await holdfast(['export', '--store', 'memory:'], { cwd })).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });
});
