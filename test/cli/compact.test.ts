import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Compaction, CompactionResult } from '../../src/core/model/compaction.ts';
import type { ContextWindow } from '../../src/core/model/window.ts';
import { folder, holdfast, json } from './program.ts';

/** A conversation with one sentence worth keeping in each turn. */
async function imported(): Promise<{ cwd: string }> {
  const cwd = folder();
  const messages = Array.from({ length: 40 }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: `Box ${i} goes to shelf ${i * 3}. ${'It is a box like any other. '.repeat(5)}`,
  }));
  writeFileSync(join(cwd, 'moving.jsonl'), JSON.stringify({ id: 'moving', userId: 'u', messages }));
  await holdfast(['import', 'moving.jsonl'], { cwd });
  return { cwd };
}

/** What is recalled comes on top of what a compaction aims at. */
const whole = ['window', 'moving', '--max-tokens', '100000', '--no-recall'];

describe('holdfast compact', () => {
  it('makes a session shorter, and says from where to where', async () => {
    const where = await imported();
    const { stdout, code } = await holdfast(['compact', 'moving', '--target-tokens', '800'], where);
    expect(stdout).toMatch(/^compaction 1: messages 1 to \d+, [\d,]+ → \d{3} tokens \([a-z+-]+\)\n$/);
    expect(code).toBe(0);
    const window = await json<ContextWindow>(whole, where);
    expect(window.compaction).toBe('1');
    expect(window.tokens).toBeLessThanOrEqual(800);
    expect(window.messages.at(-1)).toMatchObject({ seq: 40 });
    const { stdout: explained } = await holdfast([...whole, '--explain'], where);
    expect(explained).toContain('stands on compaction 1');
  });

  it('does it in the way that is asked for, and says where there is nothing to do', async () => {
    const where = await imported();
    const args = ['compact', 'moving', '--strategy', 'dedup,truncate', '--target-tokens', '500'];
    const { compaction } = await json<CompactionResult>(args, where);
    expect(compaction?.strategy).toContain('truncate');
    const again = await holdfast(args, where);
    expect([again.stdout, again.code]).toEqual([
      'nothing to do: it is short enough, or all of it has to stay\n',
      0,
    ]);
    expect(await json(args, where)).toMatchObject({ refused: { reason: 'nothing-to-compact' } });
  });

  it('takes it back', async () => {
    const where = await imported();
    const before = await json<ContextWindow>(whole, where);
    await holdfast(['compact', 'moving', '--target-tokens', '800'], where);
    const { stdout } = await holdfast(['compact', 'moving', '--undo'], where);
    expect(stdout).toBe('taken back: compaction 1, and all after it\n');
    expect(await json(whole, where)).toEqual(before);
    const unknown = await holdfast(['compact', 'moving', '--undo', '7'], where);
    expect([unknown.stderr, unknown.code]).toEqual([expect.stringContaining('compaction "7"'), 1]);
  });

  it.each([
    [['compact', 'moving', '--strategy', 'trunkate'], 2, 'Did you mean truncate?'],
    [['compact', 'moving', '--undo', '--strategy', 'dedup'], 2, 'cannot be used with'],
    [['compact', 'nobody'], 1, 'session "nobody" does not exist'],
    [['compactions', 'nobody'], 1, 'session "nobody" does not exist'],
  ])('says what is wrong with %j', async (args, code, message) => {
    const ended = await holdfast(args, await imported());
    expect(ended.stderr).toContain(message);
    expect(ended.code).toBe(code);
  });
});

describe('holdfast compactions', () => {
  it('lists them, the newest first, with those that no longer count', async () => {
    const where = await imported();
    expect((await holdfast(['compactions', 'moving'], where)).stdout).toBe('No compactions.\n');
    await holdfast(['compact', 'moving', '--target-tokens', '1200'], where);
    await holdfast(['compact', 'moving', '--target-tokens', '600'], where);
    await holdfast(['compact', 'moving', '--undo'], where);
    const { stdout } = await holdfast(['compactions', 'moving'], where);
    const [head, second, first] = stdout.split('\n');
    expect(head).toMatch(/^ID +CREATED +MESSAGES +TOKENS +STRATEGY +STATE$/);
    expect(second).toMatch(/^ 2 .* taken back$/);
    expect(first).toMatch(/^ 1 .* 1 to \d+ +[\d,]+ → [\d,]+ /);
    const { compactions } = await json<{ compactions: Compaction[] }>(['compactions', 'moving'], where);
    expect(compactions.map(({ id, undone }) => [id, undone?.reason])).toEqual([
      ['2', 'undone'],
      ['1', undefined],
    ]);
    const told = await holdfast(['compactions', 'moving', '--summaries', '--before', '2'], where);
    expect(told.stdout).toMatch(/Box \d+ goes to shelf \d+\./);
    expect(told.stdout).not.toContain('#2');
  });
});
