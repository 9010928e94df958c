import { Option } from 'commander';
import type { ContextEngine } from '../../core/engine.ts';
import type { Session } from '../../core/model/session.ts';
import type { Cli, Opened } from '../cli.ts';
import { type Define, examples } from '../help.ts';
import { OutputFile } from '../output-file.ts';
import { Progress } from '../progress.ts';
import { counted } from '../text.ts';
import type { ExportFormat } from '../transfer/export.ts';

interface Options {
  output?: string;
  format: ExportFormat;
}

/** Small pieces are written together. */
const WRITE_CHARACTERS = 64 * 1024;

export const exportCommand: Define = (program, run) => {
  program
    .command('export')
    .argument('[id...]', 'the sessions; all of them where none is named')
    .summary('write sessions as JSON lines')
    .description(
      'Writes sessions as JSON lines, a conversation a line, with every message in the shape in which it was ' +
        'given. `holdfast import` restores them, state and channels included: an export is a backup.',
    )
    .option('-o, --output <file>', 'write to a file; it appears, or is replaced, when all is written')
    .addOption(
      new Option('--format <format>', 'openai: chats with the fields that OpenAI knows, and nothing else')
        .choices(['holdfast', 'openai'])
        .default('holdfast'),
    )
    .addHelpText(
      'after',
      examples([
        ['holdfast export --output backup.jsonl', 'everything'],
        ['holdfast export ticket-1 | jq .messages', 'one conversation'],
        ['holdfast export --format openai > training.jsonl', 'for a fine-tuning job'],
      ]),
    )
    .action(
      run<Options>((cli, ids, options) =>
        cli.withEngine(async (opened) => {
          await exportSessions(cli, opened, ids, options);
          return undefined;
        }),
      ),
    );
};

async function exportSessions(
  cli: Cli,
  opened: Opened,
  ids: readonly string[],
  options: Options,
): Promise<void> {
  const { Export } = await import('../transfer/export.ts');
  const { engine } = opened;
  // Every id is looked up before anything is written.
  const named = ids.length > 0 ? await Promise.all(ids.map((id) => engine.sessions.get(id))) : undefined;
  const work = new Export(opened, options.format);
  const file = options.output === undefined ? undefined : await OutputFile.open(options.output);
  // Lines on a terminal are progress enough.
  const progress = new Progress(cli.err, cli.json || (!file && cli.out.isTerminal));
  const target = file ?? cli.out;
  let pending = '';
  try {
    for await (const session of named ?? allSessions(engine)) {
      for await (const text of work.line(session)) {
        pending += text;
        if (pending.length < WRITE_CHARACTERS) continue;
        await target.write(pending);
        pending = '';
      }
      progress.count(`${counted(work.sessions, 'session')}, ${counted(work.messages, 'message')}`);
    }
    await target.write(pending);
    await file?.finish();
  } catch (error) {
    await file?.discard();
    throw error;
  } finally {
    progress.clear();
  }
  if (!file) return;
  const { sessions, messages } = work;
  if (cli.json) cli.out.json({ file: file.path, sessions, messages });
  else cli.out.line(`${counted(sessions, 'session')}, ${counted(messages, 'message')} in ${file.path}`);
}

async function* allSessions(engine: ContextEngine): AsyncGenerator<Session> {
  let after: string | undefined;
  do {
    const page = await engine.sessions.list({ limit: 200, after });
    yield* page.sessions;
    after = page.next;
  } while (after !== undefined);
}
