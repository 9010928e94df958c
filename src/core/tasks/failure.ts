/** What a body or a resource has failed with. Looking at it never throws: a task has to end all the same. */
import { cut } from '../cut.ts';
import { textIn } from '../thrown.ts';

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
  const code = textIn(thrown, 'code', MAX_NAME);
  return {
    name: textIn(thrown, 'name', MAX_NAME) || 'Error',
    message: isPrimitive(thrown)
      ? cut(String(thrown ?? ''), MAX_MESSAGE).toWellFormed()
      : textIn(thrown, 'message', MAX_MESSAGE),
    ...(code !== '' && { code }),
  };
}

/** Whether it only says that what should be closed is closed. */
export function isClosedAlready(thrown: unknown): boolean {
  return CLOSED_ALREADY.has(textIn(thrown, 'code', MAX_NAME));
}

function isPrimitive(thrown: unknown): boolean {
  return thrown === null || !['object', 'function'].includes(typeof thrown);
}
