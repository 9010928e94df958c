import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ContextWindow } from '../../src/core/model/window.ts';
import { ContextEngine } from '../../src/index.ts';
import { fixture, folder, holdfast, json } from './program.ts';

async function imported(): Promise<{ cwd: string }> {
  const cwd = folder();
  await holdfast(['import', fixture], { cwd });
  return { cwd };
}

/** A conversation that is too long for small windows. */
async function long(): Promise<{ cwd: string }> {
  const cwd = folder();
  const turns = Array.from({ length: 60 }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: i === 4 ? 'My cat is called Tiger.' : `Turn ${i}: ${'blah '.repeat(20)}`,
  }));
  const messages = [{ role: 'system', content: 'Be kind.' }, ...turns];
  writeFileSync(join(cwd, 'long.jsonl'), JSON.stringify({ id: 'long', userId: 'u', messages }));
  await holdfast(['import', 'long.jsonl'], { cwd });
  // A window waits half a second for what is to be indexed, a search as long as it takes.
  await holdfast(['search', 'cat', '--user', 'u'], { cwd });
  return { cwd };
}

describe('holdfast sessions', () => {
  it('lists sessions as an aligned table, newest first', async () => {
    const { stdout } = await holdfast(['sessions'], await imported());
    const rows = stdout.trimEnd().split('\n');
    expect(rows[0]).toMatch(/^ID +USER +STATUS +MESSAGES +CREATED +LAST USED$/);
    expect(rows).toHaveLength(7);
    expect(rows.at(-1)).toMatch(/^(plain|shared)-1 .* 2025-10-0\d/);
    const column = rows[0]!.indexOf('STATUS');
    for (const row of rows.slice(1)) expect(row.slice(column)).toMatch(/^(active|completed) /);
  });

  it('lists those of a user, of a status, and page by page', async () => {
    const where = await imported();
    const ids = async (...args: string[]) => {
      const page = await json<{ sessions: { id: string }[]; next?: string }>(['sessions', ...args], where);
      return { ids: page.sessions.map(({ id }) => id).sort(), next: page.next };
    };
    expect((await ids('--user', 'jon')).ids).toEqual(['ai-sdk-1', 'openai-1']);
    expect((await ids('--status', 'completed')).ids).toEqual(['shared-1']);
    const first = await ids('--limit', '4');
    const second = await ids('--limit', '4', '--after', first.next!);
    expect(new Set([...first.ids, ...second.ids]).size).toBe(6);
  });
});

describe('holdfast show', () => {
  it('shows a session, its state and channels, and its messages', async () => {
    const where = await imported();
    const shared = await holdfast(['show', 'shared-1'], where);
    expect(shared.stdout).toContain('state      {"plan":{"days":3,"stops":["Bern"]},"done":null}');
    expect(shared.stdout).toContain('channel    team (agent_to_agent: planner, booker)');
    const openai = await holdfast(['show', 'openai-1'], where);
    expect(openai.stdout).toContain('→ find({"part":12})');
    expect(openai.stdout).toContain('← find: {"state": "shipped"}');
    const channel = await holdfast(['show', 'shared-1', '--channel', 'team'], where);
    expect(channel.stdout).toContain('Book a room.');
  });

  it('prints nothing of a message that a terminal would obey', async () => {
    const { stdout } = await holdfast(['show', 'hostile/../1 %s'], await imported());
    expect(stdout).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(stdout).toContain('and red');
  });

  it('gives all of it as one JSON value', async () => {
    const shown = await json(['show', 'plain-1', '--limit', '2', '--before', '4'], await imported());
    expect(shown).toMatchObject({
      session: { id: 'plain-1', messageCount: 5 },
      state: {},
      channels: [],
      messages: [
        { seq: 2, id: 'q1' },
        { seq: 3, priority: 'high' },
      ],
    });
  });

  it.each([
    [['show', 'nobody'], 'session "nobody" does not exist'],
    [['show', 'shared-1', '--channel', 'none'], 'channel "none" does not exist'],
  ])('exits with 1 for what is not there: %j', async (args, message) => {
    const { code, stderr } = await holdfast(args, await imported());
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });
});

