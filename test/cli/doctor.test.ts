import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { fixture, folder, holdfast, json } from './program.ts';

interface Diagnosis {
  ok: boolean;
  versions: Record<string, string | number>;
  checks: { name: string; ok: boolean; message: string; hint?: string }[];
}

const storeCheck = ({ checks }: Diagnosis) => checks.find(({ name }) => name === 'store');

describe('holdfast doctor', () => {
  it('says that a store that is not there will be made, and does not make it', async () => {
    const cwd = folder();
    const { code, stdout } = await holdfast(['doctor'], { cwd });
    expect(stdout).toMatch(/✓ store +\.\/holdfast\.db is not there yet: it is made at first use/);
    expect(code).toBe(0);
    const deep = await holdfast(['doctor', '--store', 'file:./a/b/c.db'], { cwd });
    expect(deep.stdout).toMatch(/✓ folder +.*a\/b is not there yet/);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('tells versions, settings and the store of a healthy house', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const diagnosis = await json<Diagnosis>(['doctor'], { cwd });
    expect(diagnosis.ok).toBe(true);
    expect(diagnosis.versions).toMatchObject({
      holdfast: expect.stringMatching(/^\d/),
      node: process.versions.node,
      sqlite: expect.stringMatching(/^3\./),
      schema: expect.any(Number),
    });
    expect(storeCheck(diagnosis)?.message).toMatch(/answers/);
  });

  it.each([
    ['no database at all', () => Buffer.from('not a database, but text. '.repeat(40))],
    ['a file that is cut off', (file: Buffer) => file.subarray(0, 8000)],
    [
      'a file with torn pages',
      (file: Buffer) => Buffer.concat([file.subarray(0, 4096), Buffer.alloc(file.length - 4096, 7)]),
    ],
  ])('tells that a store is damaged, and leaves it untouched: %s', async (_name, damage) => {
    const cwd = folder();
    const path = join(cwd, 'holdfast.db');
    await holdfast(['import', fixture], { cwd });
    const damaged = damage(readFileSync(path));
    writeFileSync(path, damaged);
    const { code, stdout } = await holdfast(['doctor'], { cwd });
    expect(stdout).toMatch(/✗ store +the SQLite file \.\/holdfast\.db is damaged: /);
    expect(code).toBe(1);
    expect(readFileSync(path).equals(damaged)).toBe(true);
    expect(readdirSync(cwd)).toEqual(['holdfast.db']);
    const other = await holdfast(['sessions'], { cwd });
    expect(other.stderr).toContain('is damaged');
    expect(other.code).toBe(1);
  });

  it('looks at every page of a large file too, and leaves nothing beside a damaged one', async () => {
    const cwd = folder();
    const path = join(cwd, 'holdfast.db');
    const messages = Array.from({ length: 12 }, (_, i) => ({
      role: 'user',
      content: `${i}`.repeat(2_000_000),
    }));
    writeFileSync(
      join(cwd, 'large.jsonl'),
      JSON.stringify({ id: 'large', messages: [...messages, ...messages] }),
    );
    await holdfast(['import', 'large.jsonl'], { cwd });
    const file = readFileSync(path);
    expect(file.length).toBeGreaterThan(32 * 1024 * 1024);
    const healthy = await json<Diagnosis>(['doctor'], { cwd });
    expect(healthy).toMatchObject({ ok: true });
    expect(healthy.checks.find(({ name }) => name === 'pages')?.ok).toBe(true);
    // Inside a message: opening the store does not come by there.
    file.fill(7, 4096 * 5000, 4096 * 5001);
    writeFileSync(path, file);
    const { code, stdout, stderr } = await holdfast(['doctor'], { cwd });
    expect(stdout).toMatch(/✗ pages +the SQLite file \.\/holdfast\.db is damaged: /);
    expect([code, stderr]).toEqual([1, '']);
    expect(readFileSync(path).equals(file)).toBe(true);
    expect(readdirSync(cwd)).toEqual(['holdfast.db', 'large.jsonl']);
  });

  it('takes nothing away from a process that is at work in the store', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const path = join(cwd, 'holdfast.db');
    const db = new Sqlite(path);
    db.pragma('user_version');
    db.exec("INSERT INTO meta VALUES ('at work', 1)");
    expect(await json<Diagnosis>(['doctor'], { cwd })).toMatchObject({ ok: true });
    expect(readdirSync(cwd)).toEqual(['holdfast.db', 'holdfast.db-shm', 'holdfast.db-wal']);
    db.close();
  });

  it('tells that a store is of a newer Holdfast', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const db = new Sqlite(join(cwd, 'holdfast.db'));
    db.pragma('user_version = 999');
    db.close();
    const { code, stdout } = await holdfast(['doctor'], { cwd });
    expect(stdout).toMatch(
      /✗ store +the store has schema 999, this Holdfast knows schemas up to \d+\n +Upgrade/,
    );
    expect(code).toBe(1);
  });

  it('tells that a folder is in the way of the store', async () => {
    const cwd = folder();
    mkdirSync(join(cwd, 'holdfast.db'));
    const diagnosis = await json<Diagnosis>(['doctor'], { cwd });
    expect(diagnosis.ok).toBe(false);
    expect(storeCheck(diagnosis)).toMatchObject({
      ok: false,
      message: './holdfast.db is a folder, expected a file',
    });
  });

  it('tells of promises that the store can not keep', async () => {
    const env = { HOLDFAST_DURABILITY: 'replicated', HOLDFAST_FALLBACK: 'file:./no/spool.db' };
    const { code, stdout } = await holdfast(['doctor'], { cwd: folder(), env });
    expect(stdout).toMatch(/✗ store +replicated is not to be had from file:, only normal or full/);
    expect(code).toBe(1);
    const spool = await holdfast(['doctor'], { cwd: folder(), env: { ...env, HOLDFAST_DURABILITY: 'full' } });
    expect(spool.stdout).toMatch(/✓ fallback +\S+ is not there yet: it is made at first use/);
  });

  it('shows every problem of the settings, and no secret of a URL', async () => {
    const cwd = folder();
    const env = { HOLDFAST_STORE: 'oracle://user:hunter2@db', HOLDFAST_PORT: '-1' };
    const { code, stdout, stderr } = await holdfast(['doctor'], { cwd, env });
    expect(stdout).toMatch(/✗ settings +HOLDFAST_STORE: /);
    expect(stdout).toMatch(/✗ settings +HOLDFAST_PORT: must be at least 0/);
    expect(stdout + stderr).not.toContain('hunter2');
    expect(code).toBe(1);
  });
});
