import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ContextEngine } from '../../src/index.ts';
import { folder, holdfast, json } from './program.ts';

/** A store with a task in a session, and one that failed in none. */
async function working(): Promise<{ cwd: string }> {
  const cwd = folder();
  await using engine = await ContextEngine.open(`file:${join(cwd, 'holdfast.db')}`);
  await engine.sessions.create({ id: 'ticket', userId: 'mara' });
  await engine.tasks.run({ id: 'mend', chatId: 'ticket' }, async (task) => {
    task.trackFile('bicycle.txt', 'read');
    await task.trackModel('m', 'acme', 'chat', { inputTokens: 1200, outputTokens: 34 });
    await task.addUpdate('message', 'the chain is off');
  });
  await engine.tasks
    .run({ id: 'lost', userId: 'jon' }, () => Promise.reject(new Error('no')))
    .catch(() => {});
  return { cwd };
}

describe('holdfast tasks', () => {
  it('lists tasks, of a session, a user or a chat', async () => {
    const where = await working();
    expect((await holdfast(['tasks', 'list'], where)).stdout).toMatch(
      /lost +failed[\s\S]*mend +completed +mara +ticket/,
    );
    expect(await json(['tasks', 'list', '--session', 'ticket'], where)).toMatchObject({
      tasks: [{ id: 'mend', updates: 3, usage: { calls: 1 } }],
    });
    expect((await holdfast(['tasks', 'list', '--user', 'nobody'], where)).stdout).toContain('no tasks');
    expect(await json(['tasks', 'list', '--chat', 'none'], where)).toMatchObject({ tasks: [{ id: 'lost' }] });
  });

  it.each(['tasks', 'memory'])(
    'explains %s, as the program does, when nothing more is said',
    async (command) => {
      const { code, stdout, stderr } = await holdfast([command], { cwd: folder() });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(new RegExp(`^Usage: holdfast ${command}[^]*Commands:\\n +list`));
    },
  );

  it('shows what a task did', async () => {
    const where = await working();
    const { stdout } = await holdfast(['tasks', 'show', 'mend'], where);
    expect(stdout).toMatch(/files +bicycle\.txt/);
    expect(stdout).toContain('the chain is off');
    expect(await json(['tasks', 'show', 'mend'], where)).toMatchObject({ models: [{ modelId: 'm' }] });
    expect((await holdfast(['tasks', 'show', 'mend', '--limit', '1'], where)).stdout).not.toContain('"m"');
    expect((await holdfast(['tasks', 'show', 'mend', '--limit', '0'], where)).stdout).not.toContain('chain');
    const { code, stderr } = await holdfast(['tasks', 'show', 'nothing'], where);
    expect(code).toBe(1);
    expect(stderr).toContain('`holdfast tasks list`');
  });
});
