import { Option } from 'commander';
import type { Session, SessionStatus } from '../../core/model/session.ts';
import { type Define, examples, wholeNumber } from '../help.ts';
import type { Output } from '../output.ts';
import { clip, count, safeLine, table, when } from '../text.ts';

interface Options {
  user?: string;
  status?: SessionStatus;
  limit: number;
  after?: string;
}

/** How wide an id may be in the table; `show` and `--json` have it whole. */
const ID_COLUMNS = 48;

export const sessionsCommand: Define = (program, run) => {
  program
    .command('sessions')
    .summary('list sessions, newest first')
    .description('Lists sessions, newest first.')
    .option('--user <id>', "only this user's")
    .addOption(
      new Option('--status <status>', 'only those').choices(['active', 'completed', 'failed', 'expired']),
    )
    .option('--limit <n>', 'how many, 1 to 1000', wholeNumber, 50)
    .option('--after <cursor>', 'the page after: what the page before ended with')
    .addHelpText(
      'after',
      examples([
        ['holdfast sessions --user mara', 'what a user has talked about'],
        ['holdfast sessions --status failed --limit 10', 'the last ten that went wrong'],
        ["holdfast sessions --json | jq -r '.sessions[].id'", 'ids alone, for scripts'],
      ]),
    )
    .action(
      run<Options>((cli, _args, { user, status, limit, after }) =>
        cli.withEngine(async ({ engine }) => {
          const page = await engine.sessions.list({ userId: user, status, limit, after });
          if (cli.json) cli.out.json(page);
          else printSessions(cli.out, page);
          return undefined;
        }),
      ),
    );
};

function printSessions(out: Output, { sessions, next }: { sessions: Session[]; next?: string }): void {
  if (sessions.length === 0) {
    out.line('No sessions.');
    return;
  }
  const columns = [
    { head: 'ID' },
    { head: 'USER' },
    { head: 'STATUS' },
    { head: 'MESSAGES', right: true },
    { head: 'CREATED' },
    { head: 'LAST USED' },
  ];
  const rows = sessions.map((session) => [
    clip(safeLine(session.id), ID_COLUMNS),
    clip(safeLine(session.userId), ID_COLUMNS),
    session.status,
    count(session.messageCount),
    when(session.createdAt),
    when(session.lastActivityAt),
  ]);
  const [head, ...lines] = table(columns, rows);
  out.line(out.style('bold', head!));
  for (const line of lines) out.line(line);
  if (next !== undefined) out.line(out.style('dim', `\nThere are more: --after ${next}`));
}
