import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ContextEngine } from '../../src/index.ts';
import { folder, holdfast, json } from './program.ts';

/** A folder whose store remembers a few things. */
async function remembering(): Promise<{ cwd: string }> {
  const cwd = folder();
  const engine = await ContextEngine.open(`file:${join(cwd, 'holdfast.db')}`);
  const add = (content: string, more: object = {}) => engine.memory.add({ content, userId: 'mara', ...more });
  await add('Mara rides a red bicycle \u001b[31mto work', { tags: ['bicycle'], importance: 0.8 });
  await add('Mara drinks tea');
  await add('Mara lives in Oslo');
  await add('Mara lives in Rome');
  await engine.memory.add({ content: 'The shop opens at nine' });
  await engine.close();
  return { cwd };
}

describe('holdfast memory', () => {
  it('lists memories of a user, with tags, or of the tenant', async () => {
    const where = await remembering();
    const { stdout } = await holdfast(['memory', 'list', '--user', 'mara', '--tags', 'bicycle'], where);
    const rows = stdout.trimEnd().split('\n');
    expect(rows[0]).toMatch(/^ID +TIER +IMPORTANCE +RETENTION +CREATED +CONTENT$/);
    expect(rows).toHaveLength(2);
    expect(rows[1]).toMatch(/long +0\.80 +1\.00 .*Mara rides a red bicycle to work$/);
    const shared = await json<{ memories: { content: string }[] }>(['memory', 'list'], where);
    expect(shared.memories.map(({ content }) => content)).toEqual(['The shop opens at nine']);
    const superseded = await holdfast(['memory', 'list', '--user', 'mara', '--superseded'], where);
    expect(superseded.stdout).toContain('Mara lives in Oslo');
    expect((await holdfast(['memory', 'list', '--user', 'nobody'], where)).stdout).toBe('No memories.\n');
  });

  it('searches without being a use', async () => {
    const where = await remembering();
    const { stdout } = await holdfast(['memory', 'search', 'where does she live', '--user', 'mara'], where);
    expect(stdout).toContain('Mara lives in Rome');
    const stats = await json(['memory', 'stats', '--user', 'mara'], where);
    expect(stats).toMatchObject({ count: 3, neverUsed: 3, superseded: 1 });
  });

  it('counts, audits, consolidates and cleans up', async () => {
    const where = await remembering();
    expect((await holdfast(['memory', 'stats'], where)).stdout).toMatch(
      /^memories +4 \(1 long-term, 3 medium-term\)$/m,
    );
    expect((await holdfast(['memory', 'audit'], where)).stdout).toMatch(/^no-source +4$/m);
    expect(await json(['memory', 'consolidate', '--dry-run'], where)).toMatchObject({
      examined: 4,
      merged: 0,
    });
    expect((await holdfast(['memory', 'consolidate'], where)).stdout).toMatch(/^examined +4$/m);
    expect(await json(['memory', 'cleanup', '--max-age-days', '9'], where)).toMatchObject({ removed: 0 });
  });

  it('explains itself, and tells what is wrong with a command line', async () => {
    const where = { cwd: folder() };
    expect((await holdfast(['memory', '--help'], where)).stdout).toContain('Examples:');
    expect((await holdfast(['memory', 'search', '--help'], where)).stdout).toContain('<query>');
    expect((await holdfast(['memory', 'serach'], where)).code).toBe(2);
    expect((await holdfast(['memory', 'search'], where)).code).toBe(2);
  });
});
