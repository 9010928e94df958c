import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fixture, folder, holdfast, interrupted, json, lines } from './program.ts';

interface Line {
  id: string;
  messages: unknown[];
}

const conversation = (id: string, length: number, fields: object = {}) => ({
  id,
  userId: 'u',
  ...fields,
  messages: Array.from({ length }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: `${id}: ${i}`,
  })),
});

const write = (cwd: string, file: string, conversations: readonly object[]) =>
  writeFileSync(join(cwd, file), conversations.map((one) => `${JSON.stringify(one)}\n`).join(''));

/** Many small conversations, and one that takes several commits. */
const many = () => [
  ...Array.from({ length: 1500 }, (_, i) => conversation(`c${i}`, 20)),
  conversation('long', 25_000),
];

/** What has more is a store in which something is, but by far not all of those. */
const underWay = { file: 'holdfast.db', bytes: 1_500_000 };

async function expectAllThere(cwd: string, expected: readonly Line[]): Promise<void> {
  const { stdout } = await holdfast(['export'], { cwd });
  const stored = new Map(lines<Line>(stdout).map((line) => [line.id, line.messages]));
  expect(stored.size).toBe(expected.length);
  for (const { id, messages } of expected) expect(stored.get(id)).toEqual(messages);
}

describe('holdfast import', () => {
  it('says what it brought in, and that nothing is new the second time', async () => {
    const cwd = folder();
    const first = await holdfast(['import', fixture], { cwd });
    expect(first.stdout).toMatch(/^6 sessions, 27 messages in [\d.]+ s\n27 new, 0 unchanged\n$/);
    expect([first.code, first.stderr]).toEqual([0, '']);
    const second = await json(['import', fixture], { cwd });
    expect(second).toMatchObject({ sessions: 6, messages: 27, new: 0, unchanged: 27, conflicts: [] });
    expect(await json(['stats'], { cwd })).toMatchObject({ sessions: 6, users: 3, messages: 25 });
  });

  it("gives conversations the line's user, else --user's, else unknown", async () => {
    const cwd = folder();
    const nobody = { userId: undefined };
    write(cwd, 'a.jsonl', [conversation('a', 1), conversation('b', 1, nobody)]);
    write(cwd, 'b.jsonl', [conversation('c', 1, nobody)]);
    await holdfast(['import', 'a.jsonl', '--user', 'mara'], { cwd });
    await holdfast(['import', 'b.jsonl'], { cwd });
    const { sessions } = await json<{ sessions: { id: string; userId: string }[] }>(['sessions'], { cwd });
    const users = Object.fromEntries(sessions.map(({ id, userId }) => [id, userId]));
    expect(users).toEqual({ a: 'u', b: 'mara', c: 'unknown' });
  });

  it('completes a conversation that has grown, and leaves one alone that was continued', async () => {
    const cwd = folder();
    write(cwd, 'long.jsonl', [conversation('a', 6)]);
    write(cwd, 'short.jsonl', [conversation('a', 2)]);
    expect(await json(['import', 'short.jsonl'], { cwd })).toMatchObject({ new: 2 });
    expect(await json(['import', 'long.jsonl'], { cwd })).toMatchObject({ new: 4, unchanged: 2 });
    expect(await json(['import', 'short.jsonl'], { cwd })).toMatchObject({ new: 0, unchanged: 2 });
    await expectAllThere(cwd, [conversation('a', 6)]);
  });

  it('tells a conversation that differs as a conflict, imports the others, and exits with 1', async () => {
    const cwd = folder();
    write(cwd, 'a.jsonl', [conversation('a', 3), conversation('b', 3)]);
    const other = { ...conversation('a', 3), messages: [{ role: 'user', content: 'something else' }] };
    write(cwd, 'b.jsonl', [other, conversation('b', 3, { userId: 'thief' }), conversation('c', 3)]);
    await holdfast(['import', 'a.jsonl'], { cwd });
    const { code, stdout, stderr } = await holdfast(['import', 'b.jsonl'], { cwd });
    expect(stdout).toContain('3 new, 0 unchanged, 2 conflicts');
    expect(stderr).toContain('b.jsonl:1: conflict: a: the history differs');
    expect(stderr).toContain('b.jsonl:2: conflict: b: the stored session belongs to another user');
    expect(code).toBe(1);
    await expectAllThere(cwd, [conversation('a', 3), conversation('b', 3), conversation('c', 3)]);
  });

  describe('of conversations without ids', () => {
    const chat = (...contents: string[]) =>
      JSON.stringify([{ messages: contents.map((content) => ({ role: 'user', content })) }]);

    /** `d1/chat.json` and `d2/chat.json`, of which the second goes on like the first. */
    function twoFiles(): string {
      const cwd = folder();
      for (const name of ['d1', 'd2']) mkdirSync(join(cwd, name));
      writeFileSync(join(cwd, 'd1/chat.json'), chat('hello'));
      writeFileSync(join(cwd, 'd2/chat.json'), chat('hello', 'who else?'));
      return cwd;
    }

    it('does not take files of one name for one conversation, and names both', async () => {
      const cwd = twoFiles();
      write(cwd, 'other.jsonl', [conversation('a', 2)]);
      const { code, stdout, stderr } = await holdfast(
        ['import', 'd1/chat.json', 'd2/chat.json', 'other.jsonl'],
        { cwd },
      );
      expect(stdout).toContain('3 new, 0 unchanged, 1 conflict');
      const [first, second] = ['d1', 'd2'].map((name) => join(realpathSync(cwd), name, 'chat.json'));
      expect(stderr).toContain(
        `d2/chat.json: conflict: chat#1: the stored session came from ${first}, this conversation from ${second}; ` +
          'rename the file or give its conversations ids',
      );
      expect(code).toBe(1);
      const { session } = await json<{ session: object }>(['show', 'chat#1'], { cwd });
      expect(session).toMatchObject({ messageCount: 1, metadata: { importedFrom: first } });
    });

    it('completes them when their own file has grown', async () => {
      const cwd = twoFiles();
      await holdfast(['import', 'd1/chat.json'], { cwd });
      writeFileSync(join(cwd, 'd1/chat.json'), chat('hello', 'and?'));
      expect(await json(['import', './d1/../d1/chat.json'], { cwd })).toMatchObject({ new: 1, unchanged: 1 });
    });

    it('does not continue a session that came from no file', async () => {
      const cwd = twoFiles();
      write(cwd, 'own.jsonl', [{ id: 'chat#1', messages: [{ role: 'user', content: 'hello' }] }]);
      await holdfast(['import', 'own.jsonl'], { cwd });
      const { stderr } = await holdfast(['import', 'd1/chat.json'], { cwd });
      expect(stderr).toContain(
        'conflict: chat#1: the stored session came from no file, this conversation from ',
      );
    });

    it('restores them from an export, and goes on from their file there', async () => {
      const cwd = twoFiles();
      const other = ['--store', 'file:./other.db'];
      await holdfast(['import', 'd1/chat.json'], { cwd });
      await holdfast(['export', '--output', 'backup.jsonl'], { cwd });
      for (const store of [[], other]) {
        expect(await json(['import', 'backup.jsonl', ...store], { cwd })).toMatchObject({ conflicts: [] });
        expect(await json(['import', 'd1/chat.json', ...store], { cwd })).toMatchObject({ unchanged: 1 });
        expect(await json(['import', 'd2/chat.json', ...store], { cwd })).toMatchObject({ conflicts: [{}] });
      }
      const { stdout } = await holdfast(['export', ...other], { cwd });
      expect(stdout).toBe(readFileSync(join(cwd, 'backup.jsonl'), 'utf8'));
    });

    it('tells exports of two stores apart by the files that their sessions came from', async () => {
      const cwd = twoFiles();
      for (const name of ['d1', 'd2']) {
        await holdfast(['import', `${name}/chat.json`, '--store', `file:./${name}.db`], { cwd });
        await holdfast(['export', '--store', `file:./${name}.db`, '-o', `${name}.jsonl`], { cwd });
      }
      const summary = await json(['import', 'd1.jsonl', 'd2.jsonl'], { cwd });
      expect(summary).toMatchObject({ new: 1, conflicts: [{ id: 'chat#1', file: 'd2.jsonl' }] });
    });
  });

  it('imports two conversations of one id in their order', async () => {
    const cwd = folder();
    write(cwd, 'a.jsonl', [conversation('a', 2), conversation('a', 4), conversation('a', 3)]);
    expect(await json(['import', 'a.jsonl'], { cwd })).toMatchObject({ new: 4, unchanged: 5, conflicts: [] });
    await expectAllThere(cwd, [conversation('a', 4)]);
  });

  it.each([
    ['{"id":"c","messages":[', /a\.jsonl:3: is cut off/],
    ['{"id":"c","messages":[}\n', /a\.jsonl:3:\d+: is not JSON/],
    ['{"id":"c","messages":[{"role":"pope","content":"x"}]}', /a\.jsonl:3: messages\[0\]\.role: /],
    ['{"id":"c","messages":{}}', /a\.jsonl:3: messages: /],
    [
      '{"id":"c","messages":[{"id":"x","role":"user","content":""},{"id":"x","role":"user","content":""}]}',
      /a\.jsonl:3: messages\[1\]\.id: is that of messages\[0\] already/,
    ],
    [
      `{"id":"c","messages":[{"role":"user","content":"${'x'.repeat(5_000_000)}"}]}`,
      /a\.jsonl:3: messages\[0\]: has 5\d+ bytes, the limit is 4194304/,
    ],
    [
      '{"id":"c","messages":[],"holdfast":{"channels":[{"id":"k","type":"user_to_mc","participants":[],"createdAt":1,"messages":[]}]}}',
      /a\.jsonl:3: participants: /,
    ],
  ])('keeps the lines before a broken one and names its place: %.40s', async (broken, message) => {
    const cwd = folder();
    write(cwd, 'a.jsonl', [conversation('a', 2), conversation('b', 2)]);
    writeFileSync(join(cwd, 'a.jsonl'), broken, { flag: 'a' });
    const { code, stdout, stderr } = await holdfast(['import', 'a.jsonl'], { cwd });
    expect(stderr).toMatch(/^holdfast: /);
    expect(stderr).toMatch(message);
    expect(stdout).toContain('2 sessions, 4 messages');
    expect(code).toBe(2);
    await expectAllThere(cwd, [conversation('a', 2), conversation('b', 2)]);
    const again = await json<{ error: { code: string } }>(['import', 'a.jsonl'], { cwd });
    expect(again).toMatchObject({ error: { code: 'import' }, sessions: 2, new: 0, unchanged: 4 });
  });

  it('says so when there is no such file, and makes no sessions of the others', async () => {
    const cwd = folder();
    const { code, stderr } = await holdfast(['import', fixture, 'nowhere.jsonl'], { cwd });
    expect(stderr).toContain('nowhere.jsonl: there is no such file');
    expect(code).toBe(2);
    expect(await json(['stats'], { cwd })).toMatchObject({ sessions: 0 });
  });

  it('goes on where a killed import stopped, and nothing is doubled or missing', async () => {
    const cwd = folder();
    const all = many();
    write(cwd, 'many.jsonl', all);
    const { stdout } = await interrupted(['import', 'many.jsonl'], { cwd, ...underWay, signal: 'SIGKILL' });
    expect(stdout).toBe('');
    const { new: added, messages } = await json<{ new: number; messages: number }>(['import', 'many.jsonl'], {
      cwd,
    });
    expect(messages).toBe(55_000);
    expect(added).toBeLessThan(messages);
    expect(added).toBeGreaterThan(0);
    await expectAllThere(cwd, all);
  });

  it('stops at Ctrl-C with whole conversations, and goes on from there the next time', async () => {
    const cwd = folder();
    const all = many();
    write(cwd, 'many.jsonl', all);
    const how = { cwd, ...underWay, signal: 'SIGINT' } as const;
    const { code, stdout, stderr } = await interrupted(['import', 'many.jsonl'], how);
    expect(code).toBe(130);
    expect(stdout).toMatch(/^[\d,]+ sessions, /);
    expect(stderr).toBe('holdfast: interrupted; the same command goes on from here\n');
    const exported = lines<Line>((await holdfast(['export'], { cwd })).stdout);
    expect(exported.length).toBeLessThan(all.length);
    for (const { messages } of exported) expect(messages).toHaveLength(20);
    expect((await holdfast(['import', 'many.jsonl'], { cwd })).code).toBe(0);
    await expectAllThere(cwd, all);
  });

  it('lets two processes import one file at the same time', async () => {
    const cwd = folder();
    const all = Array.from({ length: 300 }, (_, i) => conversation(`c${i}`, 10));
    write(cwd, 'a.jsonl', all);
    const where = { cwd, env: { HOLDFAST_LOCK_TIMEOUT_MS: '60000' } };
    const runs = await Promise.all([1, 2].map(() => json<{ new: number }>(['import', 'a.jsonl'], where)));
    expect(runs.reduce((sum, run) => sum + run.new, 0)).toBe(3000);
    await expectAllThere(cwd, all);
  });
});
