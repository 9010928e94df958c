/** What went wrong, as errors of ours and as data. Whatever a tool throws, looking at it must not throw. */
import { cut } from '../cut.ts';
import { HoldfastError, type InputIssue, InvalidInputError, isHoldfastError } from '../errors.ts';
import type { ToolFailure } from './tool.ts';

/** Of what a tool's exception says (UTF-16 code units). */
const MAX_MESSAGE = 2000;
/** Of the problems with an input: a model mends the first ones first. */
const MAX_ISSUES = 20;

/** Puts an exception of a tool in words for the model that called it. */
export type DescribeError = (error: unknown, tool: string) => string;

/** An exception of a tool, as an error of ours. A tool whose server is away says so itself. */
export function toolFailed(tool: string, error: unknown, describe: DescribeError = messageOf): HoldfastError {
  let message: unknown;
  try {
    message = describe(error, tool);
    // A promise says nothing in time, and what it rejects with is nobody's business.
    if (message instanceof Promise) message.catch(() => {});
  } catch {
    message = undefined;
  }
  const text = typeof message === 'string' ? message : 'the tool failed';
  const away = isHoldfastError(error) && error.code === 'tool-unavailable';
  return new HoldfastError(
    away ? 'tool-unavailable' : 'tool-failed',
    cut(text, MAX_MESSAGE).toWellFormed(),
    away && error.hint !== undefined ? { cause: error, hint: error.hint } : { cause: error },
  );
}

/** What an exception says. */
export function messageOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (typeof error !== 'object' || error === null) return `the tool threw ${String(error)}`;
  const { message } = error as { message?: unknown };
  return typeof message === 'string' && message !== '' ? message : 'the tool failed without a message';
}

/** @param what whose input or output it is */
export function badValue(what: string, issues: readonly InputIssue[]): InvalidInputError {
  const told = issues.slice(0, MAX_ISSUES).map(({ path, message }) => ({ path, message: cut(message, 500) }));
  const more = issues.length - told.length;
  if (more > 0) told.push({ path: '', message: `and ${more} more` });
  return new InvalidInputError(what, told);
}

/** The fields that go to a caller. An error that is none of ours is a bug of ours, and says nothing. */
export function failureOf(error: unknown): ToolFailure {
  if (!isHoldfastError(error)) return { code: 'internal', message: 'something went wrong inside Holdfast' };
  const { code, message, hint, details } = error;
  return { code, message, ...(hint !== undefined && { hint }), ...(details && { details: { ...details } }) };
}

/** A failed result as an error, for those who would rather have that. */
export function errorOf({ code, message, hint, details }: ToolFailure): HoldfastError {
  return new HoldfastError(code, message, {
    ...(hint !== undefined && { hint }),
    ...(details && { details }),
  });
}
