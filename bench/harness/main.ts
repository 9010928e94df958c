/** The command line of benches and drills. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command, CommanderError, Option } from 'commander';
import { closest } from 'fastest-levenshtein';
import { passed, table } from './report.ts';
import { runBench } from './run.ts';
import { storeNames } from './stores.ts';
import type { Bench, BenchOption } from './types.ts';
import { UsageError } from './usage.ts';

export type Kind = 'bench' | 'drill';

/**
 * Runs `NAME [--store STORE] [--data FILE] [--json]`, or `list`.
 * @returns the exit status: 0, 1 where a row misses its target or the bench fails, 2 for a wrong command line
 */
export async function main(kind: Kind, argv: readonly string[], folder = homeOf(kind)): Promise<number> {
  const names = namesIn(folder);
  const [name, ...rest] = argv;
  if (name === undefined || name === 'list' || name === '--help' || name === '-h') {
    await list(kind, folder, names);
    return name === undefined ? 2 : 0;
  }
  if (!names.includes(name)) {
    const guess = names.length > 0 ? ` Did you mean ${closest(name, names)}?` : '';
    console.error(`There is no ${kind} named ${name}.${guess} \`npm run ${kind} -- list\` lists them.`);
    return 2;
  }
  const bench = await load(folder, name);
  const command = commandOf(kind, bench);
  try {
    command.parse(rest, { from: 'user' });
  } catch (error) {
    // commander has said what was wrong, or shown the help that was asked for
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return run(bench, command.opts());
}

async function run(
  bench: Bench,
  { json, store, data, ...options }: Record<string, unknown>,
): Promise<number> {
  try {
    const report = await runBench(bench, {
      options,
      ...(typeof store === 'string' && { store }),
      ...(typeof data === 'string' && { data }),
    });
    console.log(json ? JSON.stringify(report) : table(report));
    return passed(report) ? 0 : 1;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`error: ${error.message}`);
      return 2;
    }
    console.error(`${bench.name} failed:`, error);
    return 1;
  }
}

function commandOf(kind: Kind, bench: Bench): Command {
  const command = new Command(`npm run ${kind} -- ${bench.name}`)
    .description(bench.summary)
    .exitOverride()
    .allowExcessArguments(false)
    .option('--store <store>', `the store to run on: a URL, ${storeNames.join(', ')}`, bench.store)
    .option('--data <file>', 'conversations to run on, where the run takes any')
    .option('--json', 'print the report as one JSON object');
  for (const option of bench.options ?? []) command.addOption(optionOf(option));
  return command;
}

function optionOf({ flags, description, default: value, parse }: BenchOption): Option {
  const option = new Option(flags, description);
  if (value !== undefined) option.default(value);
  return parse ? option.argParser(parse) : option;
}

async function list(kind: Kind, folder: string, names: readonly string[]): Promise<void> {
  const benches = await Promise.all(names.map((name) => load(folder, name)));
  const width = Math.max(0, ...names.map((name) => name.length));
  console.log(`npm run ${kind} -- NAME [--store STORE] [--data FILE] [--json]\n`);
  for (const { name, summary } of benches) console.log(`  ${name.padEnd(width)}  ${summary}`);
}

async function load(folder: string, name: string): Promise<Bench> {
  const module: { default: Bench } = await import(pathToFileURL(join(folder, `${name}.ts`)).href);
  return module.default;
}

function namesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap(({ name }) => (name.endsWith('.ts') ? [name.slice(0, -3)] : [])).sort();
}

function homeOf(kind: Kind): string {
  return join(import.meta.dirname, '..', kind === 'bench' ? 'benches' : 'drills');
}
