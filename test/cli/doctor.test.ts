import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { FullReport } from '../../src/cli/full-report.ts';
import { StoreUnavailableError } from '../../src/core/errors.ts';
import { ContextEngine } from '../../src/index.ts';
import { withFallback } from '../../src/stores/fallback/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { migrationsFrom } from '../../src/stores/sqlite/schema.ts';
import { fixture, folder, holdfast, json } from './program.ts';

interface Diagnosis {
  ok: boolean;
  versions: Record<string, string | number>;
  settings: Record<string, { value: unknown }>;
  checks: { name: string; ok: boolean; message: string; hint?: string }[];
}

const away = () => Promise.reject(new StoreUnavailableError('the server is away'));
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

  it.each([['doctor'], ['doctor', '--full']])(
    'tells that a store is of an earlier version, and leaves it as it is: %s %s',
    async (...args) => {
      const cwd = folder();
      const path = join(cwd, 'holdfast.db');
      const db = new Sqlite(path);
      db.exec(migrationsFrom(0)[0]!);
      db.pragma(`application_id = ${0x486f6c64}`);
      db.pragma('user_version = 1');
      db.close();
      const before = readFileSync(path);
      const { code, stdout } = await holdfast(args.filter(Boolean), { cwd });
      expect(stdout).toMatch(/✓ store +\S+ answers; \d+ migrations? will run at first use/);
      expect(stdout).toMatch(/✓ pages /);
      expect(code).toBe(0);
      expect(readFileSync(path).equals(before)).toBe(true);
    },
  );

  it('tells of writes that a killed process has left in its fallback, and leaves them there', async () => {
    const cwd = folder();
    const path = join(cwd, 'spool.db');
    const store = await withFallback(away, await SqliteStore.open(path), { timeoutMs: 100 });
    const engine = new ContextEngine(store, { maintenanceIntervalMs: 0 });
    await engine.sessions.create({ userId: 'u' });
    await engine.close();
    const before = readFileSync(path);
    const env = { HOLDFAST_FALLBACK: 'file:./spool.db' };
    const { code, stdout } = await holdfast(['doctor'], { cwd, env });
    expect(stdout).toMatch(/! fallback +\.\/spool\.db holds 1 write that the store does not have yet\n/);
    expect(stdout).toContain('It works, but see the warnings.');
    expect(code).toBe(0);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(cwd)).toEqual(['spool.db']);
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
    expect(stdout).toMatch(
      /✗ store +durability: replicated is not to be had from file:, only normal or full/,
    );
    expect(code).toBe(1);
    const spool = await holdfast(['doctor'], { cwd: folder(), env: { ...env, HOLDFAST_DURABILITY: 'full' } });
    expect(spool.stdout).toMatch(/✓ fallback +\S+ is not there yet: it is made at first use/);
  });

  it('says which option of a URL is unknown, and not what it was', async () => {
    const env = { REDIS_URL: 'redis://localhost:1/0?password=hunter2' };
    const { code, stdout } = await holdfast(['doctor'], { cwd: folder(), env });
    expect(stdout).toMatch(/✗ store +url\.password: is unknown; known are shards, prefix/);
    expect(stdout).not.toContain('hunter2');
    expect(code).toBe(1);
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

  it('shows where each value came from, also from a variable of a similar system, and warns of what is not done', async () => {
    const env = {
      REDIS_HOST: 'cache',
      REDIS_PASSWORD: 'hunter2',
      HOLDFAST_STORE: 'memory:',
      AIECS_LOG_LEVEL: 'DEBUG',
      CLICKHOUSE_ENABLED: 'true',
      EVENT_EMISSION: 'true',
    };
    const { code, stdout } = await holdfast(['doctor'], { cwd: folder(), env });
    expect(stdout).toMatch(/^store +memory: +environment HOLDFAST_STORE$/m);
    expect(stdout).toMatch(/^logLevel +debug +environment AIECS_LOG_LEVEL$/m);
    expect(stdout).toMatch(/^REDIS_HOST +does not count: HOLDFAST_STORE says store$/m);
    expect(stdout).toMatch(/^EVENT_EMISSION +is as it is$/m);
    expect(stdout).toMatch(/! variable +CLICKHOUSE_ENABLED: asks for an archive in clickhouse; /);
    expect(stdout).not.toContain('hunter2');
    expect(code).toBe(0);
  });

  it('warns of a store that a generic variable names where there is a file as well, and so does every command', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const env = { PYTHON_CONTEXT_MANAGER_CACHE_PATH: './other' };
    const { stdout } = await holdfast(['doctor'], { cwd, env });
    const told =
      /the store is file:\.\/other\/holdfast\.db, as PYTHON_CONTEXT_MANAGER_CACHE_PATH says; \S+ is here/;
    expect(stdout).toMatch(told);
    await holdfast(['import', fixture], { cwd, env });
    const sessions = await holdfast(['sessions'], { cwd, env });
    expect(sessions.stderr).toMatch(told);
    expect(sessions.stderr).toContain('HOLDFAST_STORE settles it');
    const settled = await holdfast(['sessions', '--store', 'file:./holdfast.db'], { cwd, env });
    expect([settled.code, settled.stderr]).toEqual([0, '']);
  });

  describe('with --full', () => {
    it('reports health, versions, what there is and who is behind, and leaves no trace', async () => {
      const cwd = folder();
      await holdfast(['import', fixture], { cwd });
      const { report, ok } = await json<Diagnosis & { report: FullReport }>(['doctor', '--full'], { cwd });
      expect(ok).toBe(true);
      expect(report).toMatchObject({
        system: { cpus: expect.any(Number) },
        packages: { redis: expect.stringMatching(/^\d/), pg: expect.stringMatching(/^\d/) },
        totals: { sessions: expect.any(Number), complete: true },
        health: { store: { name: 'sqlite' }, journal: { consumers: [] } },
      });
      const isOfMachine = (name: string) => ['disk', 'memory', 'event-loop', 'clock'].includes(name);
      const checks = report.health!.checks.filter(({ name }) => !isOfMachine(name));
      expect(checks.map(({ name, status }) => [name, status])).toEqual([
        ['store', 'healthy'],
        ['schema', 'healthy'],
        ['journal', 'healthy'],
      ]);
      expect(report.recommendations.filter((advice) => !isOfMachine(advice.split(':', 1)[0]!))).toEqual([]);
      expect(report.totals!.sessions).toBeGreaterThan(0);
      expect(readdirSync(cwd)).toEqual(['holdfast.db']);
      const { stdout, code } = await holdfast(['doctor', '--full'], { cwd });
      // A machine whose disk is nearly full makes it degraded.
      expect(stdout).toMatch(/^HEALTH: (healthy|degraded)$/m);
      expect(stdout).toMatch(/^sessions +\d+$/m);
      expect(code).toBe(0);
    });

    it('writes the report to a file, without secrets', async () => {
      const cwd = folder();
      const env = { HOLDFAST_STORE: 'redis://:hunter2@127.0.0.1:1', HOLDFAST_TIMEOUT_MS: '200' };
      const { code, stdout } = await holdfast(['doctor', '--full', '--output', 'report.json'], { cwd, env });
      expect(stdout).toBe('report.json has the report. Something is wrong.\n');
      expect(code).toBe(1);
      const text = readFileSync(join(cwd, 'report.json'), 'utf8');
      expect(text).not.toContain('hunter2');
      const diagnosis = JSON.parse(text) as Diagnosis & { report: FullReport };
      expect(diagnosis.settings.store?.value).toBe('redis://:***@127.0.0.1:1');
      expect(diagnosis.report.health).toBeUndefined();
      expect(diagnosis.report.recommendations).toEqual([expect.stringMatching(/^fallback: /)]);
    });

    it('comes also where the folder of tasks is none', async () => {
      const cwd = folder();
      writeFileSync(join(cwd, 'tasks'), 'of another program');
      const { code, stdout, stderr } = await holdfast(['doctor', '--full'], { cwd });
      expect(stdout).toMatch(/! tasks +\.\/tasks can't be read as a folder of tasks \(ENOTDIR\)/);
      expect([code, stderr]).toEqual([0, '']);
    });

    it('makes no store where there is none', async () => {
      const cwd = folder();
      const { report } = await json<{ report: FullReport }>(['doctor', '--full'], { cwd });
      expect(report.health).toBeUndefined();
      expect(readdirSync(cwd)).toEqual([]);
    });
  });
});
