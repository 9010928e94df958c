/** What the definitions of commands share: how they are run, how their help looks, how their options are read. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Cli } from './cli.ts';

/** A command's work. @returns the exit code, 0 where nothing is said */
export type Work<Options> = (cli: Cli, args: string[], options: Options) => Promise<number | undefined>;

/** Makes a commander action of a command's work. */
export type Runner = <Options>(work: Work<Options>) => (...given: unknown[]) => Promise<void>;

/** Adds a command to the program. */
export type Define = (program: Command, run: Runner) => void;

/** The examples at the end of a help text: each a command line and what it is good for. */
export function examples(lines: readonly (readonly [command: string, purpose: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, purpose]) => `  ${command.padEnd(width)}  ${purpose}`).join('\n')}\n`;
}

/** Reads an option that is a whole number. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('Expected a whole number.');
}
