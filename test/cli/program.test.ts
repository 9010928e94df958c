import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fixture, folder, holdfast, json, start } from './program.ts';

const commands = ['serve', 'import', 'export', 'sessions', 'show', 'window', 'stats', 'doctor'];

describe('the program', () => {
  it('tells its version', async () => {
    const { code, stdout } = await holdfast(['--version'], { cwd: folder() });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(code).toBe(0);
  });

  it('explains itself when it is given nothing to do', async () => {
    const { code, stdout, stderr } = await holdfast([], { cwd: folder() });
    for (const command of commands) expect(stdout).toContain(`  ${command} `);
    expect(stdout).toContain('Exit codes:');
    expect([code, stderr]).toEqual([0, '']);
  });

  it.each(commands)('explains %s with examples and the options that all commands have', async (command) => {
    const { code, stdout } = await holdfast([command, '--help'], { cwd: folder() });
    expect(stdout).toContain('Examples:\n  ');
    expect(stdout).toContain('--store <url>');
    expect(code).toBe(0);
  });

  it.each([
    [['sesions'], "unknown command 'sesions'", 'Did you mean sessions?'],
    [['sessions', '--limt', '3'], "unknown option '--limt'", 'Did you mean --limit?'],
    [['sessions', '--limit', 'many'], "'many' is invalid", '--help'],
    [['sessions', '--limit', '0'], 'limit: must be at least 1', undefined],
    [['sessions', '--status', 'dead'], 'Allowed choices are active, completed, failed, expired', '--help'],
    [
      ['window', 'x'],
      '--max-tokens: is missing, and the setting maxTokens says nothing',
      '--max-tokens 4000',
    ],
    [['import'], "missing required argument 'file'", '--help'],
  ])('answers %j with one line that says what is wrong, and exit code 2', async (args, message, hint) => {
    const { code, stdout, stderr } = await holdfast(['--store', 'memory:', ...args], { cwd: folder() });
    const [first = '', second = ''] = stderr.split('\n');
    expect(first).toMatch(/^holdfast: /);
    expect(first).toContain(message);
    if (hint) expect(second).toContain(hint);
    expect([code, stdout]).toEqual([2, '']);
  });

  it('tells errors as one JSON value on standard output with --json, wherever that stands', async () => {
    const cwd = folder();
    for (const args of [
      ['--json', 'show', 'nobody', '--store', 'memory:'],
      ['show', 'nobody', '--store', 'memory:', '--json'],
    ]) {
      const { code, stdout, stderr } = await holdfast(args, { cwd });
      expect(JSON.parse(stdout)).toMatchObject({
        error: { code: 'not-found', message: 'session "nobody" does not exist' },
      });
      expect([code, stderr]).toEqual([1, '']);
    }
    const usage = await holdfast(['sessions', '--json', '--limt'], { cwd });
    expect(JSON.parse(usage.stdout)).toMatchObject({ error: { code: 'usage' } });
    expect([usage.code, usage.stderr]).toEqual([2, '']);
  });

  it.each([['sessions'], ['show', 'x'], ['window', 'x', '--max-tokens', '9'], ['stats'], ['export']])(
    '%s makes no store where there is none',
    async (...args) => {
      const cwd = folder();
      const { code, stderr } = await holdfast(args, { cwd });
      expect(stderr).toContain('the store "./holdfast.db" does not exist');
      expect(code).toBe(1);
      const { stdout } = await holdfast(['doctor'], { cwd });
      expect(stdout).toContain('is not there yet');
    },
  );

  it('ends quietly when its reader goes away', async () => {
    const cwd = folder();
    const messages = Array.from({ length: 5000 }, (_, i) => ({ role: 'user', content: `${i} `.repeat(50) }));
    writeFileSync(join(cwd, 'long.jsonl'), JSON.stringify({ id: 'long', userId: 'u', messages }));
    await holdfast(['import', 'long.jsonl'], { cwd });
    const child = start(['export'], { cwd });
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await child.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('prints colours only where it is asked to', async () => {
    const cwd = folder();
    await holdfast(['import', fixture], { cwd });
    const colour = '\u001b[';
    expect((await holdfast(['sessions'], { cwd })).stdout).not.toContain(colour);
    const forced = { cwd, env: { FORCE_COLOR: '1' } };
    expect((await holdfast(['sessions'], forced)).stdout).toContain(colour);
    expect((await holdfast(['sessions', '--no-color'], forced)).stdout).not.toContain(colour);
  });
});

describe('its settings', () => {
  it('come from options before the environment before the config file', async () => {
    const cwd = folder();
    writeFileSync(
      join(cwd, 'holdfast.config.json'),
      JSON.stringify({ tenant: 'file', port: 1, logLevel: 'warn' }),
    );
    const env = { HOLDFAST_TENANT: 'environment', HOLDFAST_PORT: '2' };
    const { settings } = await json<{ settings: Record<string, unknown> }>(['doctor', '--tenant', 'option'], {
      cwd,
      env,
    });
    expect(settings).toMatchObject({
      tenant: { value: 'option', source: { from: 'option', name: '--tenant' } },
      port: { value: 2, source: { from: 'environment', name: 'HOLDFAST_PORT' } },
      logLevel: { value: 'warn', source: { from: 'file', name: 'holdfast.config.json' } },
      host: { value: '127.0.0.1', source: { from: 'default' } },
    });
  });

  it('are read from the file that --config or HOLDFAST_CONFIG names, which has to be there', async () => {
    const cwd = folder();
    mkdirSync(join(cwd, 'etc'));
    writeFileSync(join(cwd, 'etc/a.json'), '{"store":"memory:"}');
    const byOption = await holdfast(['sessions', '--config', 'etc/a.json'], { cwd });
    const byEnvironment = await holdfast(['sessions'], { cwd, env: { HOLDFAST_CONFIG: 'etc/a.json' } });
    expect([byOption.stdout, byEnvironment.stdout]).toEqual(['No sessions.\n', 'No sessions.\n']);
    const missing = await holdfast(['sessions', '--config', 'etc/b.json'], { cwd });
    expect(missing.stderr).toBe('holdfast: bad configuration: etc/b.json: there is no such file\n');
    expect(missing.code).toBe(2);
  });

  it('are judged all at once, each problem with its place', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'holdfast.config.json'), '{"port":"x","durabilty":"full"}');
    const env = { HOLDFAST_PROT: '1', HOLDFAST_STORE: 'oracle://user:hunter2@db' };
    const { code, stdout, stderr } = await holdfast(['sessions'], { cwd, env });
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    for (const problem of [
      'holdfast.config.json: port: expected number, got string',
      'holdfast.config.json: durabilty: is unknown, did you mean durability?',
      'HOLDFAST_PROT: is unknown, did you mean HOLDFAST_PORT?',
      'HOLDFAST_STORE: no store is known for oracle:',
    ]) {
      expect(stderr).toContain(problem);
    }
    expect(stderr).not.toContain('hunter2');
    expect([code, stdout]).toEqual([2, '']);
  });

  it.each(['file:.', 'file:./sub'])('can not have the folder %s as the store', async (store) => {
    const cwd = folder();
    mkdirSync(join(cwd, 'sub'));
    for (const args of [['sessions'], ['import', fixture]]) {
      const { code, stdout, stderr } = await holdfast([...args, '--store', store], { cwd });
      const path = store.slice('file:'.length);
      expect(stderr).toMatch(/^holdfast: bad configuration: [^\n]+\n {2}Name a file, [^\n]+\n$/);
      expect(stderr).toContain(`store: ${path} is a folder, expected a file`);
      expect([code, stdout]).toEqual([2, '']);
    }
  });

  it('name the line on which the config file is broken', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'holdfast.config.json'), '{\n  "port": 1,\n}');
    const { code, stderr } = await holdfast(['sessions'], { cwd });
    expect(stderr).toContain('holdfast.config.json: line 3: is not JSON');
    expect(code).toBe(2);
  });
});
