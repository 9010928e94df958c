import { z } from 'zod';
import { cut } from '../cut.ts';
import { isHoldfastError } from '../errors.ts';
import { isA, kindOf } from '../thrown.ts';
import { TookTooLong, timed } from '../timed.ts';

/** From good to bad. */
export const statuses = ['healthy', 'degraded', 'unhealthy'] as const;
export type HealthStatus = (typeof statuses)[number];

export type HealthFacts = Readonly<Record<string, string | number | boolean>>;

/** What a check found out. */
export interface CheckOutcome {
  status: HealthStatus;
  /** One sentence, without secrets and content. */
  message?: string;
  /** How to mend it. */
  hint?: string;
  facts?: HealthFacts;
}

/** One thing that was looked at. */
export interface HealthCheck {
  name: string;
  status: HealthStatus;
  message: string;
  hint?: string;
  durationMs: number;
  facts?: HealthFacts;
}

/**
 * Looks at something. One that throws, or takes too long, has failed; null says that there is nothing to look at.
 * @param signal is aborted when its time is over
 */
export type CheckFunction = (signal: AbortSignal) => Found | Promise<Found>;
type Found = CheckOutcome | null | undefined;

/** How much of a message is told (characters). */
const MAX_TEXT = 1000;
const textSchema = z.string().transform((text) => cut(text, MAX_TEXT));
/** Types hold nobody to what he gives, and reports go out as JSON. */
const outcomeSchema = z.object({
  status: z.enum(statuses),
  message: textSchema.optional(),
  hint: textSchema.optional(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

/** A check, as it is run. */
export interface Check {
  readonly name: string;
  readonly run: CheckFunction;
  /** Makes the whole unhealthy; another one makes it degraded at most. */
  readonly critical: boolean;
  readonly timeoutMs: number;
}

/** A check that is not begun again while it is under way: what hangs must not pile up. It has failed until it ends. */
export function oneAtATime(run: CheckFunction): CheckFunction {
  let isUnderWay = false;
  return async (signal) => {
    if (isUnderWay) throw new TookTooLong('is still under way');
    isUnderWay = true;
    try {
      return await run(signal);
    } finally {
      isUnderWay = false;
    }
  };
}

/** Runs a check. It never throws, and is over when its time is. @returns undefined where there was nothing to look at */
export async function runCheck(check: Check, closing: AbortSignal): Promise<HealthCheck | undefined> {
  const { name, timeoutMs } = check;
  const start = performance.now();
  const outcome = await settle(check, closing);
  if (outcome === null) return undefined;
  const { status, message = status === 'healthy' ? 'is well' : `is ${status}`, hint, facts } = outcome;
  return {
    name,
    status,
    message,
    ...(hint !== undefined && { hint }),
    durationMs: Math.round(Math.min(performance.now() - start, timeoutMs)),
    ...(facts && { facts }),
  };
}

async function settle(
  { run, critical, timeoutMs }: Check,
  closing: AbortSignal,
): Promise<z.output<typeof outcomeSchema> | null> {
  const failed = critical ? 'unhealthy' : 'degraded';
  try {
    const found = await timed(async (signal) => run(signal), { timeoutMs, signal: closing });
    if (found === null) return null;
    const { data } = outcomeSchema.safeParse(found === undefined ? { status: 'healthy' } : found);
    return data ?? { status: failed, message: 'gave no outcome', hint: OUTCOME };
  } catch (error) {
    return { status: failed, ...told(error, timeoutMs) };
  }
}

const OUTCOME =
  "A check gives { status: 'healthy' | 'degraded' | 'unhealthy', message?, hint?, facts? }, nothing, or null.";

/** Of a failure, what may be told: messages of ours carry no content, others might. */
function told(error: unknown, timeoutMs: number): { message: string; hint?: string } {
  if (isA(error, TookTooLong)) return { message: `gave no answer within ${timeoutMs} ms` };
  if (isHoldfastError(error)) {
    const { message, hint } = error;
    return { message, ...(hint !== undefined && { hint }) };
  }
  return { message: `failed with ${kindOf(error)}` };
}

/** The worse of several; `healthy` of none. */
export function worst(given: Iterable<HealthStatus>): HealthStatus {
  let at = 0;
  for (const status of given) at = Math.max(at, statuses.indexOf(status));
  return statuses[at]!;
}

/** Where a number stands that is the better the smaller it is. */
export function levelOf(value: number, { degraded, unhealthy }: Levels): HealthStatus {
  if (value >= unhealthy) return 'unhealthy';
  return value >= degraded ? 'degraded' : 'healthy';
}

/** From where on something is no longer well. */
export interface Levels {
  readonly degraded: number;
  readonly unhealthy: number;
}
