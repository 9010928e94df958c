/** Every setting, defined once: its key, its schema, its default, its environment variable, and what it does. */
import { z } from 'zod';
import { ConfigError, type InputIssue } from './errors.ts';
import { kindOf } from './ids.ts';
import { durationSchema, idSchema, inputIssues } from './input.ts';
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

/** Where a value came from. `name` is what to look for: `--port`, `HOLDFAST_PORT`, the file's path. */
export interface ConfigSource {
  from: 'option' | 'environment' | 'file' | 'default';
  name: string;
}

/** The layers of configuration, the strongest first. Values of options and of the environment may be text. */
export interface ConfigInput {
  options?: Readonly<Record<string, unknown>>;
  /** Only `HOLDFAST_…` variables are looked at; an empty one counts as absent. */
  env?: Readonly<Record<string, string | undefined>>;
  /** What the config file holds, parsed. */
  file?: { readonly path: string; readonly value: unknown } | undefined;
  /** Judges URLs, which are known to no one in core. Throws ConfigError. */
  urls?: Readonly<Partial<Record<'store' | 'fallback', (url: string) => void>>>;
}

export interface ResolvedConfig {
  config: Config;
  sources: Record<SettingName, ConfigSource>;
}

/** Names the config file. Not a setting: it says where settings are. */
export const CONFIG_FILE_VARIABLE = 'HOLDFAST_CONFIG';

const names = Object.keys(settings) as SettingName[];

/** One value of one layer. */
interface Given {
  name: SettingName;
  value: unknown;
  source: ConfigSource;
  /** How a problem names the place. */
  place: string;
}

/**
 * Settles every setting: options beat the environment, which beats the file, which beats the defaults.
 * @throws ConfigError with all problems of all layers, each with its place; unknown names get the nearest known one
 */
export function resolveConfig({ options = {}, env = {}, file, urls = {} }: ConfigInput): ResolvedConfig {
  const issues: InputIssue[] = [];
  const layers = [fromFile(file, issues), fromEnvironment(env, issues), fromOptions(options, issues)];
  const config: Record<string, unknown> = {};
  const places: Partial<Record<SettingName, string>> = {};
  const sources: Record<string, ConfigSource> = {};
  for (const name of names) {
    config[name] = settings[name].default;
    sources[name] = { from: 'default', name: 'default' };
  }
  // A value that a stronger layer overrides is judged all the same: it is wrong where it stands.
  for (const { name, value, source, place } of layers.flat()) {
    const { schema } = settings[name];
    const parsed = (schema as z.ZodType).safeParse(value);
    if (Number.isNaN(value))
      issues.push({ path: place, message: 'expected number, got text that is no number' });
    else if (parsed.error)
      issues.push(...inputIssues(parsed.error, value, schema).map((issue) => at(place, issue)));
    else if (name === 'store' || name === 'fallback')
      issues.push(...urlIssues(urls[name], parsed.data as string, place));
    config[name] = parsed.data;
    places[name] = place;
    sources[name] = source;
  }
  issues.push(...waterIssues(config as Config, places));
  if (issues.length > 0) throw new ConfigError(issues);
  return { config: config as Config, sources: sources as Record<SettingName, ConfigSource> };
}

function waterIssues(
  { lowWater, highWater }: Config,
  places: Partial<Record<SettingName, string>>,
): InputIssue[] {
  if (!(lowWater >= highWater)) return [];
  return places.lowWater !== undefined
    ? [{ path: places.lowWater, message: `must be below highWater, which is ${highWater}` }]
    : [{ path: places.highWater!, message: `must be above lowWater, which is ${lowWater}` }];
}

/** The strategies that the setting `compactionStrategy` names. */
export function strategiesIn(list: string): Strategy[] {
  return list.split(',').map((name) => name.trim() as Strategy);
}

function urlIssues(check: ((url: string) => void) | undefined, url: string, place: string): InputIssue[] {
  try {
    check?.(url);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [{ path: place, message: `${error.issues[0]!.message}. ${error.hint ?? ''}`.trim() }];
  }
}

function setting<S extends z.ZodType>(
  definition: Setting<z.output<S>> & { readonly schema: S },
): Setting<z.output<S>> & { readonly schema: S } {
  return definition;
}

function fromOptions(options: Readonly<Record<string, unknown>>, issues: InputIssue[]): Given[] {
  return Object.entries(options).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const place = optionName(key);
    const name = known(key, names, place, issues);
    return name ? [{ name, value: typed(name, value), source: { from: 'option', name: place }, place }] : [];
  });
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>, issues: InputIssue[]): Given[] {
  const byVariable = new Map(names.map((name) => [settings[name].env, name]));
  const variables = [...byVariable.keys(), CONFIG_FILE_VARIABLE];
  return Object.entries(env).flatMap(([variable, text]): Given[] => {
    if (!variable.startsWith('HOLDFAST_') || text === undefined || text === '') return [];
    if (variable === CONFIG_FILE_VARIABLE || !known(variable, variables, variable, issues)) return [];
    const name = byVariable.get(variable)!;
    const source = { from: 'environment', name: variable } as const;
    return [{ name, value: typed(name, text), source, place: variable }];
  });
}

function fromFile(file: ConfigInput['file'], issues: InputIssue[]): Given[] {
  if (!file) return [];
  const { path, value: content } = file;
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    issues.push({ path, message: `expected an object, got ${kindOf(content)}` });
    return [];
  }
  return Object.entries(content).flatMap(([key, value]) => {
    const place = `${path}: ${key}`;
    const name = known(key, names, place, issues);
    return name ? [{ name, value, source: { from: 'file', name: path }, place }] : [];
  });
}

function known<T extends string>(
  name: string,
  all: readonly T[],
  place: string,
  issues: InputIssue[],
): T | undefined {
  if ((all as readonly string[]).includes(name)) return name as T;
  const near = nearest(name, all);
  const help = near ? `, did you mean ${near}?` : `; known are ${all.join(', ')}`;
  issues.push({ path: place, message: `is unknown${help}` });
  return undefined;
}

/** Options and the environment are text: numbers, true and false are read from it; NaN is text that is no number. */
function typed(name: SettingName, value: unknown): unknown {
  const kind = typeof settings[name].default;
  if (kind === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  if (kind !== 'number' || typeof value !== 'string') return value;
  const number = value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : Number.NaN;
}

function at(place: string, { path, message }: InputIssue): InputIssue {
  return { path: path ? `${place}.${path}` : place, message };
}

/** `lockTimeoutMs` → `--lock-timeout-ms` */
function optionName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
