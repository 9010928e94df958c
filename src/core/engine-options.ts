/** What an engine can be told when it is opened. */
import { z } from 'zod';
import type { Clock } from './clock.ts';
import { type CompactionOptions, compactionOptionsSchema } from './compaction/options.ts';
import { type EngineConcurrencyOptions, engineConcurrencySchema } from './concurrency/options.ts';
import { type HealthOptions, healthOptionsSchema } from './health/options.ts';
import { durationSchema, idSchema, parseInput } from './input.ts';
import type { Logger } from './logger.ts';
import { type MemoryOptions, memoryOptionsSchema } from './memory/options.ts';
import { type MonitorOptions, monitorOptionsSchema } from './monitor/options.ts';
import {
  type EmbedderLike,
  type EmbeddingOptions,
  embedderSchema,
  embeddingSchema,
} from './search/embedder.ts';
import { MAX_TIMER_MS, storeOptionsShape } from './store-options.ts';
import type { TokenCounter } from './tokens/counter.ts';
import { type ToolOptions, toolOptionsSchema } from './tools/options.ts';

export interface EngineOptions {
  /** Whose data this is; `default` where absent. Tenants never see each other's data. */
  tenant?: string;
  /** Counts tokens in place of the tokenizers that come along (`o200k_base` where no model is named). */
  tokenCounter?: TokenCounter;
  /**
   * Lets searches go by meaning as well as by words: an embedding model of the AI SDK, or an object of your own. Its
   * vectors are made in the background; no append and no search waits for them.
   */
  embedder?: EmbedderLike;
  /** How the embedder is called. */
  embedding?: EmbeddingOptions;
  /** How often expired sessions are swept and the journal is trimmed (milliseconds; 60 000). 0: never by itself. */
  maintenanceIntervalMs?: number;
  /** How long the journal keeps what has happened (milliseconds; seven days), for subscribers that fall behind. */
  journalKeepMs?: number;
  /** How much is remembered, and for how long: see docs/memory.md. */
  memory?: MemoryOptions | undefined;
  /** Hears of failures in the background: a listener that throws, a sweep that fails. Default: the logger; without one a process warning. */
  onError?: (error: unknown) => void;
  /** How histories are compacted when they get long. Each of the options says its default. */
  compaction?: CompactionOptions;
  /** How many jobs run and wait in {@link ContextEngine.concurrency}: see docs/concurrency.md. */
  concurrency?: EngineConcurrencyOptions | undefined;
  /** After how long without use a session expires that says nothing else (milliseconds). Absent: never. */
  sessionTtlMs?: number | undefined;
  /** What a window may hold that says nothing else (tokens). Absent: each one has to say it. */
  maxTokens?: number | undefined;
  /** What the history of a task may hold that says nothing else (characters of data; 1000). */
  taskMaxSize?: number | undefined;
  /** How it is looked after whether all is well; only when asked for where absent. */
  health?: HealthOptions | undefined;
  /** Is told what happens, one event a line, with ids and never with content: a `pino()`, or what is like it. */
  logger?: Logger | undefined;
  /** What is watched, and how often a point of its history is taken: see docs/monitoring.md. */
  monitor?: MonitorOptions | undefined;
  /** How tools are called: see docs/tools.md. */
  tools?: ToolOptions | undefined;
  clock?: Clock;
}

export const tenantSchema = idSchema.refine(
  (name) => !name.startsWith('$'),
  "must not start with '$', which is reserved",
);
export const engineOptionsSchema = z.strictObject({
  tenant: tenantSchema.optional(),
  tokenCounter: z.custom<TokenCounter>().optional(),
  embedder: embedderSchema.optional(),
  embedding: embeddingSchema.optional(),
  maintenanceIntervalMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
  journalKeepMs: z.number().min(0).optional(),
  memory: memoryOptionsSchema.optional(),
  onError: storeOptionsShape.onError,
  compaction: compactionOptionsSchema.optional(),
  concurrency: engineConcurrencySchema.optional(),
  monitor: monitorOptionsSchema.optional(),
  sessionTtlMs: durationSchema.optional(),
  maxTokens: z.int().min(1).max(100_000_000).optional(),
  taskMaxSize: z.int().min(1).optional(),
  health: healthOptionsSchema.optional(),
  logger: storeOptionsShape.logger,
  tools: toolOptionsSchema.optional(),
  clock: z
    .custom<Clock>(
      (value) => typeof (value as Clock | null)?.now === 'function',
      'expected an object with now()',
    )
    .optional(),
});
const openSchema = engineOptionsSchema.extend(storeOptionsShape);

/** Checks the options of an engine and of the store that is opened for it, before anything is opened. */
export function checkOpenOptions(options: object): void {
  parseInput(openSchema, options, 'ContextEngine.open');
}
