import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConversations, toMessage } from '../../bench/harness/conversations.ts';
import { judge, table, withoutCredentials } from '../../bench/harness/report.ts';
import { interleave, median } from '../../bench/harness/rounds.ts';
import type { Report } from '../../bench/harness/types.ts';

const harness = join(import.meta.dirname, '../../bench/harness');
let folder: string;

const benches = {
  passing: `{
    summary: 'meets its targets',
    store: 'redis://user:secret@127.0.0.1/1',
    options: [{ flags: '--rounds <count>', description: 'rounds', default: 3, parse: positiveInteger }],
    run: async ({ options }) => [
      { case: 'fast', value: options.rounds, unit: 'rounds' },
      { case: 'ratio', value: 8, unit: 'ms', baseline: 4, target: { atMost: 2 } },
    ],
  }`,
  missing: `{
    summary: 'misses a target',
    run: async () => [{ case: 'slow', value: 1, unit: 'x/s', baseline: 4, target: { atLeast: 0.5 } }],
  }`,
  failing: `{
    summary: 'throws',
    run: async (context) => {
      console.error(await context.temporaryFolder());
      throw new RangeError('no such thing');
    },
  }`,
  reading: `{
    summary: 'reads conversations',
    run: async (context) => [
      { case: 'found', value: (await readConversations(context)).flatMap((one) => one.questions).length, unit: 'questions' },
    ],
  }`,
  endless: `{
    summary: 'runs until it is stopped',
    run: async (context) => {
      console.log(await context.temporaryFolder());
      await new Promise((resolve) => setInterval(resolve, 2 ** 30));
      return [];
    },
  }`,
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-harness-'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const options = pathToFileURL(join(harness, 'options.ts'));
  const conversations = pathToFileURL(join(harness, 'conversations.ts'));
  for (const [name, body] of Object.entries(benches)) {
    const code = `import { positiveInteger } from '${options}';
      import { readConversations } from '${conversations}';
      void [positiveInteger, readConversations];\n`;
    writeFileSync(join(folder, `${name}.ts`), `${code}export default { name: '${name}', ...${body} };\n`);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The command line in a process of its own, with the benches above. */
function start(...argv: string[]): ChildProcess {
  const main = pathToFileURL(join(harness, 'main.ts'));
  const code = `import { main } from '${main}';
    process.exitCode = await main('bench', ${JSON.stringify(argv)}, ${JSON.stringify(folder)});`;
  return spawn(process.execPath, ['--input-type=module', '--eval', code]);
}

async function bench(...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = start(...argv);
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'close'),
  ]);
  return { status, stdout, stderr };
}

describe('the command line', () => {
  test('lists every name with its line', async () => {
    const { status, stdout } = await bench('list');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}missing {2}misses a target$/m);
    expect(stdout).toMatch(/^ {2}passing {2}meets its targets$/m);
  });

  test('prints one JSON object and nothing else', async () => {
    const { status, stdout, stderr } = await bench('passing', '--json', '--rounds', '7');
    const report: Report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(['name', 'rows', 'store', 'versions', 'machine', 'durationMs']);
    expect(report.rows).toEqual([
      { case: 'fast', value: 7, unit: 'rounds' },
      { case: 'ratio', value: 8, unit: 'ms', baseline: 4, ratio: 2, target: { atMost: 2 }, ok: true },
    ]);
    expect(report.store).toBe('redis://127.0.0.1/1');
    expect([status, stderr]).toEqual([0, '']);
  });

  test('marks a missed target and exits with 1', async () => {
    const { status, stdout } = await bench('missing');
    expect(status).toBe(1);
    expect(stdout).toMatch(/slow +1 x\/s +4 +0\.25 × +≥ 0\.5 +✗ missed/);
    expect(stdout).toContain('1 of 1 targets missed');
  });

  test('answers an unknown name with the nearest one and exits with 2', async () => {
    const { status, stdout, stderr } = await bench('pasing');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Did you mean passing?');
  });

  test.for([['--rouns', '3'], ['--rounds', 'many'], ['extra']])(
    'refuses %j and exits with 2',
    async (argv) => {
      const { status, stdout, stderr } = await bench('passing', ...argv);
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^error: /);
    },
  );

  test('says what a bench needs when it is not given, and exits with 2', async () => {
    const { status, stdout, stderr } = await bench('reading', '--json');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: This needs conversations: --data FILE/);
  });

  test.for([
    ['nowhere.json', undefined, "can't be read: ENOENT"],
    ['broken.json', '{', 'root'],
    ['undated.json', JSON.stringify([conversation({ date: 'in May' })]), '0.sessions.0.date'],
  ] as const)('refuses %s as conversations, says why and exits with 2', async ([name, content, why]) => {
    const path = join(folder, name);
    if (content !== undefined) writeFileSync(path, content);
    const { status, stdout, stderr } = await bench('reading', '--data', path);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: --data .*\n$/);
    expect(stderr).toContain(why);
  });

  test('gives a bench the conversations of the file', async () => {
    const path = join(folder, 'conversations.json');
    writeFileSync(path, JSON.stringify([conversation({})]));
    const { status, stdout } = await bench('reading', '--data', path, '--json');
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as Report).rows).toEqual([{ case: 'found', value: 1, unit: 'questions' }]);
  });

  test('removes temporary folders after an error', async () => {
    const { status, stderr } = await bench('failing');
    expect(status).toBe(1);
    expect(stderr).toContain('no such thing');
    expect(existsSync(stderr.split('\n')[0]!)).toBe(false);
  });

  test('removes temporary folders on Ctrl-C', async () => {
    const child = start('endless');
    const [chunk] = await once(child.stdout!, 'data');
    const temporary = String(chunk).trim();
    expect(existsSync(temporary)).toBe(true);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(existsSync(temporary)).toBe(false);
  });
});

