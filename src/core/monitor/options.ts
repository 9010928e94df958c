import { z } from 'zod';
import { MAX_TIMER_MS } from '../store-options.ts';

export interface MonitorOptions {
  /** Watches calls and commits (true). Where false, nothing is watched, and `engine.monitor` says so. */
  enabled?: boolean | undefined;
  /** How often a point of the history is taken (milliseconds; 60 000). 0: never. */
  sampleIntervalMs?: number | undefined;
  /** How many points are kept (60): the last hour. */
  historySize?: number | undefined;
}

export const monitorOptionsSchema = z.strictObject({
  enabled: z.boolean().optional(),
  sampleIntervalMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
  historySize: z.int().min(1).max(100_000).optional(),
});
