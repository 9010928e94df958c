import { z } from 'zod';
import { parseInput } from './input.ts';
import { type Logger, loggerSchema } from './logger.ts';

/** How sure an acknowledged write is, the least first. Each store says which of them it can promise. */
export const DURABILITIES = ['normal', 'full', 'replicated'] as const;
export type Durability = (typeof DURABILITIES)[number];

/** How a store that is opened by URL behaves. */
export interface StoreOptions {
  /**
   * `full` (default): an acknowledged write survives what its server or file promises to survive: a power cut, for a
   * file. `normal`: it survives the death of the process, and a power cut may take the last moments. `replicated`: a
   * replica has it as well, so that a failover loses nothing; `ConfigError` where there are no replicas (SQLite, memory).
   */
  durability?: Durability | undefined;
  /** Files: how long to wait for another process's write before giving up (milliseconds; 10 000). No effect elsewhere. */
  lockTimeoutMs?: number | undefined;
  /**
   * Servers: how long to wait for an answer before giving up (milliseconds; 10 000). No effect elsewhere. With a fallback
   * also how long a server that answers nothing is waited for before the fallback is used (2000).
   */
  timeoutMs?: number | undefined;
  /**
   * Where writes go while the store can't be reached: `file:./spool.db`, `memory:` (lost with the process), or `none`
   * (default): they fail with `StoreUnavailableError`, at once where the server is known to be away.
   */
  fallback?: string | undefined;
  /** Hears of failures in the background. Default: the logger, and without one a process warning. */
  onError?: ((error: unknown) => void) | undefined;
  /** Is told of a store that goes away behind a fallback, and comes back. */
  logger?: Logger | undefined;
}

/** Timers of Node take no more. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const storeOptionsShape = {
  durability: z.enum(DURABILITIES).optional(),
  lockTimeoutMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
  timeoutMs: z.int().min(1).max(MAX_TIMER_MS).optional(),
  fallback: z.string().optional(),
  onError: z
    .custom<(error: unknown) => void>((value) => typeof value === 'function', 'expected a function')
    .optional(),
  logger: loggerSchema.optional(),
};
const storeOptionsSchema = z.strictObject(storeOptionsShape);

/** @throws InvalidInputError with all problems */
export function checkStoreOptions(options: StoreOptions): void {
  parseInput(storeOptionsSchema, options, 'openStore');
}
