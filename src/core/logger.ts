import { z } from 'zod';
import { isHoldfastError } from './errors.ts';

/**
 * Where an engine's log goes: pino's shape, which a `pino()` has as it is. It is told of one event a line, with ids and
 * numbers, and never with content.
 */
export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
  /** Asked at each call: where it says that debug is off, nothing is told of it. */
  isLevelEnabled?(level: string): boolean;
}

type Level = 'debug' | 'info' | 'warn' | 'error';
const levels: readonly Level[] = ['debug', 'info', 'warn', 'error'];

export const loggerSchema = z.custom<Logger>(
  (value) => levels.every((level) => typeof (value as Logger | null)?.[level] === 'function'),
  'expected an object with debug, info, warn and error, as pino has them',
);

/** What the services of a tenant tell the log. Without a logger, nothing is done; one that throws does no harm. */
export class EngineLog {
  readonly #logger: Logger | undefined;
  readonly #tenant: string;

  constructor(logger: Logger | undefined, tenant: string) {
    this.#logger = logger;
    this.#tenant = tenant;
  }

  /** Whether anybody hears of it. */
  get isOn(): boolean {
    return this.#logger !== undefined;
  }

  /** Whether calls are told as well. */
  get tellsCalls(): boolean {
    try {
      return this.#logger !== undefined && this.#logger.isLevelEnabled?.('debug') !== false;
    } catch {
      return false;
    }
  }

  debug(fields: Record<string, unknown>, message: string): void {
    this.#write('debug', fields, message);
  }

  info(fields: Record<string, unknown>, message: string): void {
    this.#write('info', fields, message);
  }

  warn(fields: Record<string, unknown>, message: string): void {
    this.#write('warn', fields, message);
  }

  /** A failure that no caller was told of. */
  failed(error: unknown): void {
    this.#write('error', { error: loggable(error) }, 'background work failed');
  }

  #write(level: Level, fields: Record<string, unknown>, message: string): void {
    try {
      const given: unknown = this.#logger?.[level]({ tenant: this.#tenant, ...fields }, message);
      // One may be asynchronous, whatever its type says.
      if (given instanceof Promise) given.catch(() => {});
    } catch {
      // Nothing that is done may fail because it can't be told.
    }
  }
}

/**
 * Of a failure, what may stand in a log: messages of ours carry no content, others might. Of those the kind is told,
 * and where it was.
 */
export function loggable(error: unknown): Record<string, unknown> {
  if (isHoldfastError(error)) {
    const { code, message, cause } = error;
    return { code, message, ...(cause !== undefined && { cause: loggable(cause) }) };
  }
  try {
    return error instanceof Error ? ofOther(error) : { name: typeof error };
  } catch {
    // Its getters throw.
    return { name: typeof error };
  }
}

function ofOther({ name, code, message, stack = '' }: NodeJS.ErrnoException): Record<string, unknown> {
  // A message that quotes a stack would pass for one.
  const lines = stack.replace(message, '').split('\n');
  const frames = lines.filter((line) => /^\s+at /.test(line)).map((line) => line.trim());
  return {
    name: typeof name === 'string' ? name : 'Error',
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    stack: frames,
  };
}
