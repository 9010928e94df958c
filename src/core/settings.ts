/** Every setting, defined once: its key, its schema, its default, its environment variable, and what it does. */
import { z } from 'zod';
import { durationSchema, idSchema } from './input.ts';
import { type Strategy, strategies } from './model/compaction.ts';
import { DURABILITIES, MAX_TIMER_MS } from './store-options.ts';
import { nearest } from './suggest.ts';

interface Setting<T> {
  readonly schema: z.ZodType<T>;
  readonly default: T;
  /** The environment variable. */
  readonly env: string;
  /** One line, for documentation and help. */
  readonly description: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const memorySize = z.int().min(1).max(1_000_000);
const share = z.number().gt(0).lt(1);
/** Names of strategies, separated by commas. */
const strategyList = z.string().superRefine((list, { addIssue }) => {
  for (const name of strategiesIn(list)) {
    if ((strategies as readonly string[]).includes(name)) continue;
    const near = nearest(name, strategies);
    addIssue(
      `expected one of ${strategies.join(', ')}${near ? `; did you mean ${near}?` : ', or several with commas'}`,
    );
  }
});

/** All settings. */
export const settings = {
  store: setting({
    schema: z.string(),
    default: 'file:./holdfast.db',
    env: 'HOLDFAST_STORE',
    description:
      'where everything is kept: file:PATH (SQLite), redis://, rediss://, redis-cluster://, postgres:// or memory:',
  }),
  fallback: setting({
    schema: z.string(),
    default: 'none',
    env: 'HOLDFAST_FALLBACK',
    description: "what takes writes while the store's server is away: file:PATH, memory: or none",
  }),
  tenant: setting({
    schema: idSchema,
    default: 'default',
    env: 'HOLDFAST_TENANT',
    description: 'whose data this is; tenants never see each other',
  }),
  durability: setting({
    schema: z.enum(DURABILITIES),
    default: 'full',
    env: 'HOLDFAST_DURABILITY',
    description:
      'full: acknowledged writes survive a power cut; normal: they survive the process; replicated: they are on a replica',
  }),
  lockTimeoutMs: setting({
    schema: durationSchema.max(MAX_TIMER_MS),
    default: 10_000,
    env: 'HOLDFAST_LOCK_TIMEOUT_MS',
    description: "how long to wait for another process's write, in a file (milliseconds)",
  }),
  timeoutMs: setting({
    schema: durationSchema.max(MAX_TIMER_MS),
    default: 10_000,
    env: 'HOLDFAST_TIMEOUT_MS',
    description: "how long to wait for a server's answer (milliseconds)",
  }),
  maintenanceIntervalMs: setting({
    schema: z.int().min(0).max(MAX_TIMER_MS),
    default: 60_000,
    env: 'HOLDFAST_MAINTENANCE_INTERVAL_MS',
    description:
      'how often the server sweeps expired sessions and trims the journal (milliseconds); 0: never',
  }),
  journalKeepMs: setting({
    schema: z.int().min(0),
    default: 7 * DAY_MS,
    env: 'HOLDFAST_JOURNAL_KEEP_MS',
    description: 'how long the journal is kept for subscribers that fall behind (milliseconds)',
  }),
  sessionTtlMs: setting({
    schema: z.int().min(0),
    default: 0,
    env: 'HOLDFAST_SESSION_TTL_MS',
    description:
      'after how long without use a session expires that says nothing else (milliseconds); 0: never',
  }),
  maxTokens: setting({
    schema: z.int().min(0).max(100_000_000),
    default: 0,
    env: 'HOLDFAST_MAX_TOKENS',
    description: 'what a window may hold that says nothing else (tokens); 0: each one has to say it',
  }),
  taskDir: setting({
    schema: z.string().min(1),
    default: './tasks',
    env: 'HOLDFAST_TASK_DIR',
    description: 'where task contexts that are in no store have their files, which doctor --full looks at',
  }),
  taskMaxSize: setting({
    schema: z.int().min(1),
    default: 1000,
    env: 'HOLDFAST_TASK_MAX_SIZE',
    description: "how much a task's history may hold once it is optimised (characters of data)",
  }),
  healthIntervalMs: setting({
    schema: z.int().min(0).max(MAX_TIMER_MS),
    default: 30_000,
    env: 'HOLDFAST_HEALTH_INTERVAL_MS',
    description: 'how often the server looks whether all is well (milliseconds); 0: only when asked',
  }),
  memoryShortSize: setting({
    schema: memorySize,
    default: 100,
    env: 'HOLDFAST_MEMORY_SHORT_SIZE',
    description: 'how many short-term memories a user may have',
  }),
  memoryMediumSize: setting({
    schema: memorySize,
    default: 10_000,
    env: 'HOLDFAST_MEMORY_MEDIUM_SIZE',
    description: 'how many medium-term memories a user may have',
  }),
  memoryLongSize: setting({
    schema: memorySize,
    default: 10_000,
    env: 'HOLDFAST_MEMORY_LONG_SIZE',
    description: 'how many long-term memories a user may have',
  }),
  autoCompact: setting({
    schema: z.boolean(),
    default: true,
    env: 'HOLDFAST_AUTO_COMPACT',
    description: 'whether the server compacts a conversation that outgrows its windows: true or false',
  }),
  compactionStrategy: setting({
    schema: strategyList,
    default: 'tool-results,dedup,extractive',
    env: 'HOLDFAST_COMPACTION_STRATEGY',
    description: `how it is made shorter, one after another: ${strategies.join(', ')}`,
  }),
  highWater: setting({
    schema: z.number().gt(0).max(1),
    default: 0.9,
    env: 'HOLDFAST_HIGH_WATER',
    description: "the share of a window's room from which on a compaction is due",
  }),
  lowWater: setting({
    schema: share,
    default: 0.5,
    env: 'HOLDFAST_LOW_WATER',
    description: 'the share that a compaction goes down to; below highWater',
  }),
  compressionRatio: setting({
    schema: share,
    default: 0.3,
    env: 'HOLDFAST_COMPRESSION_RATIO',
    description: 'the share of the tokens it stands for that a summary may have',
  }),
  host: setting({
    schema: z.string().min(1).max(253),
    default: '127.0.0.1',
    env: 'HOLDFAST_HOST',
    description: 'the address that the server listens on',
  }),
  port: setting({
    schema: z.int().min(0).max(65_535),
    default: 7420,
    env: 'HOLDFAST_PORT',
    description: 'the port that the server listens on; 0: any free one',
  }),
  logLevel: setting({
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    default: 'info',
    env: 'HOLDFAST_LOG_LEVEL',
    description: 'how much the server logs: fatal, error, warn, info, debug, trace or silent',
  }),
} as const;

export type SettingName = keyof typeof settings;

export type Config = { [K in SettingName]: z.output<(typeof settings)[K]['schema']> };

/** The strategies that the setting `compactionStrategy` names. */
export function strategiesIn(list: string): Strategy[] {
  return list.split(',').map((name) => name.trim() as Strategy);
}

function setting<S extends z.ZodType>(
  definition: Setting<z.output<S>> & { readonly schema: S },
): Setting<z.output<S>> & { readonly schema: S } {
  return definition;
}
