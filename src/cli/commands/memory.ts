import { type Command, InvalidArgumentError } from 'commander';
import type { Memory } from '../../core/model/memory.ts';
import { type Define, examples, type Runner, wholeNumber } from '../help.ts';
import type { Output } from '../output.ts';
import { clip, count, facts, safeLine, size, table, when } from '../text.ts';

interface Whose {
  user?: string;
  session?: string;
}

interface Listing extends Whose {
  tags?: string[];
  limit: number;
}

/** How wide a memory may be in the table; `--json` has it whole. */
const CONTENT_COLUMNS = 72;

export const memoryCommand: Define = (program, run) => {
  const memory = program
    .command('memory')
    .summary('list, search and tidy what is remembered')
    .description('Lists, searches and tidies what is remembered of users, and of the tenant as a whole.')
    .addHelpText(
      'after',
      examples([
        ['holdfast memory list --user mara', 'what is known of a user'],
        ['holdfast memory search "which bicycle" --user mara', 'what a search would find, and how well'],
        ['holdfast memory audit', 'what looks wrong'],
        ['holdfast memory cleanup --max-age-days 90 --dry-run', 'what nobody has needed for long'],
      ]),
    );
  listCommand(memory, run);
  searchCommand(memory, run);
  statsCommand(memory, run);
  auditCommand(memory, run);
  consolidateCommand(memory, run);
  cleanupCommand(memory, run);
};

function subcommand(memory: Command, name: string, what: string): Command {
  return memory
    .command(name)
    .summary(what)
    .description(`${what[0]!.toUpperCase()}${what.slice(1)}.`)
    .option('--user <id>', 'whose')
    .option('--session <id>', "whose: the session's user");
}

function listCommand(memory: Command, run: Runner): void {
  subcommand(memory, 'list', 'list memories, newest first; those of the tenant where nobody is named')
    .option('--tags <tags>', 'only with all of these, separated by commas', commaList)
    .option('--superseded', 'those that newer ones contradict')
    .option('--limit <n>', 'how many, 1 to 1000', wholeNumber, 50)
    .option('--after <cursor>', 'the page after: what the page before ended with')
    .action(
      run<Listing & { superseded?: boolean; after?: string }>((cli, _args, options) =>
        cli.withEngine(async ({ engine }) => {
          const { tags, limit, superseded, after } = options;
          const page = await engine.memory.list({ ...whose(options), tags, limit, superseded, after });
          if (cli.json) cli.out.json(page);
          else printMemories(cli.out, page.memories, page.next);
          return undefined;
        }),
      ),
    );
}

function searchCommand(memory: Command, run: Runner): void {
  subcommand(memory, 'search', 'find memories by what they say, the best first')
    .argument('<query>', 'a question, or words')
    .option('--tags <tags>', 'only with all of these, separated by commas', commaList)
    .option('--limit <n>', 'how many, 1 to 100', wholeNumber, 10)
    .action(
      run<Listing>((cli, [query], options) =>
        cli.withEngine(async ({ engine }) => {
          const { tags, limit } = options;
          // Whoever only looks does not need it: it must not be remembered longer for that.
          const found = await engine.memory.search(query!, { ...whose(options), tags, limit, use: false });
          if (cli.json) cli.out.json(found);
          else
            printMemories(
              cli.out,
              found.hits.map((hit) => hit.memory),
            );
          return undefined;
        }),
      ),
    );
}

