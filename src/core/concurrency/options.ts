import { z } from 'zod';
import { InvalidInputError } from '../errors.ts';
import { idSchema, parseInput } from '../input.ts';
import { MAX_TIMER_MS } from '../store-options.ts';

/** The engine's own work, by kind. Each kind has slots of its own: none waits for another one, nor for users' jobs. */
export const BACKGROUND_KINDS = [
  'compaction',
  'counting',
  'embedding',
  'indexing',
  'maintenance',
  'memory',
] as const;
export type BackgroundKind = (typeof BACKGROUND_KINDS)[number];

export interface ConcurrencyOptions {
  /** How many jobs run at a time (8). */
  maxConcurrent?: number | undefined;
  /** How many more may wait for a slot (1000); what is submitted beyond that is refused, or waits for room. */
  maxQueued?: number | undefined;
  /** How long a job may run where it does not say so itself (milliseconds). Default: as long as it likes. */
  timeoutMs?: number | undefined;
  /**
   * How long a function that goes on after its time is over, or after it was cancelled, keeps its slot (milliseconds;
   * 5000). After that the slot is free for others, and the function counts as `lingering` until it ends.
   */
  graceMs?: number | undefined;
  /** How long `close` waits for what runs and what is queued before it cancels that (milliseconds; 10 000). */
  drainTimeoutMs?: number | undefined;
  /** Of how many jobs that have ended the results are kept for `wait`, in each tenant (1000). */
  keepEnded?: number | undefined;
  /** How long they are kept (milliseconds; five minutes). */
  keepEndedMs?: number | undefined;
}

export interface EngineConcurrencyOptions extends ConcurrencyOptions {
  /** How many compactions are made in the background at a time (4). */
  maxCompactions?: number | undefined;
}

/** What `graceMs` is unless given. */
export const GRACE_MS = 5000;

const timerSchema = z.int().min(0).max(MAX_TIMER_MS);
const timeoutSchema = timerSchema.min(1);
const slotsSchema = z.int().min(1).max(10_000);

export const concurrencySchema = z.strictObject({
  maxConcurrent: slotsSchema.optional(),
  maxQueued: z.int().min(0).max(1_000_000).optional(),
  timeoutMs: timeoutSchema.optional(),
  graceMs: timerSchema.optional(),
  drainTimeoutMs: timerSchema.optional(),
  keepEnded: z.int().min(0).max(1_000_000).optional(),
  keepEndedMs: timerSchema.optional(),
});
export const engineConcurrencySchema = concurrencySchema.extend({ maxCompactions: slotsSchema.optional() });

/** The options with their defaults. */
export interface ConcurrencySettings {
  readonly maxConcurrent: number;
  readonly maxQueued: number;
  readonly timeoutMs: number | undefined;
  readonly graceMs: number;
  readonly drainTimeoutMs: number;
  readonly keepEnded: number;
  readonly keepEndedMs: number;
}

export function concurrencySettings(options: ConcurrencyOptions): ConcurrencySettings {
  return {
    maxConcurrent: options.maxConcurrent ?? 8,
    maxQueued: options.maxQueued ?? 1000,
    timeoutMs: options.timeoutMs,
    graceMs: options.graceMs ?? GRACE_MS,
    drainTimeoutMs: options.drainTimeoutMs ?? 10_000,
    keepEnded: options.keepEnded ?? 1000,
    keepEndedMs: options.keepEndedMs ?? 5 * 60_000,
  };
}

/** What a job is given. */
export interface JobContext {
  readonly id: string;
  /** Aborted when the job's time is over or it is cancelled: its result is of no use from then on. */
  readonly signal: AbortSignal;
}

export type JobFunction<T> = (context: JobContext) => T | PromiseLike<T>;

export interface SubmitOptions {
  /** Who goes first: a number, the higher the sooner, or `low` (-10), `normal` (0, the default), `high` (10). */
  priority?: number | keyof typeof PRIORITIES | undefined;
  /** How long it may run, from when it starts (milliseconds). Default: the controller's `timeoutMs`. */
  timeoutMs?: number | undefined;
  /** Cancels it, queued or running. */
  signal?: AbortSignal | undefined;
  /** Under what it is counted in `stats` (`job`). The names of the engine's own work are taken. */
  kind?: string | undefined;
  /** Where there is no room: waits for some, by its priority, in place of failing. Default: false. */
  waitForRoom?: boolean | undefined;
}

export interface WaitOptions {
  /** How long to wait (milliseconds). The job goes on. Default: until it has ended. */
  timeoutMs?: number | undefined;
}

const PRIORITIES = { low: -10, normal: 0, high: 10 };

const functionSchema = z.custom<JobFunction<unknown>>(
  (value) => typeof value === 'function',
  'expected a function',
);
const submitSchema = z.strictObject({
  id: idSchema.optional(),
  fn: functionSchema,
  priority: z.union([z.enum(['low', 'normal', 'high']), z.number()]).optional(),
  timeoutMs: timeoutSchema.optional(),
  signal: z.instanceof(AbortSignal).optional(),
  kind: idSchema
    .refine(
      (kind) => !(BACKGROUND_KINDS as readonly string[]).includes(kind),
      "is the name of work of the engine's own",
    )
    .optional(),
  waitForRoom: z.boolean().optional(),
});

export const waitSchema = z.strictObject({ timeoutMs: timeoutSchema.optional() });

/** A job as it was submitted, with its defaults. */
export interface Submission {
  readonly id: string | undefined;
  readonly fn: JobFunction<unknown>;
  readonly priority: number;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly kind: string;
  readonly waitForRoom: boolean;
}

/** Reads the arguments of `submit` and `run`: the id may be left out. */
export function readSubmission(
  what: string,
  given: readonly unknown[],
  timeoutMs: number | undefined,
): Submission {
  const [id, fn, options = {}] = typeof given[0] === 'function' ? [undefined, ...given] : given;
  if (typeof options !== 'object' || options === null)
    throw new InvalidInputError(what, [{ path: 'options', message: 'expected an object' }]);
  const job = parseInput(submitSchema, { ...options, ...(id !== undefined && { id }), fn }, what);
  const { priority = 'normal' } = job;
  return {
    id: job.id,
    fn: job.fn,
    priority: typeof priority === 'number' ? priority : PRIORITIES[priority],
    timeoutMs: job.timeoutMs ?? timeoutMs,
    signal: job.signal,
    kind: job.kind ?? 'job',
    waitForRoom: job.waitForRoom ?? false,
  };
}
