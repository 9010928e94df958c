/** How errors end the program: with which exit code, and in which words. */
import { CommanderError } from 'commander';
import { type ErrorCode, type HoldfastError, isHoldfastError } from '../core/errors.ts';

/** The program's exit codes. */
export const exitCodes = {
  ok: 0,
  /** It could not be done: no such session, the store is unavailable. */
  failed: 1,
  /** What was given is wrong: an option, a setting, a file. */
  badInput: 2,
  /** Stopped by a signal. */
  interrupted: 130,
} as const;

/** What a failed run tells. */
export interface Failure {
  exitCode: number;
  error: { code: ErrorCode | 'usage'; message: string; hint?: string; details?: unknown };
  /** Only of errors nobody foresaw: a report of the bug needs it. */
  stack?: string;
}

const inputCodes: ReadonlySet<ErrorCode> = new Set(['invalid-input', 'config', 'import']);

export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error);
  if (isHoldfastError(error)) {
    const badInput = inputCodes.has(error.code) && !isPortInUse(error.cause);
    const exitCode = badInput ? exitCodes.badInput : exitCodes.failed;
    const told = error.toJSON() as unknown as Failure['error'];
    const hint = hintOf(error);
    return { exitCode, error: hint === undefined ? told : { ...told, hint } };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    exitCode: exitCodes.failed,
    error: { code: 'internal', message, hint: 'This is a bug in Holdfast: please report it.' },
    ...(error instanceof Error && error.stack && { stack: error.stack }),
  };
}

/** The error's own hint speaks to programs. */
const hints: Readonly<Record<string, string>> = {
  session: '`holdfast sessions` lists those that are there.',
  task: '`holdfast tasks list` lists those that are there.',
};

function hintOf({ code, details }: HoldfastError): string | undefined {
  return code === 'not-found' ? hints[String(details?.what)] : undefined;
}

/** A setting that is fine, and may work a moment later. */
function isPortInUse(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE';
}

/** Commander writes `error: what is wrong`, and on a second line what might have been meant. */
function usageFailure({ message }: CommanderError): Failure {
  const [first = '', ...rest] = message.split('\n');
  const meant = rest.join(' ').replace(/^\((.*)\)$/, '$1');
  return {
    exitCode: exitCodes.badInput,
    error: {
      code: 'usage',
      message: first.replace(/^error: /, ''),
      hint: meant || '`holdfast --help` and `holdfast COMMAND --help` show what there is.',
    },
  };
}
