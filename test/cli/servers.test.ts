/** The program on stores with a server. */
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import type { ServerName } from '../support/server-names.ts';
import { createPlace, removePlace, serverUrl } from '../support/servers.ts';
import { fixture, folder, holdfast, json } from './program.ts';

interface Diagnosis {
  ok: boolean;
  versions: Record<string, string | number>;
  checks: { name: string; ok: boolean; warning?: true; message: string }[];
}

/** The URL of an empty store. */
async function place(name: ServerName, context: TestContext): Promise<string> {
  await serverUrl(name, context);
  const url = await createPlace(name);
  onTestFinished(() => removePlace(url));
  return url;
}

describe.for(['redis', 'redis-cluster', 'postgres'] as const)('holdfast on %s', (name) => {
  it('imports, copies there and back, and exports the same', async (context) => {
    const url = await place(name, context);
    const cwd = folder();
    await holdfast(['import', fixture, '--store', 'file:./a.db'], { cwd });
    const there = await json(['copy', 'file:./a.db', url, '--verify'], { cwd });
    const back = await json(['copy', url, 'file:./b.db', '--verify'], { cwd });
    expect([there, back]).toMatchObject([{ mismatches: [] }, { mismatches: [] }]);
    // Sessions of one millisecond are listed in an order of each store's own.
    const exported = async (store: string) => {
      const { stdout } = await holdfast(['export'], { cwd, env: { HOLDFAST_STORE: store } });
      return stdout.split('\n').sort();
    };
    const original = await exported('file:./a.db');
    expect(original.length).toBeGreaterThan(5);
    expect(await exported('file:./b.db')).toEqual(original);
    expect(await exported(url)).toEqual(original);
  });

  it('is asked by doctor how it is', async (context) => {
    const url = await place(name, context);
    const cwd = folder();
    const before = await json<Diagnosis>(['doctor', '--store', url], { cwd });
    expect(before).toMatchObject({ ok: true });
    if (name === 'postgres')
      expect(before.checks.at(-1)!.message).toMatch(/migrations? will run at first use$/);
    await holdfast(['import', fixture, '--store', url], { cwd });
    const { ok, checks, versions } = await json<Diagnosis>(['doctor', '--store', url], { cwd });
    // The tests' Postgres does not flush to disk, and doctor says so.
    const warned = checks.filter(({ warning }) => warning).map(({ message }) => message);
    expect(warned).toEqual(name === 'postgres' ? [expect.stringMatching(/^the server has fsync off/)] : []);
    expect(ok).toBe(true);
    expect(checks.map(({ message }) => message)).toContainEqual(expect.stringMatching(/ answers \(.+\)$/));
    expect(Object.keys(versions)).toContain(name.replace('-cluster', ''));
  });
});

describe('holdfast migrate on Postgres', () => {
  it('shows the SQL, runs it, and has nothing to do then', async (context) => {
    const url = await place('postgres', context);
    const cwd = folder();
    const dry = await json<{ statements: string[] }>(['migrate', '--store', url, '--dry-run'], { cwd });
    expect(dry.statements.join()).toContain('CREATE TABLE');
    const { stdout } = await holdfast(['migrate', '--store', url], { cwd });
    expect(stdout).toMatch(/^\d+ migrations? run: the schema is up to date\n$/);
    expect((await holdfast(['migrate', '--store', url], { cwd })).stdout).toBe('nothing to do\n');
  });
});

describe('a store that is away', () => {
  it.each(['redis://user:hunter2@127.0.0.1:1', 'postgres://user:hunter2@127.0.0.1:1/db'])(
    'is told in a line, without the password: %s',
    async (url) => {
      const cwd = folder();
      const env = { HOLDFAST_STORE: url, HOLDFAST_TIMEOUT_MS: '500' };
      const doctor = await holdfast(['doctor'], { cwd, env });
      expect(doctor.stdout).toMatch(/✗ store +\S/);
      const sessions = await holdfast(['sessions'], { cwd, env });
      expect(sessions.stderr).toMatch(/^holdfast: .+\n/);
      expect([doctor.code, sessions.code]).toEqual([1, 1]);
      for (const { stdout, stderr } of [doctor, sessions]) expect(stdout + stderr).not.toContain('hunter2');
    },
  );

  it('is told to be away where its fallback has nothing of it', async () => {
    const cwd = folder();
    const env = {
      HOLDFAST_STORE: 'redis://user:hunter2@127.0.0.1:1',
      HOLDFAST_TIMEOUT_MS: '500',
      HOLDFAST_FALLBACK: 'file:./spool.db',
    };
    const { code, stderr } = await holdfast(['sessions'], { cwd, env });
    expect(stderr).toContain('the store is away');
    expect(stderr).not.toContain('hunter2');
    expect(code).toBe(1);
  });
});
