import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MessageSearch } from '../../src/core/messages/search.ts';
import { folder, holdfast, json } from './program.ts';

async function imported(): Promise<{ cwd: string }> {
  const cwd = folder();
  const chat = (id: string, ...texts: string[]) =>
    JSON.stringify({ id, userId: 'mara', messages: texts.map((content) => ({ role: 'user', content })) });
  const lines = [
    chat('garden', 'The roses need water.', 'A hedgehog came.'),
    chat('kitchen', 'The roses are cut.'),
  ];
  writeFileSync(join(cwd, 'chats.jsonl'), lines.join('\n'));
  await holdfast(['import', 'chats.jsonl'], { cwd });
  return { cwd };
}

describe('holdfast search', () => {
  it('shows the messages of a session that fit best, and why', async () => {
    const where = await imported();
    const { stdout } = await holdfast(
      ['search', 'hedgehog', '--session', 'garden', '--limit', '1', '--explain'],
      where,
    );
    expect(stdout).toContain('A hedgehog came.');
    expect(stdout).not.toContain('roses');
    expect(stdout).toMatch(/\d\.\d = words \d\.\d \(hedgehog \d\.\d\)/);
  });

  it('searches all sessions of a user, and names them', async () => {
    const { stdout } = await holdfast(['search', 'roses', '--user', 'mara'], await imported());
    expect(stdout).toContain('garden');
    expect(stdout).toContain('kitchen');
  });

  it('gives all as JSON', async () => {
    const found = await json<MessageSearch>(['search', 'roses', '--user', 'mara'], await imported());
    expect(found.index).toEqual({ complete: true, behind: 0 });
    expect(
      found.hits
        .map(({ message }) => message.content)
        .slice(0, 2)
        .sort(),
    ).toEqual(['The roses are cut.', 'The roses need water.']);
  });

  it('says what is missing where nobody says where to search, or twice', async () => {
    const where = await imported();
    for (const args of [[], ['--session', 'garden', '--user', 'mara']]) {
      const { stderr, code } = await holdfast(['search', 'roses', ...args], where);
      expect(stderr).toContain('Say where to search: --session ID or --user ID.');
      expect(code).toBe(2);
    }
  });

  it('says so where nothing is found', async () => {
    const { stdout } = await holdfast(['search', 'zeppelin', '--user', 'mara'], await imported());
    expect(stdout).toBe('Nothing found.\n');
  });
});
