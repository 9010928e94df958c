import { z } from 'zod';
import { MAX_TIMER_MS } from '../store-options.ts';
import type { Levels } from './check.ts';

export interface HealthOptions {
  /** How often it looks by itself (milliseconds). Default 0: only when asked. */
  intervalMs?: number | undefined;
  /** How long a check may take before it has failed (milliseconds; 5000). */
  timeoutMs?: number | undefined;
  /** After how many good reports in a row `onChange` tells that all is better (2). What gets worse is told at once. */
  betterAfter?: number | undefined;
  thresholds?: HealthThresholds | undefined;
}

/** From where on something is degraded, and unhealthy; `Infinity`: never. What is not given has its default. */
export interface HealthThresholds {
  /** How long the store takes to say how it is (milliseconds): 1000, never. */
  storeMs?: Partial<Levels> | undefined;
  /** Room that is left where the store has its file (bytes): 1 GiB, 100 MiB. */
  diskFreeBytes?: Partial<Levels> | undefined;
  /** The share of a server's memory that is used, where it has a limit: 0.85, 0.95. */
  serverMemory?: Partial<Levels> | undefined;
  /** The share of the heap's limit, or of the process's, that is used: 0.85, 0.95. */
  memory?: Partial<Levels> | undefined;
  /** How late timers come, at the 99th percentile (milliseconds): 200, 2000. */
  eventLoopMs?: Partial<Levels> | undefined;
  /** Changes of the journal that a consumer, the index among them, has not had: 10 000, never. */
  journalLag?: Partial<Levels> | undefined;
  /** How much older than `journalKeepMs` the journal's oldest change may be (milliseconds): one hour, never. */
  journalOverdueMs?: Partial<Levels> | undefined;
  /** By how much the clock has moved against the time that has passed (milliseconds): 2000, never. */
  clockJumpMs?: Partial<Levels> | undefined;
  /** How far the clock is from that of the store's server (milliseconds): 2000, never. */
  clockSkewMs?: Partial<Levels> | undefined;
}

export type Thresholds = { readonly [K in keyof HealthThresholds]-?: Levels };

const GIB = 2 ** 30;
const NEVER = Number.POSITIVE_INFINITY;
const defaults: Thresholds = {
  storeMs: { degraded: 1000, unhealthy: NEVER },
  diskFreeBytes: { degraded: GIB, unhealthy: GIB / 10 },
  serverMemory: { degraded: 0.85, unhealthy: 0.95 },
  memory: { degraded: 0.85, unhealthy: 0.95 },
  eventLoopMs: { degraded: 200, unhealthy: 2000 },
  journalLag: { degraded: 10_000, unhealthy: NEVER },
  journalOverdueMs: { degraded: 3_600_000, unhealthy: NEVER },
  clockJumpMs: { degraded: 2000, unhealthy: NEVER },
  clockSkewMs: { degraded: 2000, unhealthy: NEVER },
};

const level = z.custom<number>(
  (value) => typeof value === 'number' && value >= 0,
  'expected a number from 0 up, or Infinity: never',
);
const levelsSchema = z.strictObject({ degraded: level.optional(), unhealthy: level.optional() }).optional();
const names = Object.keys(defaults) as (keyof Thresholds)[];

export const healthOptionsSchema = z.strictObject({
  intervalMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
  timeoutMs: z.int().min(1).max(MAX_TIMER_MS).optional(),
  betterAfter: z.int().min(1).max(100).optional(),
  thresholds: z
    .strictObject(
      Object.fromEntries(names.map((name) => [name, levelsSchema])) as Record<
        keyof Thresholds,
        typeof levelsSchema
      >,
    )
    .optional(),
});

export function thresholdsOf(given: HealthThresholds = {}): Thresholds {
  const entries = names.map((name) => {
    const { degraded = defaults[name].degraded, unhealthy = defaults[name].unhealthy } = given[name] ?? {};
    return [name, { degraded, unhealthy }];
  });
  return Object.fromEntries(entries) as unknown as Thresholds;
}

/** At how many changes behind there is no need to count on: the whole journal may be long. */
export function mostCounted({ degraded, unhealthy }: Levels): number {
  return [unhealthy, degraded].find(Number.isFinite) ?? defaults.journalLag.degraded;
}
