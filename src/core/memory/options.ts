import { z } from 'zod';
import { durationSchema } from '../input.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Says whether two memories can't both be true. `newer` supersedes `older` then. */
export type Contradicts = (
  older: { content: string; createdAt: number },
  newer: { content: string; createdAt: number },
) => boolean | Promise<boolean>;

export interface MemoryOptions {
  /** How many memories a user may have in each tier: 100 `short`, 10 000 `medium`, 10 000 `long`. */
  sizes?: { short?: number | undefined; medium?: number | undefined; long?: number | undefined } | undefined;
  /** How long a memory of middling importance that was never used keeps 37 % of its strength (ms): 7 and 90 days. */
  strengthMs?: { medium?: number | undefined; long?: number | undefined } | undefined;
  /** Below this retention a long-term memory becomes a medium-term one, and a medium-term one is forgotten (0.05). */
  forgetBelow?: number | undefined;
  /** From this importance on a memory is a long-term one (0.7). */
  longImportance?: number | undefined;
  /** After so many uses a memory rises to the next tier (3). */
  promoteUses?: number | undefined;
  /** For `consolidate`: finds contradictions that keys don't show. A model may be asked. */
  contradicts?: Contradicts | undefined;
  /** How long uses are gathered before they are written, at most (milliseconds; 1000). */
  settleMs?: number | undefined;
}

const size = z.int().min(1).max(1_000_000).optional();

export const contradictsSchema = z.custom<Contradicts>(
  (value) => typeof value === 'function',
  'expected a function',
);

export const memoryOptionsSchema = z.strictObject({
  sizes: z.strictObject({ short: size, medium: size, long: size }).optional(),
  strengthMs: z
    .strictObject({ medium: durationSchema.optional(), long: durationSchema.optional() })
    .optional(),
  forgetBelow: z.number().gt(0).lt(1).optional(),
  longImportance: z.number().min(0).max(1).optional(),
  promoteUses: z.int().min(1).optional(),
  contradicts: contradictsSchema.optional(),
  settleMs: z.int().min(1).max(60_000).optional(),
});

/** The options with their defaults. */
export interface MemorySettings {
  readonly sizes: { readonly short: number; readonly medium: number; readonly long: number };
  readonly strengthMs: { readonly medium: number; readonly long: number };
  readonly forgetBelow: number;
  readonly longImportance: number;
  readonly promoteUses: number;
  readonly contradicts: Contradicts | undefined;
  readonly settleMs: number;
}

export function memorySettings({ sizes, strengthMs, ...options }: MemoryOptions = {}): MemorySettings {
  return {
    sizes: { short: sizes?.short ?? 100, medium: sizes?.medium ?? 10_000, long: sizes?.long ?? 10_000 },
    strengthMs: { medium: strengthMs?.medium ?? 7 * DAY_MS, long: strengthMs?.long ?? 90 * DAY_MS },
    forgetBelow: options.forgetBelow ?? 0.05,
    longImportance: options.longImportance ?? 0.7,
    promoteUses: options.promoteUses ?? 3,
    contradicts: options.contradicts,
    settleMs: options.settleMs ?? 1000,
  };
}
