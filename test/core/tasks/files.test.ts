import { pbkdf2 } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { fileNameOf, idOfFileName } from '../../../src/core/tasks/file-name.ts';
import { readTaskFile } from '../../../src/core/tasks/task-file.ts';
import {
  ConflictError,
  InvalidInputError,
  StoreCorruptError,
  StoreUnavailableError,
  taskContext,
} from '../../../src/index.ts';

let taskDir: string;

beforeEach(async () => {
  taskDir = await mkdtemp(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rm(taskDir, { recursive: true, force: true }));
});

const data = (task: { history: readonly { data: unknown }[] }) => task.history.map((update) => update.data);

/** A task with so many updates, saved; its file. */
async function saved(id: string, count: number): Promise<string> {
  await taskContext({ id }, { taskDir }, async (task) => {
    for (let i = 0; i < count; i++) await task.addUpdate('message', `update ${i}`);
  });
  return join(taskDir, fileNameOf(id));
}

describe('tasks in a folder', () => {
  test('go on where they were, with all that they knew', async () => {
    {
      await using task = taskContext({ chatId: 'chat', userId: 'ada', metadata: { a: 1 } }, { taskDir });
      task.trackFile('a.ts', 'edit', 'tool');
      task.trackModel('m', 'acme', 'chat', { inputTokens: 10, cost: 0.1 });
      task.trackModel('m', 'acme', 'chat', { cost: 0.2 });
      task.addUpdate('message', 'hello');
      expect(task.optimize(5)).toBe(true);
      task.addUpdate('message', 'again');
    }
    await using task = taskContext({ chatId: 'chat', metadata: { b: 2 } }, { taskDir });
    expect(task).toMatchObject({ id: 'chat', userId: 'ada', metadata: { a: 1, b: 2 }, closed: false });
    expect(data(task)).toEqual(['hello', 'again']);
    expect(task.fileTracker).toMatchObject({ 'a.ts': { operation: 'edit', source: 'tool' } });
    expect(task.models).toMatchObject([{ modelId: 'm' }]);
    expect(task.usage).toMatchObject({ calls: 2, inputTokens: 10, cost: 0.3 });
  });

  test('are saved by `using` as well, also while updates are being written', async () => {
    {
      using task = taskContext({ id: 't' }, { taskDir });
      for (let i = 0; i < 5; i++) task.addUpdate('message', i);
    }
    {
      using task = taskContext({ id: 't' }, { taskDir });
      expect(data(task)).toEqual([0, 1, 2, 3, 4]);
      task.addUpdate('message', 5);
      // Lets the write begin.
      await Promise.resolve();
      await Promise.resolve();
      task.addUpdate('message', 6);
    }
    // Whatever was under way is done when the folder can be listed.
    await taskContext({ id: 'other' }, { taskDir }, () => undefined);
    using task = taskContext({ id: 't' }, { taskDir });
    expect(data(task)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test('are left as `using` saved them by a write that was under way', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const id = `t-${turns}`;
      const writes: Promise<void>[] = [];
      {
        using task = taskContext({ id }, { taskDir });
        writes.push(task.addUpdate('message', 'first'));
        // The file is new: it is written aside, and is that far or not when the task ends.
        for (let i = 0; i < turns; i++) await new Promise(setImmediate);
        writes.push(task.addUpdate('message', 'last'));
      }
      await Promise.all(writes);
      // Nothing is left that was written aside once all is done.
      await expect
        .poll(async () => (await readdir(taskDir)).filter((name) => name.endsWith('.tmp')))
        .toEqual([]);
      using task = taskContext({ id }, { taskDir });
      expect(data(task)).toEqual(['first', 'last']);
    }
  });

  test('have nothing twice where one that `using` saved is opened again before its last write came through', async () => {
    await taskContext({ id: 't' }, { taskDir }, (task) => task.addUpdate('message', 0));
    // Keeps all threads busy that open files, so that the write gets no further than to have begun.
    const busy = Array.from({ length: 32 }, () => promisify(pbkdf2)('a', 'b', 100_000, 32, 'sha256'));
    let write: Promise<void>;
    {
      using task = taskContext({ id: 't' }, { taskDir });
      write = task.addUpdate('message', 1);
      // Lets the write begin.
      await Promise.resolve();
      await Promise.resolve();
    }
    {
      using task = taskContext({ id: 't' }, { taskDir });
      task.addUpdate('message', 2);
    }
    await Promise.all([write, ...busy]);
    // A write that nobody waits for any more comes before this one, which is begun after it.
    await taskContext({ id: 'other' }, { taskDir }, (task) => task.addUpdate('message', 0));
    using task = taskContext({ id: 't' }, { taskDir });
    expect(data(task)).toEqual([0, 1, 2]);
  });

  test('write updates of one turn together, in order, and none twice', async () => {
    await taskContext({ id: 't' }, { taskDir }, async (task) => {
      await Promise.all(Array.from({ length: 3000 }, (_, i) => task.addUpdate('message', i)));
    });
    using task = taskContext({ id: 't' }, { taskDir });
    expect(data(task)).toEqual(Array.from({ length: 3000 }, (_, i) => i));
  });

  test('lose no more than the torn line, wherever a write was cut off', async () => {
    const path = await saved('torn', 6);
    const whole = await readFile(path);
    const head = whole.indexOf('\n') + 1;
    for (let length = head; length < whole.length; length++) {
      await writeFile(path, whole);
      await truncate(path, length);
      const complete = whole.subarray(head, length).toString().split('\n').length - 1;
      const lines = complete + (whole[length] === 10 ? 1 : 0);
      using task = taskContext({ id: 'torn' }, { taskDir });
      expect(data(task)).toEqual(Array.from({ length: lines }, (_, i) => `update ${i}`));
    }
    // What comes after a torn line is not lost with it.
    await writeFile(path, whole.subarray(0, whole.length - 5));
    {
      await using task = taskContext({ id: 'torn' }, { taskDir });
      await task.addUpdate('message', 'after');
      expect(readTaskFile(path)?.history.at(-1)?.update.data).toBe('after');
    }
  });

  test('fall back to the version before where the beginning is damaged', async () => {
    const path = await saved('t', 3);
    await writeFile(path, Buffer.from('garbage'));
    expect((await taskContext.diagnose({ taskDir })).unreadable).toEqual([fileNameOf('t')]);
    {
      await using task = taskContext({ id: 't' }, { taskDir });
      expect(data(task)).toEqual(['update 0', 'update 1', 'update 2']);
      await task.addUpdate('message', 'more');
    }
    using task = taskContext({ id: 't' }, { taskDir });
    expect(data(task)).toHaveLength(4);
    expect(await taskContext.diagnose({ taskDir })).toMatchObject({ ok: true, tasks: 1 });
  });

  test('that are damaged beyond that are told and left as they are', async () => {
    const path = await saved('t', 1);
    await writeFile(path, 'garbage');
    await writeFile(`${path}.previous`, '');
    expect(() => taskContext({ id: 't' }, { taskDir })).toThrow(StoreCorruptError);
    expect(await readFile(path, 'utf8')).toBe('garbage');
  });

  test('are found damaged within by their checksums, and keep what is whole', async () => {
    const path = await saved('t', 5);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('update 2', 'update X'));
    expect(await taskContext.diagnose({ taskDir })).toMatchObject({ ok: false, damaged: [fileNameOf('t')] });
    await using task = taskContext({ id: 't' }, { taskDir });
    expect(data(task)).toEqual(['update 0', 'update 1', 'update 3', 'update 4']);
  });

  test('stay in their folder whatever they are called, each in a file of its own', async () => {
    const ids = [
      '../../etc',
      '/etc/passwd',
      'a',
      'A',
      '..',
      '.',
      'con',
      'a\nb',
      '%2e%2e',
      '*{}',
      'é',
      '界'.repeat(256),
      'x'.repeat(256),
    ];
    for (const id of ids) {
      await taskContext({ chatId: id }, { taskDir }, (task) => void task.addUpdate('message', id));
    }
    const files = await readdir(taskDir);
    expect(files.filter((name) => name.endsWith('.holdfast-task'))).toHaveLength(ids.length);
    expect(files.every((name) => /^[a-z0-9_=-]+\.holdfast-task/.test(name) && name.length < 255)).toBe(true);
    for (const id of ids) {
      using task = taskContext({ chatId: id }, { taskDir });
      expect(data(task)).toEqual([id]);
    }
    for (const id of ['a\0b', '', 'x'.repeat(257), '\ud800'])
      expect(() => taskContext({ id }, { taskDir })).toThrow(InvalidInputError);
  });

  test('have names that tell their ids, and differ for ids that differ', () => {
    const id = fc.string({ minLength: 1, maxLength: 256, unit: 'binary' });
    fc.assert(
      fc.property(id, id, (a, b) => {
        const name = fileNameOf(a);
        expect(name).toMatch(/^[a-z0-9_=-]{1,160}\.holdfast-task$/);
        expect(idOfFileName(name) ?? a).toBe(a);
        if (a.length < 30 && a.isWellFormed()) expect(idOfFileName(name)).toBe(a);
        if (a !== b && a.isWellFormed() && b.isWellFormed()) expect(fileNameOf(b)).not.toBe(name);
      }),
    );
  });

  test('that were taken away while they are open are written as a whole again', async () => {
    const task = taskContext({ id: 't' }, { taskDir });
    await task.addUpdate('message', 'first');
    await rm(join(taskDir, fileNameOf('t')));
    await task.addUpdate('message', 'second');
    expect(readTaskFile(join(taskDir, fileNameOf('t')))?.history.map(({ update }) => update.data)).toEqual([
      'first',
      'second',
    ]);
    await task.close();
  });

  test('that are open are not opened a second time, since each would overwrite what the other has', async () => {
    const task = taskContext({ id: 't' }, { taskDir });
    await task.addUpdate('message', 'first');
    expect(() => taskContext({ id: 't' }, { taskDir })).toThrow(ConflictError);
    await task.close();
    using again = taskContext({ id: 't' }, { taskDir });
    expect(data(again)).toEqual(['first']);
  });

  test('are not given to another user', async () => {
    await taskContext({ id: 't', userId: 'ada' }, { taskDir }, (task) => void task.addUpdate('message', 1));
    expect(() => taskContext({ id: 't', userId: 'bob' }, { taskDir })).toThrow(ConflictError);
  });

  test('say what is wrong with metadata that were made unfit to be kept, and are saved once they are mended', async () => {
    const task = taskContext({ id: 't' }, { taskDir });
    for (const [metadata, what] of [
      [{ a: 1n }, /metadata\.a/],
      [null, /metadata: expected/],
    ] as const) {
      task.metadata = metadata as never;
      await expect(task.save()).rejects.toThrow(what);
      await expect(task.save()).rejects.toThrow(InvalidInputError);
    }
    task.metadata = { a: 1 };
    await task.close();
    using again = taskContext({ id: 't' }, { taskDir });
    expect(again.metadata).toEqual({ a: 1 });
  });

  test('beyond the limit are pruned, the ones that were used longest ago, and nothing that is not ours', async () => {
    await writeFile(join(taskDir, 'notes.txt'), 'mine');
    await writeFile(join(taskDir, 'T.holdfast-task'), 'not ours: no name of ours has a capital');
    for (let i = 0; i < 5; i++) {
      const path = await saved(`t${i}`, 1);
      await utimes(path, 1000 + i, 1000 + i);
    }
    const stale = join(taskDir, `${fileNameOf('t4')}.1-0123456789ab.tmp`);
    await writeFile(stale, 'left by a crash');
    await utimes(stale, 1000, 1000);
    using held = taskContext({ id: 't0' }, { taskDir });
    expect(await taskContext.diagnose({ taskDir })).toMatchObject({
      tasks: 5,
      foreign: 2,
      stale: [stale].map((path) => path.slice(taskDir.length + 1)),
    });
    expect(await taskContext.prune({ taskDir, maxHistoryFiles: 2 })).toEqual({ removed: 3, stale: 1 });
    const left = (await readdir(taskDir)).filter((name) => !name.endsWith('.previous')).sort();
    expect(left).toEqual(['T.holdfast-task', 'notes.txt', 't0.holdfast-task', 't4.holdfast-task']);
    expect(data(held)).toEqual(['update 0']);
  });

  test('are told to be out of reach where their folder is none, by an error of ours', async () => {
    const none = join(taskDir, 'file');
    await writeFile(none, 'no folder');
    for (const ask of [taskContext.diagnose, taskContext.prune])
      await expect(ask({ taskDir: none })).rejects.toMatchObject({
        code: 'store-unavailable',
        message: expect.stringContaining('ENOTDIR'),
      });
    expect(() => taskContext({ id: 't' }, { taskDir: none })).toThrow(StoreUnavailableError);
    expect(await taskContext.diagnose({ taskDir: join(taskDir, 'nowhere') })).toMatchObject({
      ok: true,
      tasks: 0,
    });
  });

  test('beyond the limit are pruned by themselves when one is opened', async () => {
    for (let i = 0; i < 3; i++) await utimes(await saved(`t${i}`, 1), 1000 + i, 1000 + i);
    using _ = taskContext({ id: 'new' }, { taskDir, maxHistoryFiles: 1, cleanupIntervalMs: 0 });
    const files = async () => (await readdir(taskDir)).filter((name) => name.endsWith('.holdfast-task'));
    await expect.poll(files).toEqual(['t2.holdfast-task']);
  });

  test('that can not be written keep what is new, tell it at the end, and save it later', async () => {
    const taskDir2 = join(taskDir, 'folder');
    const task = taskContext({ id: 't' }, { taskDir: taskDir2 });
    await writeFile(taskDir2, 'a file where the folder should be');
    // Nobody awaits this: it must not end the process.
    task.addUpdate('message', 1);
    await expect(task.addUpdate('message', 2)).rejects.toMatchObject({ code: 'store-unavailable' });
    expect(taskContext.checkHealth(task)).toMatchObject({ healthy: false, facts: { unsaved: 2 } });
    await expect(task.save()).rejects.toMatchObject({ code: 'store-unavailable' });
    await rm(taskDir2);
    await task.addUpdate('message', 3);
    expect(taskContext.checkHealth(task).healthy).toBe(true);
    await task.close();
    expect(data(taskContext({ id: 't' }, { taskDir: taskDir2 }))).toEqual([1, 2, 3]);
  });
});
