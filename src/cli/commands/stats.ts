import type { ContextEngine } from '../../core/engine.ts';
import type { SessionStatus } from '../../core/model/session.ts';
import type { Cli } from '../cli.ts';
import { type Define, examples } from '../help.ts';
import { Progress } from '../progress.ts';
import { count, facts, size, when } from '../text.ts';

interface Options {
  tokens?: boolean;
}

interface Stats {
  sessions: number;
  statuses: Partial<Record<SessionStatus, number>>;
  users: number;
  /** Those of conversations; channels have their own. */
  messages: number;
  /** Counted by the default tokenizer; only where asked for. */
  tokens?: number;
  /** Epoch milliseconds; absent in an empty store. */
  oldestSessionAt?: number;
  lastActivityAt?: number;
}

export const statsCommand: Define = (program, run) => {
  program
    .command('stats')
    .summary('count what the store holds')
    .description('Counts what the store holds: sessions, users, messages, and facts of the store itself.')
    .option('--tokens', 'count the tokens of all messages too; the first time takes a while')
    .addHelpText(
      'after',
      examples([
        ['holdfast stats', 'what is in the store'],
        ['holdfast stats --tokens --json', 'with tokens, for scripts'],
      ]),
    )
    .action(
      run<Options>((cli, _args, options) =>
        cli.withEngine(async ({ engine }) => {
          const [stats, store] = [
            await gather(cli, engine, options.tokens ?? false),
            await engine.storeHealth(),
          ];
          if (cli.json) cli.out.json({ ...stats, store: { name: store.name, ...store.facts } });
          else for (const line of facts(lines(stats, store))) cli.out.line(line);
          return undefined;
        }),
      ),
    );
};

async function gather(cli: Cli, engine: ContextEngine, withTokens: boolean): Promise<Stats> {
  const progress = new Progress(cli.err, cli.json);
  const stats: Stats = { sessions: 0, statuses: {}, users: 0, messages: 0 };
  const users = new Set<string>();
  let after: string | undefined;
  do {
    const page = await engine.sessions.list({ limit: 500, after });
    for (const { id, userId, status, messageCount, createdAt, lastActivityAt } of page.sessions) {
      users.add(userId);
      stats.sessions++;
      stats.statuses[status] = (stats.statuses[status] ?? 0) + 1;
      stats.messages += messageCount;
      stats.oldestSessionAt = Math.min(stats.oldestSessionAt ?? createdAt, createdAt);
      stats.lastActivityAt = Math.max(stats.lastActivityAt ?? 0, lastActivityAt);
      if (withTokens) stats.tokens = (stats.tokens ?? 0) + (await tokensOf(engine, id));
      progress.count(`${count(stats.sessions)} sessions, ${count(stats.messages)} messages`);
    }
    after = page.next;
  } while (after !== undefined);
  progress.clear();
  if (withTokens) stats.tokens ??= 0;
  return { ...stats, users: users.size };
}

async function tokensOf(engine: ContextEngine, sessionId: string): Promise<number> {
  let tokens = 0;
  for (let after = 0; ; ) {
    const messages = await engine.messages.list(sessionId, { after, limit: 1000 });
    tokens += messages.reduce((sum, message) => sum + (message.tokens ?? 0), 0);
    if (messages.length < 1000) return tokens;
    after = messages.at(-1)!.seq;
  }
}

function lines(
  stats: Stats,
  store: { name: string; facts: Readonly<Record<string, string | number | boolean>> },
): [string, string][] {
  const statuses = Object.entries(stats.statuses).map(([status, number]) => `${count(number)} ${status}`);
  const { tokens, oldestSessionAt, lastActivityAt } = stats;
  return [
    ['sessions', count(stats.sessions) + (statuses.length > 0 ? ` (${statuses.join(', ')})` : '')],
    ['users', count(stats.users)],
    ['messages', count(stats.messages)],
    ...(tokens === undefined ? [] : ([['tokens', count(tokens)]] satisfies [string, string][])),
    ...(oldestSessionAt === undefined ? [] : [['oldest session', when(oldestSessionAt)] as [string, string]]),
    ...(lastActivityAt === undefined ? [] : [['last used', when(lastActivityAt)] as [string, string]]),
    ['store', store.name],
    ...Object.entries(store.facts).map(([name, value]): [string, string] => [
      `  ${name === 'sizeBytes' ? 'size' : name}`,
      name === 'sizeBytes' ? size(Number(value)) : String(value),
    ]),
  ];
}
