/** The composition root: the commands, what they share, and how each run ends. */
import { Command, CommanderError } from 'commander';
import { Cli, type GlobalOptions } from './cli.ts';
import { compactCommand, compactionsCommand } from './commands/compact.ts';
import { copyCommand } from './commands/copy.ts';
import { doctorCommand } from './commands/doctor.ts';
import { exportCommand } from './commands/export.ts';
import { importCommand } from './commands/import.ts';
import { memoryCommand } from './commands/memory.ts';
import { migrateCommand } from './commands/migrate.ts';
import { monitorCommand } from './commands/monitor.ts';
import { searchCommand } from './commands/search.ts';
import { serveCommand } from './commands/serve.ts';
import { sessionsCommand } from './commands/sessions.ts';
import { showCommand } from './commands/show.ts';
import { statsCommand } from './commands/stats.ts';
import { tasksCommand } from './commands/tasks.ts';
import { windowCommand } from './commands/window.ts';
import { exitCodes, failureOf } from './failure.ts';
import { examples, type Runner, type Work } from './help.ts';
import { Output } from './output.ts';
import { version } from './version.ts';

/** Runs the program. @returns the exit code; what is shown has been written by then */
export async function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const runner: Runner =
    <Options>(work: Work<Options>) =>
    async (...given: unknown[]) => {
      const command = given.at(-1) as Command;
      const cli = new Cli(command.optsWithGlobals<GlobalOptions>(), env);
      exitCode = (await work(cli, command.args, command.opts() as Options)) ?? exitCodes.ok;
    };
  let help = '';
  try {
    // Without a word, the program explains itself.
    await buildProgram(runner, (text) => {
      help += text;
    }).parseAsync(args.length > 0 ? args : ['--help'], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    // So does a command that has others below it.
    if (error instanceof CommanderError && error.code === 'commander.help') {
      process.stdout.write(help);
      return exitCodes.ok;
    }
    return tell(error, args);
  }
}

/** @param writeErr is given what Commander would say of errors, which is said otherwise here */
function buildProgram(runner: Runner, writeErr: (text: string) => void): Command {
  const program = new Command('holdfast')
    .description(
      'The context engine for AI agents: keeps what they must not forget, and builds windows that fit.',
    )
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'explain the program, or a command')
    .helpCommand('help [COMMAND]', 'explain a command')
    .option('--store <url>', 'the store: file:PATH, redis://, postgres://, … (default: file:./holdfast.db)')
    .option('--tenant <name>', 'whose data (default: default)')
    .option('--config <file>', 'the config file (default: holdfast.config.json, where there is one)')
    .option('--json', 'print JSON and nothing else')
    .option('--no-color', 'print without colours')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeErr })
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', programHelp);
  for (const define of [
    serveCommand,
    importCommand,
    exportCommand,
    sessionsCommand,
    showCommand,
    windowCommand,
    searchCommand,
    memoryCommand,
    tasksCommand,
    compactCommand,
    compactionsCommand,
    statsCommand,
    monitorCommand,
    copyCommand,
    migrateCommand,
    doctorCommand,
  ]) {
    define(program, runner);
  }
  return program;
}

const programHelp = `
${examples([
  ['holdfast import conversations.jsonl', 'bring conversations in'],
  ['holdfast sessions', 'see what is there'],
  ['holdfast window ID --max-tokens 4000 --explain', 'see what a model would get, and why'],
  ['holdfast search "the refund" --user USER', 'find what was said'],
  ['holdfast serve', 'serve the same over HTTP'],
])}
Settings: options beat the environment (HOLDFAST_STORE, HOLDFAST_PORT, …), which beats holdfast.config.json.
\`holdfast doctor\` shows each one and where it came from.

Exit codes: 0 done; 1 it could not be done (no such session, store unavailable, conflicts in an import);
2 bad input or usage; 130 interrupted.`;

/** Tells what went wrong: one line and a hint for people, one JSON value for programs. */
function tell(error: unknown, args: readonly string[]): number {
  const failure = failureOf(error);
  // The command line may be what is wrong: these two are looked for in it by hand.
  const color = !args.includes('--no-color');
  if (args.includes('--json')) {
    new Output(process.stdout, color).json({ error: failure.error });
  } else {
    const out = new Output(process.stderr, color);
    out.line(`${out.style('red', 'holdfast:')} ${failure.error.message}`);
    if (failure.error.hint) out.line(`  ${failure.error.hint}`);
    if (failure.stack) out.line(out.style('dim', failure.stack));
  }
  return failure.exitCode;
}
