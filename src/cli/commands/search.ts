import { InvalidArgumentError } from 'commander';
import type { MessageHit, MessageSearch } from '../../core/messages/search.ts';
import { type Define, examples, wholeNumber } from '../help.ts';
import type { Output } from '../output.ts';
import { renderMessage } from '../render-message.ts';
import { safeLine } from '../text.ts';

interface Options {
  session?: string;
  user?: string;
  channel?: string;
  limit: number;
  explain?: boolean;
}

export const searchCommand: Define = (program, run) => {
  program
    .command('search')
    .argument('<query>', 'a question, or words')
    .summary('search what was said in a session, or with a user')
    .description('Searches the messages of a session, or of all sessions of a user: the best first.')
    .option('--session <id>', 'in this session')
    .option('--user <id>', 'in all sessions of this user')
    .option('--channel <id>', 'in a channel in place of the conversation')
    .option('--limit <n>', 'how many, 1 to 1000', wholeNumber, 10)
    .option('--explain', 'show what each score is the sum of')
    .addHelpText(
      'after',
      examples([
        ['holdfast search "when did we move the deadline" --session ticket-1', 'in one session'],
        ['holdfast search "the refund" --user mara --limit 3', "in all of a user's"],
        ['holdfast search ERR_CONN_42 --user mara --explain', 'and why these'],
      ]),
    )
    .action(
      run<Options>((cli, [query], { session: sessionId, user: userId, channel, limit, explain }) =>
        cli.withEngine(async ({ engine }) => {
          if ((sessionId === undefined) === (userId === undefined))
            throw new InvalidArgumentError('Say where to search: --session ID or --user ID.');
          const found = await engine.messages.search(query!, { sessionId, userId, channel, limit });
          if (cli.json) cli.out.json(found);
          else print(cli.out, found, { explain, isOfUser: userId !== undefined });
          return undefined;
        }),
      ),
    );
};

function print(
  out: Output,
  { hits }: MessageSearch,
  { explain, isOfUser }: { explain: boolean | undefined; isOfUser: boolean },
): void {
  if (hits.length === 0) out.line('Nothing found.');
  for (const hit of hits) {
    if (isOfUser) out.line(out.style('bold', safeLine(hit.sessionId)));
    out.line(renderMessage(out, hit.message).trimEnd());
    if (explain) out.line(out.style('dim', `  ${explanation(hit)}`));
    out.line('');
  }
}

/** `7.3 = words 6.1 (bicycle 4.0, red 2.1) + speaker 1.2` */
function explanation({ score, why }: MessageHit): string {
  const { terms, ...parts } = why;
  const words = Object.entries(terms).map(([term, part]) => `${term} ${part.toFixed(1)}`);
  const [first = '', ...rest] = Object.entries(parts).map(([name, part]) => {
    const of = name === 'words' && words.length > 0 ? ` (${words.join(', ')})` : '';
    return `${part < 0 ? '-' : '+'} ${name} ${Math.abs(part).toFixed(1)}${of}`;
  });
  return [`${score.toFixed(1)} =`, first.replace(/^\+ /, ''), ...rest].join(' ');
}
