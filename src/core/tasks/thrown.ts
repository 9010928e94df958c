/** What was thrown by somebody else's code. Looking at it never throws, whatever it is: a task has to end all the same. */
import { cut } from '../cut.ts';

/** Of what an error says, and of its name and code (UTF-16 code units). */
const MAX_MESSAGE = 1000;
const MAX_NAME = 100;

/** What resources say that are closed already: no failure. */
const CLOSED_ALREADY: ReadonlySet<string> = new Set([
  'closed',
  'ERR_SERVER_NOT_RUNNING',
  'ERR_STREAM_DESTROYED',
  'ERR_SOCKET_CLOSED',
  'ERR_USE_AFTER_CLOSE',
]);

/** An error as data, for a history. */
export function told(thrown: unknown): { name: string; message: string; code?: string } {
  const code = textOf(thrown, 'code', MAX_NAME);
  return {
    name: textOf(thrown, 'name', MAX_NAME) || 'Error',
    message: isObject(thrown)
      ? textOf(thrown, 'message', MAX_MESSAGE)
      : shortened(String(thrown ?? ''), MAX_MESSAGE),
    ...(code !== '' && { code }),
  };
}

/** Whether it only says that what should be closed is closed. */
export function isClosedAlready(thrown: unknown): boolean {
  return CLOSED_ALREADY.has(textOf(thrown, 'code', MAX_NAME));
}

/** A field; empty where there is none, or where it is no text. */
function textOf(thrown: unknown, field: string, length: number): string {
  try {
    const value = isObject(thrown) ? thrown[field] : undefined;
    return typeof value === 'string' ? shortened(value, length) : '';
  } catch {
    return '';
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function shortened(text: string, length: number): string {
  return cut(text, length).toWellFormed();
}