const day = {
  n: 1,
  date: '12:05 am on 3 March, 2024',
  turns: [
    { id: 'D1:1', speaker: 'Ada', text: 'I planted a pear tree.', caption: 'a small tree', imgQuery: null },
    { id: 'D1:2', speaker: 'Ben', text: 'When will it bear fruit?', caption: null, imgQuery: null },
  ],
};

/** A conversation as `--data` takes it, with a sitting that differs as said. */
function conversation(sitting: Partial<typeof day>): object {
  const qa = [
    { i: 0, q: 'What did Ada plant?', a: 'a pear tree', cat: 4, ev: ['D1:1', 'D1:1', 'D9:9'] },
    { i: 1, q: 'How many trees are there?', a: 1, cat: 5, ev: ['D9:9'] },
  ];
  return { id: 'pears', speakers: ['Ada', 'Ben'], sessions: [{ ...day, ...sitting }], qa };
}

describe('the conversations of --data', () => {
  test('are turns with their times and pictures, and questions whose evidence is there', async () => {
    const path = join(folder, 'pears.json');
    writeFileSync(path, JSON.stringify([conversation({})]));
    const [pears] = await readConversations({ data: path });
    const midnight = Date.UTC(2024, 2, 3, 0, 5);
    expect(pears!.turns.map(({ createdAt }) => createdAt - midnight)).toEqual([0, 20_000]);
    expect(pears!.questions).toEqual([
      { text: 'What did Ada plant?', answer: 'a pear tree', category: 4, evidence: ['D1:1'] },
    ]);
    expect(toMessage(pears!, pears!.turns[0]!)).toEqual({
      role: 'user',
      name: 'Ada',
      content: 'I planted a pear tree.',
      createdAt: midnight,
      metadata: { turn: 'D1:1', caption: 'a small tree' },
    });
  });
});

describe('interleaved rounds', () => {
  test('runs the cases in turn, backwards every other round, and forgets the warm-up', async () => {
    const ran: string[] = [];
    const slow = { name: 'slow', run: () => ran.push('slow') };
    const floor = { name: 'floor', run: () => ran.push('floor') };
    const rounds = await interleave([slow, floor]);
    expect(ran.join(' ')).toBe('slow floor floor slow slow floor floor slow');
    expect(rounds.figures('slow')).toEqual([4, 5, 8]);
    expect(rounds.figures('floor')).toEqual([3, 6, 7]);
  });

  test('compares figures of the same round', async () => {
    const series = (figures: number[]) => () => figures.shift()!;
    const cases = [
      { name: 'ours', run: series([0, 10, 50, 90]) },
      { name: 'floor', run: series([0, 20, 200, 100]) },
    ];
    const rounds = await interleave(cases);
    expect(rounds.ratios('ours', 'floor')).toEqual([0.5, 0.25, 0.9]);
    expect(rounds.row('ours', 'x/s', 'floor', { atLeast: 0.5 })).toEqual({
      case: 'ours',
      value: 50,
      unit: 'x/s',
      baseline: 100,
      ratio: 0.5,
      target: { atLeast: 0.5 },
    });
  });

  test('refuses fewer than three rounds', async () => {
    await expect(interleave([], { rounds: 2 })).rejects.toThrow('at least three rounds');
  });

  test('takes the mean of the middle two as the median of an even count', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('the report', () => {
  test.for([
    [{ atLeast: 2 }, true],
    [{ atLeast: 2.1 }, false],
    [{ atMost: 2 }, true],
    [{ atMost: 1.9 }, false],
  ] as const)('judges a ratio of 2 against %j as %s', ([target, ok]) => {
    expect(judge({ case: 'a', value: 4, unit: 'ms', baseline: 2, target }).ok).toBe(ok);
  });

  test('judges the value where there is no baseline', () => {
    expect(judge({ case: 'lost', value: 0, unit: 'messages', target: { atMost: 0 } }).ok).toBe(true);
    expect(judge({ case: 'lost', value: 1, unit: 'messages', target: { atMost: 0 } }).ok).toBe(false);
  });

  test('judges the value beside a baseline where the target is of the value', () => {
    const row = { case: 'found', value: 0.7, unit: 'share', baseline: 0.5 };
    const judged = judge({ ...row, target: { atLeast: 0.8, of: 'value' } });
    expect(judged).toMatchObject({ ratio: 1.4, ok: false });
    const machine = { cpu: 'cpu', cores: 2, memoryBytes: 1, os: 'linux' };
    const report = { name: 'search', rows: [judged], store: null, versions: {}, machine, durationMs: 1 };
    expect(table(report)).toMatch(/found +0\.7 share +0\.5 +1\.4 × +value ≥ 0\.8 +✗ missed/);
  });

  test('leaves out the columns that no row fills', () => {
    const machine = { cpu: 'cpu', cores: 2, memoryBytes: 1, os: 'linux' };
    const rows = [{ case: 'plain', value: 1234567, unit: 'x/s' }];
    const shown = table({ name: 'plain', rows, store: null, versions: {}, machine, durationMs: 1 });
    expect(shown).toContain('plain  1,234,567 x/s\n');
    expect(shown).not.toContain('baseline');
  });

  test('never shows the credentials of a store', () => {
    expect(withoutCredentials('postgres://me:secret@h:5432/db')).toBe('postgres://h:5432/db');
    expect(withoutCredentials('file:./agent.db')).toBe('file:./agent.db');
  });
});
