import type { HealthFacts } from './score.ts';

/** A setting that would help, and why. */
export interface Recommendation {
  /** As it is called in options, or on Node's command line. */
  setting: string;
  /** The variable that sets it for the program, where there is one. */
  env?: string;
  /** What was seen. */
  reason: string;
  advice: string;
}

/** What recommendations go by, besides what the score goes by. */
export interface Situation extends HealthFacts {
  store: string;
  /** Whether writes go to a spool while the store is away. */
  hasFallback: boolean;
  /** `full` or `normal`, where the store says. */
  durability?: string | undefined;
  /** Calls of the last minute that failed since the store could not be reached or was locked. */
  unavailable: number;
  commitP50Ms: number;
  /** Of users' jobs. */
  jobs: { queued: number; running: number; refused: number };
  maxConcurrent: number;
  /** 0: never by itself. */
  maintenanceIntervalMs: number;
  /** How far the text index is behind for sure (milliseconds). */
  indexMs: number;
  /** The consumer that is furthest behind, for sure. */
  slowest?: { name: string; lagMs: number } | undefined;
  heapShare: number;
  /** The share of time in which the event loop was busy, 0 to 1. */
  utilization: number;
}

type Rule = (situation: Situation) => Recommendation | false;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A commit that waits for a disk takes longer than this only where that is slow. */
const SLOW_SYNC_MS = 20;
/** Below this an event loop has time for more. */
const IDLE_ENOUGH = 0.7;

const RULES: readonly Rule[] = [
  ({ store, unavailable }) =>
    store === 'sqlite' &&
    unavailable > 0 && {
      setting: 'lockTimeoutMs',
      env: 'HOLDFAST_LOCK_TIMEOUT_MS',
      reason: `${unavailable} calls of the last minute found the file locked, or the disk full`,
      advice: 'Raise it where another process writes for long, and look at the free space of the disk.',
    },
  ({ store, unavailable, hasFallback }) =>
    store !== 'sqlite' &&
    store !== 'memory' &&
    unavailable > 0 &&
    !hasFallback && {
      setting: 'fallback',
      env: 'HOLDFAST_FALLBACK',
      reason: `${unavailable} calls of the last minute could not reach the store`,
      advice: 'Name a file: writes then go on while the store is away.',
    },
  ({ store, durability, commitP50Ms }) =>
    store === 'sqlite' &&
    durability === 'full' &&
    commitP50Ms > SLOW_SYNC_MS && {
      setting: 'durability',
      env: 'HOLDFAST_DURABILITY',
      reason: `half of the commits wait longer than ${SLOW_SYNC_MS} ms for the disk`,
      advice: 'Use a faster disk, or `normal` where a power cut may cost the last moments.',
    },
  ({ maintenanceIntervalMs, indexMs }) =>
    indexMs > Math.max(2 * MINUTE_MS, 2 * maintenanceIntervalMs) && {
      setting: 'maintenanceIntervalMs',
      env: 'HOLDFAST_MAINTENANCE_INTERVAL_MS',
      reason: `the text index is ${minutes(indexMs)} behind`,
      advice:
        maintenanceIntervalMs === 0
          ? 'It is 0: no process here brings the index up to date. Set it in one that lives long.'
          : 'Look for failures of maintenance with onError, and lower it where there are none.',
    },
  ({ slowest }) =>
    slowest !== undefined &&
    slowest.lagMs > HOUR_MS && {
      setting: 'journalKeepMs',
      env: 'HOLDFAST_JOURNAL_KEEP_MS',
      reason: `the consumer ${JSON.stringify(slowest.name)} is ${minutes(slowest.lagMs)} behind`,
      advice: 'The journal is kept for it, however short this is: run it, or events.forget it.',
    },
  ({ jobs, maxConcurrent, utilization }) =>
    (jobs.queued >= maxConcurrent || jobs.refused > 0) &&
    jobs.running >= maxConcurrent &&
    utilization < IDLE_ENOUGH && {
      setting: 'concurrency.maxConcurrent',
      reason: `${jobs.queued} jobs wait while ${jobs.running} run, and the event loop has time`,
      advice: `Raise it from ${maxConcurrent}.`,
    },
  ({ heapShare }) =>
    heapShare > 0.85 && {
      setting: '--max-old-space-size',
      env: 'NODE_OPTIONS',
      reason: `the heap is ${Math.round(heapShare * 100)} % full`,
      advice: 'Raise it, or share the work among more processes.',
    },
];

/** What would help in a situation; nothing where nothing is wrong. */
export function recommend(situation: Situation): Recommendation[] {
  return RULES.flatMap((rule) => rule(situation) || []);
}

function minutes(ms: number): string {
  return ms < 2 * HOUR_MS ? `${Math.round(ms / MINUTE_MS)} minutes` : `${Math.round(ms / HOUR_MS)} hours`;
}
