import { type InputIssue, InvalidInputError } from '../../core/errors.ts';
import { kindOf } from '../../core/ids.ts';
import { nearest } from '../../core/suggest.ts';
import type { RejectedBatch } from './backlog.ts';

/**
 * `normal`: the store answers. `degraded`: it is away, and what can be goes to the spool. `replaying`: it is back, and
 * gets what is in the spool; what is not in there is with the store again.
 */
export type FallbackState = 'normal' | 'degraded' | 'replaying';

export interface FallbackOptions {
  /**
   * A store that has calls to answer, and answers nothing for so long, is away (milliseconds; 2000). One call alone may
   * take five times as long. Opening waits so long for it, too.
   */
  timeoutMs?: number;
  /** How often a store that is away is tried (milliseconds; 500); up to four times as long when it stays away. */
  probeMs?: number;
  /** How long closing waits for a replay that is under way (milliseconds; 5000). */
  closeTimeoutMs?: number;
  onStateChange?: (state: FallbackState) => void;
  /** Hears of acknowledged batches that the store refused when they were replayed. Default: a process warning. */
  onRejected?: (rejected: RejectedBatch) => void;
  /** Hears of failures in the background. Default: a process warning. */
  onError?: (error: unknown) => void;
}

const DEFAULTS: Required<FallbackOptions> = {
  timeoutMs: 2000,
  probeMs: 500,
  closeTimeoutMs: 5000,
  onStateChange: () => {},
  onRejected: ({ seq, error }) =>
    warn(
      `an acknowledged write was refused when it was replayed (${error.code}): it is kept as rejected ${seq}`,
    ),
  onError: warn,
};
const MAX_MS = 2_147_483_647;

function warn(what: unknown): void {
  process.emitWarning(what instanceof Error ? what : String(what), 'HoldfastWarning');
}

let warned = false;

/** Warns, once in a process, of what a spool in memory can't promise. */
export function warnOfLoss(): void {
  if (!warned)
    warn('the spool is not durable: writes acknowledged while the store is away die with the process');
  warned = true;
}

/** The options with their defaults. @throws InvalidInputError with every problem */
export function withDefaults(options: FallbackOptions): Required<FallbackOptions> {
  const issues: InputIssue[] = [];
  const known = Object.keys(DEFAULTS);
  for (const [path, value] of Object.entries(options) as [keyof FallbackOptions, unknown][]) {
    const near = known.includes(path) ? undefined : (nearest(path, known) ?? known.join(', '));
    if (near !== undefined) issues.push({ path, message: `is unknown; known is ${near}` });
    else if (value !== undefined && !fits(value, DEFAULTS[path]))
      issues.push({ path, message: `expected ${expected(DEFAULTS[path])}, got ${kindOf(value)}` });
  }
  if (issues.length > 0) throw new InvalidInputError('withFallback: options', issues);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return guarded({ ...DEFAULTS, ...Object.fromEntries(given) });
}

/** What callbacks throw is told, and stops nothing. */
function guarded(options: Required<FallbackOptions>): Required<FallbackOptions> {
  const onError = guard(options.onError, warn);
  return {
    ...options,
    onError,
    onStateChange: guard(options.onStateChange, onError),
    onRejected: guard(options.onRejected, onError),
  };
}

function guard<T>(callback: (value: T) => void, onError: (error: unknown) => void): (value: T) => void {
  return (value) => {
    try {
      callback(value);
    } catch (error) {
      onError(error);
    }
  };
}

function fits(value: unknown, like: unknown): boolean {
  if (typeof like === 'function') return typeof value === 'function';
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_MS;
}

function expected(like: unknown): string {
  return typeof like === 'function' ? 'a function' : `a whole number from 1 to ${MAX_MS}`;
}