describe('holdfast window', () => {
  it('prints what fits the budget', async () => {
    const { code, stdout } = await holdfast(['window', 'long', '--max-tokens', '200'], await long());
    expect(stdout).toContain('Be kind.');
    expect(stdout).toContain('Turn 59');
    expect(stdout).not.toContain('Turn 5:');
    expect(code).toBe(0);
  });

  it('gives the whole window as JSON, within the budget, and as it was at an earlier message', async () => {
    const where = await long();
    const args = ['window', 'long', '--max-tokens', '300', '--reply-tokens', '100', '--at-seq', '31'];
    const window = await json<ContextWindow>(args, where);
    expect(window.tokens).toBeLessThanOrEqual(200);
    expect(window).toMatchObject({ atSeq: 31, budget: { maxTokens: 300, reply: 100, messages: 200 } });
    expect(window.messages.at(-1)?.seq).toBe(31);
  });

  it('explains what is in and why, and what was left out and why', async () => {
    const args = ['window', 'long', '--max-tokens', '400', '--query', 'name of the cat', '--explain'];
    const { stdout } = await holdfast(args, await long());
    expect(stdout).toMatch(/█+░* [\d,]+ of 400 tokens \(\d+ %\)/);
    expect(stdout).toMatch(/^SECTION +MESSAGES +TOKENS/m);
    expect(stdout).toMatch(/^ +1 +system +system +\d+ +system prompt +Be kind\.$/m);
    expect(stdout).toMatch(/^ +– +recalled +user +\d+ +about the query +\d messages?, told again:$/m);
    expect(stdout).toMatch(/^ +6 +recalled +user +My cat is called Tiger\.$/m);
    expect(stdout).toContain('looked for: name of the cat');
    expect(stdout).toMatch(/^ *61 +recent +assistant +\d+ +the newest +Turn 59/m);
    expect(stdout).toMatch(/^\d+ to \d+ +\d+ +\S.* +didn't fit the budget$/m);
  });

  it('shows memories that it recalls as well, and a long one on a line', async () => {
    const where = await long();
    const file = `file:${join(where.cwd, 'holdfast.db')}`;
    await using engine = await ContextEngine.open(file, { maintenanceIntervalMs: 0 });
    const content = `The cat of the user has a collar.\n${'It is green. '.repeat(40)}`;
    await engine.memory.add({ content, userId: 'u' });
    await engine.memory.search('collar', { userId: 'u', use: false });
    const args = ['window', 'long', '--max-tokens', '2000', '--query', 'the collar of the cat', '--explain'];
    const { stdout } = await holdfast(args, where);
    expect(stdout).toMatch(/ 1 memory(?: and \d messages?)?, told again:$/m);
    expect(stdout).toMatch(/^ +recalled +memory +The cat of the user has a collar\. It is green\. .*…$/m);
  });

  it('recalls nothing with --no-recall', async () => {
    const args = ['window', 'long', '--max-tokens', '400', '--query', 'name of the cat', '--no-recall'];
    const { stdout } = await holdfast(args, await long());
    expect(stdout).toContain('Turn 59');
    expect(stdout).not.toContain('Tiger');
  });

  it('prints messages that are ready to send with --as', async () => {
    const where = await imported();
    const args = ['window', 'openai-1', '--max-tokens', '4000', '--as', 'openai'];
    const { stdout } = await holdfast(args, where);
    const messages = JSON.parse(stdout) as { role: string }[];
    expect(messages[0]).toEqual({ role: 'developer', content: 'Answer briefly.' });
    expect(await json(args, where)).toMatchObject({ messages, budget: { maxTokens: 4000 } });
  });

  it('says with numbers why a window can not be built, and exits with 1', async () => {
    const { code, stderr } = await holdfast(['window', 'long', '--max-tokens', '10'], await long());
    expect(stderr).toMatch(/needs at least \d+ tokens \(system \d+.*\) but the budget leaves 10/);
    expect(code).toBe(1);
  });
});

describe('holdfast stats', () => {
  it('counts what is there and tells facts of the store', async () => {
    const where = await imported();
    const { stdout } = await holdfast(['stats'], where);
    expect(stdout).toMatch(/^sessions +6 \(5 active, 1 completed\)$/m);
    expect(stdout).toMatch(/^ {2}schema +\d+$/m);
    const stats = await json(['stats', '--tokens'], where);
    expect(stats).toMatchObject({ sessions: 6, users: 3, messages: 25, store: { name: 'sqlite' } });
    expect(stats.tokens).toBeGreaterThan(100);
  });

  it('keeps tenants apart', async () => {
    const where = await imported();
    expect(await json(['stats', '--tenant', 'other'], where)).toMatchObject({ sessions: 0, messages: 0 });
  });
});
