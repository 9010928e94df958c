import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ContextEngine } from '../../src/index.ts';
import { fixture, folder, holdfast, interrupted, json } from './program.ts';

/** A store with so many sessions of ten messages. */
async function filled(cwd: string, sessions: number): Promise<void> {
  await using engine = await ContextEngine.open(`file:${join(cwd, 'from.db')}`, {
    durability: 'normal',
    maintenanceIntervalMs: 0,
  });
  const messages = Array.from({ length: 10 }, (_, i) => ({ role: 'user' as const, content: `message ${i}` }));
  const ids = Array.from({ length: sessions }, (_, i) => `s${i}`);
  await Promise.all(
    ids.map(async (id) => {
      await engine.sessions.create({ id, userId: 'u' });
      await engine.messages.append(id, messages);
    }),
  );
}

describe('holdfast copy', () => {
  it('copies a store, compares the two, and can be run again', async () => {
    const cwd = folder();
    await holdfast(['import', fixture, '--store', 'file:./from.db'], { cwd });
    const args = ['copy', 'file:./from.db', 'file:./to.db', '--verify'];
    const { code, stdout, stderr } = await holdfast(args, { cwd });
    expect(stdout).toMatch(
      /^\d+ partitions, \d+ records, \d+ entries \(.+\) in .+ s\nverified: nothing differs\n$/,
    );
    expect([code, stderr]).toEqual([0, '']);
    // Sessions of the same millisecond have no order among them.
    const list = async (store: string) =>
      (await holdfast(['export', '--store', store], { cwd })).stdout.split('\n').sort();
    expect(await list('file:./to.db')).toEqual(await list('file:./from.db'));
    const again = await json(args, { cwd });
    expect(again).toMatchObject({
      resumed: true,
      verified: true,
      mismatches: [],
      partitions: expect.any(Number),
    });
  });

  it('goes on where it was killed', async () => {
    const cwd = folder();
    await filled(cwd, 1500);
    const args = ['copy', 'file:./from.db', 'file:./to.db'];
    const { code } = await interrupted(args, { cwd, file: 'to.db', bytes: 600_000, signal: 'SIGKILL' });
    expect(code).toBe(null);
    const result = await json([...args, '--verify'], { cwd });
    expect(result).toMatchObject({ resumed: true, partitions: 1501, entries: 15_000, mismatches: [] });
  });

  it('ends at Ctrl-C, and says how to go on', async () => {
    const cwd = folder();
    await filled(cwd, 1500);
    const args = ['copy', 'file:./from.db', 'file:./to.db'];
    const how = { cwd, file: 'to.db', bytes: 600_000, signal: 'SIGINT' } as const;
    const { code, stderr } = await interrupted(args, how);
    expect([code, stderr]).toEqual([130, 'holdfast: interrupted; the same command goes on from here\n']);
    expect(await json([...args, '--verify'], { cwd })).toMatchObject({ resumed: true, mismatches: [] });
  });

  it('leaves a target untouched that holds anything else', async () => {
    const cwd = folder();
    await holdfast(['import', fixture, '--store', 'file:./from.db'], { cwd });
    await holdfast(['import', fixture, '--store', 'file:./to.db'], { cwd });
    const { code, stderr } = await holdfast(['copy', 'file:./from.db', 'file:./to.db'], { cwd });
    expect(stderr).toContain('the target holds data already, which is not from a copy of this one');
    expect(code).toBe(1);
  });

  it('makes no store where there is nothing to copy, and shows no password', async () => {
    const cwd = folder();
    const missing = await holdfast(['copy', 'file:./none.db', 'file:./to.db'], { cwd });
    expect(missing.stderr).toContain('the store "./none.db" does not exist');
    const wrong = await holdfast(['copy', 'file:./none.db', 'oracle://u:hunter2@h'], { cwd });
    expect(wrong.stderr).toContain('to: no store is known for oracle:');
    expect(wrong.stderr + missing.stderr).not.toContain('hunter2');
    expect([missing.code, wrong.code]).toEqual([1, 2]);
    expect(readdirSync(cwd)).toEqual([]);
  });
});

describe('holdfast migrate', () => {
  it('shows the SQL of a file that is not there, makes it, and has nothing to do then', async () => {
    const cwd = folder();
    const dry = await holdfast(['migrate', '--dry-run'], { cwd });
    expect(dry.stdout).toContain('CREATE TABLE records');
    expect(readdirSync(cwd)).toEqual([]);
    const { stdout, code } = await holdfast(['migrate'], { cwd });
    expect(stdout).toMatch(/^\d+ migrations? run: the schema is up to date\n$/);
    expect(code).toBe(0);
    const again = await holdfast(['migrate'], { cwd });
    expect(again.stdout).toMatch(/^nothing to do: the schema is at version \d+\n$/);
    expect(await json(['migrate', '--dry-run'], { cwd })).toEqual({
      store: 'file:./holdfast.db',
      dryRun: true,
      version: expect.any(Number),
      statements: [],
    });
    expect(readdirSync(cwd)).toEqual(['holdfast.db']);
  });

  it('has nothing to do in memory', async () => {
    const { stdout } = await holdfast(['migrate', '--store', 'memory:'], { cwd: folder() });
    expect(stdout).toBe('nothing to do: this store has no schema\n');
  });
});
