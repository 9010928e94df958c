import { z } from 'zod';
import { idSchema, limitSchema } from '../input.ts';
import { type Strategy, strategies } from '../model/compaction.ts';
import { modelSchema } from '../model-call.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import type { Summarizer } from './summarizer.ts';

/** How histories are compacted. Shares are of what a window has room for beyond its system prompt and pinned messages. */
export interface CompactionOptions {
  /**
   * What is done, one after another until it is short enough. Default `['tool-results', 'dedup', 'extractive']`;
   * `['tool-results', 'dedup', 'summarize']` where there is a summarizer.
   */
  strategy?: Strategy | readonly Strategy[] | undefined;
  /** A window that is built above the high-water mark starts a compaction. Default true. */
  autoCompact?: boolean | undefined;
  /** The share from which on a compaction is due. Default 0.9. */
  highWater?: number | undefined;
  /** The share that it goes down to, in one step. Default 0.5. */
  lowWater?: number | undefined;
  /** A summary has at most this share of the tokens that it stands for. Default 0.3. */
  compressionRatio?: number | undefined;
  /** A compaction that would save less than this share of the tokens is refused. Default 0.1. */
  minSaving?: number | undefined;
  /** Whether a window goes out as it is while the compaction runs (default), or waits for it. */
  background?: boolean | undefined;
  /** Writes summaries: a language model of the AI SDK, or any function. Without one `summarize` does as `extractive`. */
  summarizer?: Summarizer | undefined;
  /** How many tokens the summarizer takes at a time; more are summarised in steps. Default 32 000. */
  modelMaxTokens?: number | undefined;
  /** How long one call of the summarizer may take (milliseconds). Default 60 000. */
  timeoutMs?: number | undefined;
}

const share = z.number().gt(0).lt(1);
const strategy = z.enum(strategies);
const strategySchema = z.union([strategy, z.array(strategy).min(1).max(strategies.length)]);
export const compactionOptionsSchema = z
  .strictObject({
    strategy: strategySchema.optional(),
    autoCompact: z.boolean().optional(),
    highWater: z.number().gt(0).max(1).optional(),
    lowWater: share.optional(),
    compressionRatio: share.optional(),
    minSaving: z.number().min(0).lt(1).optional(),
    background: z.boolean().optional(),
    summarizer: modelSchema.optional(),
    modelMaxTokens: z.int().min(500).optional(),
    timeoutMs: z.int().min(1).max(MAX_TIMER_MS).optional(),
  })
  .refine(({ highWater = HIGH_WATER, lowWater = LOW_WATER }) => lowWater < highWater, {
    path: ['lowWater'],
    message: 'must be below highWater',
  });

const HIGH_WATER = 0.9;
const LOW_WATER = 0.5;

/** The options with their defaults. */
export interface CompactionSettings {
  strategy: readonly Strategy[];
  autoCompact: boolean;
  highWater: number;
  lowWater: number;
  compressionRatio: number;
  minSaving: number;
  background: boolean;
  summarizer: Summarizer | undefined;
  modelMaxTokens: number;
  timeoutMs: number;
}

export function compactionSettings(options: CompactionOptions = {}): CompactionSettings {
  const { strategy, summarizer } = options;
  return {
    strategy: strategiesOf(strategy) ?? ['tool-results', 'dedup', summarizer ? 'summarize' : 'extractive'],
    autoCompact: options.autoCompact ?? true,
    highWater: options.highWater ?? HIGH_WATER,
    lowWater: options.lowWater ?? LOW_WATER,
    compressionRatio: options.compressionRatio ?? 0.3,
    minSaving: options.minSaving ?? 0.1,
    background: options.background ?? true,
    summarizer,
    modelMaxTokens: options.modelMaxTokens ?? 32_000,
    timeoutMs: options.timeoutMs ?? 60_000,
  };
}

export function strategiesOf(
  strategy: Strategy | readonly Strategy[] | undefined,
): readonly Strategy[] | undefined {
  return typeof strategy === 'string' ? [strategy] : strategy;
}

export interface CompactOptions {
  /** In place of the engine's. */
  strategy?: Strategy | readonly Strategy[] | undefined;
  /**
   * What a window with everything is to cost afterwards, system prompt and pinned messages included. Where absent what
   * is beyond those is brought down to `lowWater` of what it is.
   */
  targetTokens?: number | undefined;
  channel?: string | undefined;
  /** Chooses the tokenizer, as for a window. */
  model?: string | undefined;
  /** In place of the engine's. */
  summarizer?: Summarizer | undefined;
  /** Ends it; nothing is changed then. */
  signal?: AbortSignal | undefined;
}

export const compactSchema = z.strictObject({
  strategy: strategySchema.optional(),
  targetTokens: z.int().min(1).max(100_000_000).optional(),
  channel: idSchema.optional(),
  model: idSchema.optional(),
  summarizer: modelSchema.optional(),
  signal: z.instanceof(AbortSignal).optional(),
});
export const compactionsSchema = z.strictObject({
  limit: limitSchema.optional(),
  before: idSchema.optional(),
  channel: idSchema.optional(),
});
export const undoSchema = z.strictObject({ channel: idSchema.optional() });
