import type { Cli } from '../cli.ts';
import { exitCodes, failureOf } from '../failure.ts';
import { type Define, examples } from '../help.ts';
import { Progress } from '../progress.ts';
import { count, counted, safeLine, seconds } from '../text.ts';
import type { ImportSummary } from '../transfer/import.ts';

interface Options {
  user?: string;
}

/** So many conflicts are told to people; `--json` has them all. */
const MAX_CONFLICTS = 20;

export const importCommand: Define = (program, run) => {
  program
    .command('import')
    .argument(
      '<file...>',
      'JSONL with a conversation a line, OpenAI chat JSON, or a ChatGPT conversations.json',
    )
    .summary('bring conversations in from files')
    .description(
      'Brings conversations in from files, each as a session.\n\n' +
        'An import can be repeated: what is there already is not doubled, and one that was cut short goes on ' +
        'where it stopped. Nothing stored is ever changed: a conversation that differs from the stored one is ' +
        'told as a conflict, and the others go on. Ctrl-C finishes the conversations under way.',
    )
    .option('--user <id>', 'whose conversations these are, where the file does not say (default: unknown)')
    .addHelpText(
      'after',
      examples([
        ['holdfast import conversations.jsonl', 'a conversation a line'],
        ['holdfast import --user mara conversations.json', "a person's ChatGPT export"],
        [
          'holdfast import backup.jsonl --store file:./copy.db',
          'what `holdfast export` wrote, into another store',
        ],
      ]),
    )
    .action(run<Options>((cli, files, { user }) => importFiles(cli, files, user)));
};

async function importFiles(cli: Cli, files: readonly string[], userId: string | undefined): Promise<number> {
  const { Import } = await import('../transfer/import.ts');
  const progress = new Progress(cli.err, cli.json);
  const stopping = new AbortController();
  // Once only: a second Ctrl-C ends the process as usual.
  const stop = () => stopping.abort();
  process.once('SIGINT', stop);
  try {
    return await cli.withEngine(
      async ({ engine }) => {
        const work = new Import(engine, {
          userId,
          signal: stopping.signal,
          onProgress: (share, { sessions, messages }) =>
            progress.show(share, `${counted(sessions, 'session')}, ${counted(messages, 'message')}`),
        });
        const failure = await work.run(files).then(
          () => undefined,
          (error: unknown) => ({ error }),
        );
        progress.clear();
        return report(cli, work.summary, failure);
      },
      { create: true },
    );
  } finally {
    process.off('SIGINT', stop);
  }
}

/** What was imported is told also where the import failed: it is there. */
function report(cli: Cli, summary: ImportSummary, failure: { error: unknown } | undefined): number {
  if (cli.json) {
    const told = failure && failureOf(failure.error);
    cli.out.json({ ...(told && { error: told.error }), ...summary });
    return told?.exitCode ?? exitCodeOf(summary);
  }
  for (const line of summaryLines(cli, summary)) cli.out.line(line);
  if (failure) throw failure.error;
  for (const { id, file, line, reason } of summary.conflicts.slice(0, MAX_CONFLICTS)) {
    const place = line === undefined ? file : `${file}:${line}`;
    cli.err.line(
      `${cli.err.style('yellow', 'holdfast:')} ${place}: conflict: ${safeLine(id)}: ${safeLine(reason)}`,
    );
  }
  const more = summary.conflicts.length - MAX_CONFLICTS;
  if (more > 0) cli.err.line(`  and ${counted(more, 'more conflict')}; --json lists them all`);
  if (summary.interrupted) cli.err.line('holdfast: interrupted; the same command goes on from here');
  return exitCodeOf(summary);
}

function summaryLines({ out }: Cli, { sessions, messages, ...summary }: ImportSummary): string[] {
  const total = `${counted(sessions, 'session')}, ${counted(messages, 'message')}`;
  const conflicts = summary.conflicts.length;
  return [
    `${out.style('bold', total)} in ${seconds(summary.seconds)}`,
    `${count(summary.new)} new, ${count(summary.unchanged)} unchanged` +
      (conflicts > 0 ? `, ${out.style('yellow', counted(conflicts, 'conflict'))}` : ''),
  ];
}

function exitCodeOf({ interrupted, conflicts }: ImportSummary): number {
  if (interrupted) return exitCodes.interrupted;
  return conflicts.length > 0 ? exitCodes.failed : exitCodes.ok;
}