function statsCommand(memory: Command, run: Runner): void {
  subcommand(memory, 'stats', 'count memories: of everybody where nobody is named').action(
    run<Whose>((cli, _args, options) =>
      cli.withEngine(async ({ engine }) => {
        const stats = await engine.memory.stats(whose(options));
        if (cli.json) cli.out.json(stats);
        else {
          const { byTier, byKind, oldestAt, lastConsolidatedAt } = stats;
          const kinds = Object.entries(byKind).map(([kind, number]) => `${count(number)} ${safeLine(kind)}`);
          const lines: [string, string][] = [
            [
              'memories',
              `${count(stats.count)} (${count(byTier.long)} long-term, ${count(byTier.medium)} medium-term)`,
            ],
            ['kinds', kinds.join(', ') || '–'],
            ['users', count(stats.users)],
            ['superseded', count(stats.superseded)],
            ['merged', `${count(stats.duplicatesMerged)} when they came, ${count(stats.consolidated)} later`],
            ['never used', count(stats.neverUsed)],
            ['size', size(stats.bytes)],
            ['oldest', oldestAt === undefined ? '–' : when(oldestAt)],
            ['consolidated', lastConsolidatedAt === undefined ? 'never' : when(lastConsolidatedAt)],
          ];
          for (const line of facts(lines)) cli.out.line(line);
        }
        return undefined;
      }),
    ),
  );
}

function auditCommand(memory: Command, run: Runner): void {
  subcommand(memory, 'audit', 'name memories that look wrong: of everybody where nobody is named').action(
    run<Whose>((cli, _args, options) =>
      cli.withEngine(async ({ engine }) => {
        const audit = await engine.memory.audit(whose(options));
        if (cli.json) cli.out.json(audit);
        else {
          cli.out.line(`Memories looked at: ${count(audit.examined)}`);
          printCounts(false, cli.out, audit.counts);
        }
        return undefined;
      }),
    ),
  );
}

function consolidateCommand(memory: Command, run: Runner): void {
  subcommand(memory, 'consolidate', 'merge what says the same, and supersede what is contradicted')
    .option('--dry-run', 'count only')
    .action(
      run<Whose & { dryRun?: boolean }>((cli, _args, options) =>
        cli.withEngine(async ({ engine }) => {
          const { dryRun } = options;
          const done = await engine.memory.consolidate({ ...whose(options), dryRun });
          printCounts(cli.json, cli.out, { ...done });
          return undefined;
        }),
      ),
    );
}

function cleanupCommand(memory: Command, run: Runner): void {
  subcommand(memory, 'cleanup', 'remove memories that have ended or faded')
    .option('--max-age-days <n>', 'and those that were not used for so long', wholeNumber)
    .option('--dry-run', 'count only')
    .action(
      run<Whose & { maxAgeDays?: number; dryRun?: boolean }>((cli, _args, options) =>
        cli.withEngine(async ({ engine }) => {
          const { maxAgeDays, dryRun } = options;
          const done = await engine.memory.cleanup({ ...whose(options), maxAgeDays, dryRun });
          printCounts(cli.json, cli.out, { ...done });
          return undefined;
        }),
      ),
    );
}

function whose({ user, session }: Whose): { userId: string | undefined; sessionId: string | undefined } {
  return { userId: user, sessionId: session };
}

function printMemories(out: Output, memories: readonly Memory[], next?: string): void {
  if (memories.length === 0) {
    out.line('No memories.');
    return;
  }
  const columns = [
    { head: 'ID' },
    { head: 'TIER' },
    { head: 'IMPORTANCE', right: true },
    { head: 'RETENTION', right: true },
    { head: 'CREATED' },
    { head: 'CONTENT' },
  ];
  const rows = memories.map(({ id, tier, importance, retention, createdAt, content }) => [
    id,
    tier,
    importance.toFixed(2),
    retention.toFixed(2),
    when(createdAt),
    clip(safeLine(content), CONTENT_COLUMNS),
  ]);
  const [head, ...lines] = table(columns, rows);
  out.line(out.style('bold', head!));
  for (const line of lines) out.line(line);
  if (next !== undefined) out.line(out.style('dim', `\nThere are more: --after ${next}`));
}

function printCounts(json: boolean, out: Output, counts: Record<string, number>): void {
  if (json) out.json(counts);
  else if (Object.keys(counts).length > 0)
    for (const line of facts(Object.entries(counts).map(([name, number]) => [name, count(number)])))
      out.line(line);
}

function commaList(text: string): string[] {
  const items = text.split(',').filter((item) => item !== '');
  if (items.length > 0) return items;
  throw new InvalidArgumentError('Expected words, separated by commas.');
}
