import type { Clock } from '../../core/clock.ts';
import { type InputIssue, InvalidInputError } from '../../core/errors.ts';
import { kindOf } from '../../core/ids.ts';
import { nearest } from '../../core/suggest.ts';
import { DURABILITIES, type Durability } from './database.ts';

export interface SqliteStoreOptions {
  /** `full` (default): an acknowledged write survives a power cut. `normal`: it survives the death of the process. */
  durability?: Durability;
  /** How long to wait for another process's write before giving up. Default 10 000. */
  lockTimeoutMs?: number;
  /** How often to look for other processes' commits while somebody waits for changes. Default 10. */
  pollIntervalMs?: number;
  /** Time stamps of the journal. Default: the system's clock. */
  clock?: Clock;
}

const KNOWN = ['durability', 'lockTimeoutMs', 'pollIntervalMs', 'clock'];
/** The longest that a timer of Node's can run. */
const MAX_TIMER_MS = 2_147_483_647;

/** @throws InvalidInputError with every problem */
export function checkOptions(options: SqliteStoreOptions): void {
  const issues: InputIssue[] = [];
  for (const key of Object.keys(options)) if (!KNOWN.includes(key)) issues.push(unknown(key));
  const { durability, lockTimeoutMs, pollIntervalMs, clock } = options;
  if (durability !== undefined && !DURABILITIES.includes(durability)) issues.push(badDurability(durability));
  addDuration(issues, 'lockTimeoutMs', lockTimeoutMs, 0);
  addDuration(issues, 'pollIntervalMs', pollIntervalMs, 1);
  if (clock !== undefined && typeof (clock as Partial<Clock> | null)?.now !== 'function') {
    issues.push({ path: 'clock', message: `expected a clock with now(), got ${kindOf(clock)}` });
  }
  if (issues.length > 0) throw new InvalidInputError('SqliteStore.open: options', issues);
}

function unknown(key: string): InputIssue {
  const near = nearest(key, KNOWN);
  return {
    path: key,
    message: `is unknown${near ? `, did you mean ${near}?` : `; known are ${KNOWN.join(', ')}`}`,
  };
}

function badDurability(value: unknown): InputIssue {
  const near = typeof value === 'string' ? nearest(value, DURABILITIES) : undefined;
  const hint = near ? `; did you mean ${near}?` : `, got ${kindOf(value)}`;
  return { path: 'durability', message: `expected one of ${DURABILITIES.join(', ')}${hint}` };
}

function addDuration(issues: InputIssue[], path: string, value: unknown, least: number): void {
  if (value === undefined) return;
  const whole = Number.isInteger(value) && (value as number) >= least && (value as number) <= MAX_TIMER_MS;
  if (whole) return;
  const got = Number.isFinite(value) ? String(value) : kindOf(value);
  issues.push({ path, message: `expected a whole number from ${least} to ${MAX_TIMER_MS}, got ${got}` });
}
