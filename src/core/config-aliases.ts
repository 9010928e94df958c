/**
 * Variables that users of similar systems have in their environment, and the settings that mean the same here. They are
 * the weakest layer but the defaults: a generic `REDIS_URL` may well be another program's.
 */
import type { SettingName } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What a variable means here; for documentation. */
export const aliases = {
  REDIS_URL: 'store',
  REDIS_HOST: 'store, with the three below; they count only together with it',
  REDIS_PORT: 'store: the port, 6379 where it is absent',
  REDIS_DB: 'store: the number of the database',
  REDIS_PASSWORD: 'store: the password',
  USE_REDIS_CACHING: 'store: with false, the variables of Redis do not count',
  POSTGRES_URL: 'store, where no Redis is named; with CONTEXT_PERMANENT_BACKEND=postgres an archive',
  CONTEXT_PERMANENT_BACKEND: 'an archive: postgres, clickhouse or none',
  CONTEXT_PG_URL: 'an archive: its URL, before POSTGRES_URL',
  CONTEXT_PG_DATABASE: 'an archive: its database',
  CLICKHOUSE_ENABLED: 'an archive in ClickHouse, where CONTEXT_PERMANENT_BACKEND is absent',
  CLICKHOUSE_HOST: 'an archive: its host',
  CLICKHOUSE_PORT: 'an archive: its port',
  CLICKHOUSE_USER: 'an archive: its user',
  CLICKHOUSE_PASSWORD: 'an archive: its password',
  CLICKHOUSE_DATABASE: 'an archive: its database',
  AIECS_TASK_DIR: 'taskDir',
  AIECS_MAX_CONTEXT_SIZE: 'taskMaxSize',
  AIECS_ENABLE_PERSISTENCE: 'nothing: what is acknowledged is kept; store memory: keeps nothing',
  AIECS_LOG_LEVEL: "logLevel, with Python's names: DEBUG, INFO, WARNING, ERROR, CRITICAL",
  PYTHON_CONTEXT_MANAGER_MAX_TOKENS: 'maxTokens',
  PYTHON_CONTEXT_MANAGER_CACHE_PATH: 'store: holdfast.db in that folder, where no server is named',
  PYTHON_CONTEXT_MANAGER_COMPRESSION_RATIO: 'lowWater: the share of the tokens that compressing goes down to',
  PYTHON_CONTEXT_MANAGER_ENABLE_DEBUG: 'logLevel: debug',
  PYTHON_CONTEXT_MANAGER_DEBUG: 'logLevel: debug',
  SESSION_EXPIRATION_SECONDS: 'sessionTtlMs, in seconds',
  TIME_BASED_EXPIRATION: 'sessionTtlMs: with false, SESSION_EXPIRATION_SECONDS does not count',
  GARBAGE_COLLECTION: 'maintenanceIntervalMs: with false, 0',
  EVENT_EMISSION: 'nothing: events are read from the journal, and cost nothing where nobody listens',
} as const;

export type AliasName = keyof typeof aliases;

/** A setting as aliases have it. */
export interface AliasValue {
  readonly name: SettingName;
  readonly value: unknown;
  /** Which variables say so. */
  readonly variables: readonly AliasName[];
}

/** What became of a variable that is set. */
export interface AliasNote {
  readonly variable: AliasName;
  /** Whether a setting has its value from it. */
  readonly used: boolean;
  /** It asks for something that is not done: somebody should look. */
  readonly warning: boolean;
  readonly message: string;
}

/** A variable that can't be read. `name` is the setting that it would be part of; absent for a switch. */
export interface AliasProblem {
  readonly variable: AliasName;
  readonly name?: SettingName;
  readonly message: string;
}

export interface AliasReading {
  readonly values: readonly AliasValue[];
  readonly notes: readonly AliasNote[];
  readonly problems: readonly AliasProblem[];
}

/** Reads all aliases. Nothing is thrown: which problems matter is for the layers above to say. */
export function readAliases(env: Environment): AliasReading {
  const reader = new AliasReader(env);
  const archive = readArchive(reader);
  readStore(reader, archive);
  readExpiry(reader);
  readLogLevel(reader);
  reader.take('taskDir', 'AIECS_TASK_DIR', (text) => text);
  reader.take('taskMaxSize', 'AIECS_MAX_CONTEXT_SIZE', number);
  reader.take('maxTokens', 'PYTHON_CONTEXT_MANAGER_MAX_TOKENS', number);
  reader.take('lowWater', 'PYTHON_CONTEXT_MANAGER_COMPRESSION_RATIO', number);
  readSwitches(reader);
  return reader;
}

/** Reads variables one by one, and keeps what came of each. */
class AliasReader implements AliasReading {
  readonly values: AliasValue[] = [];
  readonly notes: AliasNote[] = [];
  readonly problems: AliasProblem[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** Undefined where it is absent or empty. */
  text(variable: AliasName): string | undefined {
    return this.#env[variable]?.trim() || undefined;
  }

  /** Those of some variables that are set. */
  given(...variables: AliasName[]): AliasName[] {
    return variables.filter((variable) => this.text(variable) !== undefined);
  }

  /** Undefined where it is absent, or can't be read, which is noted. */
  flag(variable: AliasName): boolean | undefined {
    const text = this.text(variable)?.toLowerCase();
    if (text === undefined) return undefined;
    if (['true', '1', 'yes', 'on'].includes(text)) return true;
    if (['false', '0', 'no', 'off'].includes(text)) return false;
    this.problems.push({ variable, message: 'expected true or false' });
    return undefined;
  }

  /** A setting that one variable says; `read` gives undefined for what can't be read. */
  take(name: SettingName, variable: AliasName, read: (text: string) => unknown): void {
    const text = this.text(variable);
    if (text === undefined) return;
    const value = read(text);
    if (value === undefined) this.problem(variable, name, 'expected a number');
    else this.value(name, value, variable);
  }

  value(name: SettingName, value: unknown, ...variables: AliasName[]): void {
    this.values.push({ name, value, variables });
  }

  note(variables: readonly AliasName[], message: string, warning = false): void {
    for (const variable of variables) this.notes.push({ variable, used: false, warning, message });
  }

  problem(variable: AliasName, name: SettingName, message: string): void {
    this.problems.push({ variable, name, message });
  }
}

const postgresNames = ['CONTEXT_PG_URL', 'POSTGRES_URL', 'CONTEXT_PG_DATABASE'] as const;
const clickhouseNames = [
  'CLICKHOUSE_HOST',
  'CLICKHOUSE_PORT',
  'CLICKHOUSE_USER',
  'CLICKHOUSE_PASSWORD',
  'CLICKHOUSE_DATABASE',
] as const;

/** What is asked for as an archive. There is none yet, and it is said so: nobody is to believe that he has one. */
function readArchive(reader: AliasReader): 'postgres' | 'clickhouse' | 'none' {
  const backend = reader.text('CONTEXT_PERMANENT_BACKEND')?.toLowerCase();
  const enabled = backend === undefined && reader.flag('CLICKHOUSE_ENABLED') === true;
  const kind = enabled ? 'clickhouse' : archiveKind(backend);
  const asking = reader.given('CONTEXT_PERMANENT_BACKEND', 'CLICKHOUSE_ENABLED');
  if (kind === 'none') {
    const known = backend === undefined || NO_ARCHIVE.includes(backend);
    const message = known ? 'no archive is asked for' : 'expected postgres, clickhouse or none';
    reader.note(asking, message, !known);
    const idle = reader.given('CONTEXT_PG_URL', 'CONTEXT_PG_DATABASE', ...clickhouseNames);
    reader.note(idle, 'is of an archive, and none is asked for');
    return kind;
  }
  const own = kind === 'postgres' ? archiveUrl(reader) : clickhouseNames;
  const message = `asks for an archive in ${kind}; this version has none: nothing is archived`;
  reader.note([...asking, ...reader.given(...own)], message, true);
  return kind;
}

const NO_ARCHIVE = ['none', 'off', 'false', 'disabled', '0', 'no'];

function archiveKind(backend = 'none'): 'postgres' | 'clickhouse' | 'none' {
  if (['postgres', 'postgresql', 'pg'].includes(backend)) return 'postgres';
  return ['clickhouse', 'ch'].includes(backend) ? 'clickhouse' : 'none';
}

/** The variables of an archive in Postgres: `POSTGRES_URL` is one of them where there is no URL of its own. */
function archiveUrl(reader: AliasReader): readonly AliasName[] {
  return reader.text('CONTEXT_PG_URL') ? (['CONTEXT_PG_URL', 'CONTEXT_PG_DATABASE'] as const) : postgresNames;
}

const redisNames = ['REDIS_URL', 'REDIS_HOST', 'REDIS_PORT', 'REDIS_DB', 'REDIS_PASSWORD'] as const;

/** Where everything is kept: Redis before Postgres before a folder; each that is set and comes later is told. */
function readStore(reader: AliasReader, archive: 'postgres' | 'clickhouse' | 'none'): void {
  const wanted = reader.flag('USE_REDIS_CACHING');
  const redis = wanted === false ? [] : readRedis(reader);
  if (wanted === false)
    reader.note(reader.given(...redisNames), 'does not count: USE_REDIS_CACHING is false');
  if (wanted !== undefined) reader.note(['USE_REDIS_CACHING'], redisWanted(wanted, redis));
  const archived = archive === 'postgres' && reader.text('CONTEXT_PG_URL') === undefined;
  const postgres = archived ? [] : reader.given('POSTGRES_URL');
  const folder = reader.given('PYTHON_CONTEXT_MANAGER_CACHE_PATH');
  const first = [redis, postgres, folder].find((names) => names.length > 0);
  if (first === undefined) return;
  if (first === postgres) reader.value('store', reader.text('POSTGRES_URL'), 'POSTGRES_URL');
  if (first === folder) reader.value('store', `file:${folderOf(reader)}/holdfast.db`, ...folder);
  const others = [postgres, folder].filter((names) => names !== first).flat();
  reader.note(others, `does not count for the store: ${first[0]} comes before it`, true);
}

function redisWanted(wanted: boolean, named: readonly AliasName[]): string {
  if (!wanted) return 'Redis is not used';
  return named.length > 0 ? 'is as it is' : 'names no server: REDIS_URL or REDIS_HOST does';
}

function folderOf(reader: AliasReader): string {
  const folder = reader.text('PYTHON_CONTEXT_MANAGER_CACHE_PATH')!.replace(/\/+$/, '');
  // A name alone would be a URL's only by chance; as people write it, it is a path.
  return /^\.{0,2}\//.test(`${folder}/`) ? folder : `./${folder}`;
}

/** @returns the variables that say which Redis; none where none do */
function readRedis(reader: AliasReader): readonly AliasName[] {
  const parts = reader.given('REDIS_PORT', 'REDIS_DB', 'REDIS_PASSWORD');
  const url = reader.text('REDIS_URL');
  if (url !== undefined) {
    reader.value('store', url, 'REDIS_URL');
    reader.note([...reader.given('REDIS_HOST'), ...parts], 'does not count: REDIS_URL says it all');
    return ['REDIS_URL'];
  }
  const host = reader.text('REDIS_HOST');
  if (host === undefined) {
    // Orchestrators set REDIS_PORT for whatever runs beside a service called redis.
    reader.note(parts, 'does not count without REDIS_HOST');
    return [];
  }
  const port = reader.text('REDIS_PORT') ?? '6379';
  const database = reader.text('REDIS_DB');
  const place = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  if (!/^([\w.-]+|\[[\da-f:.]+\])$/i.test(place))
    reader.problem('REDIS_HOST', 'store', 'expected the name or address of a host, and nothing more');
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    reader.problem('REDIS_PORT', 'store', 'expected a port from 1 to 65535');
  if (database !== undefined && !/^\d{1,5}$/.test(database))
    reader.problem('REDIS_DB', 'store', 'expected the number of a database');
  const password = reader.text('REDIS_PASSWORD');
  const who = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  reader.value(
    'store',
    `redis://${who}${place}:${port}${database === undefined ? '' : `/${database}`}`,
    'REDIS_HOST',
    ...parts,
  );
  return ['REDIS_HOST', ...parts];
}

function readExpiry(reader: AliasReader): void {
  const byTime = reader.flag('TIME_BASED_EXPIRATION');
  if (byTime === false) {
    reader.value('sessionTtlMs', 0, 'TIME_BASED_EXPIRATION');
    const given = reader.given('SESSION_EXPIRATION_SECONDS');
    reader.note(given, 'does not count: TIME_BASED_EXPIRATION is false');
    return;
  }
  reader.take('sessionTtlMs', 'SESSION_EXPIRATION_SECONDS', (text) => {
    const seconds = number(text);
    return seconds === undefined ? undefined : Math.round(seconds * 1000);
  });
  if (byTime && reader.text('SESSION_EXPIRATION_SECONDS') === undefined)
    reader.note(['TIME_BASED_EXPIRATION'], 'says no time: SESSION_EXPIRATION_SECONDS does', true);
  else if (byTime) reader.note(['TIME_BASED_EXPIRATION'], 'is as it is');
}

const pythonLevels: Readonly<Record<string, string>> = {
  critical: 'fatal',
  warning: 'warn',
  notset: 'trace',
};

function readLogLevel(reader: AliasReader): void {
  const level = reader.text('AIECS_LOG_LEVEL')?.toLowerCase();
  const debug = (['PYTHON_CONTEXT_MANAGER_ENABLE_DEBUG', 'PYTHON_CONTEXT_MANAGER_DEBUG'] as const).filter(
    (variable) => {
      const on = reader.flag(variable);
      if (on === false) reader.note([variable], 'is as it is');
      return on === true;
    },
  );
  if (level !== undefined) {
    reader.value('logLevel', pythonLevels[level] ?? level, 'AIECS_LOG_LEVEL');
    reader.note(debug, 'does not count: AIECS_LOG_LEVEL comes before it');
  } else if (debug.length > 0) reader.value('logLevel', 'debug', ...debug);
}

/** Switches of what is always on here, or can be switched off by a setting. */
function readSwitches(reader: AliasReader): void {
  const collects = reader.flag('GARBAGE_COLLECTION');
  if (collects === false) reader.value('maintenanceIntervalMs', 0, 'GARBAGE_COLLECTION');
  else if (collects) reader.note(['GARBAGE_COLLECTION'], 'is as it is: maintenanceIntervalMs says how often');
  const keeps = reader.flag('AIECS_ENABLE_PERSISTENCE');
  if (keeps !== undefined) {
    const message = keeps
      ? 'is as it is: what is acknowledged is kept'
      : 'changes nothing: what is acknowledged is kept; HOLDFAST_STORE=memory: keeps nothing';
    reader.note(['AIECS_ENABLE_PERSISTENCE'], message, !keeps);
  }
  const emits = reader.flag('EVENT_EMISSION');
  if (emits !== undefined) {
    const message = emits ? 'is as it is' : 'changes nothing: events cost nothing where nobody listens';
    reader.note(['EVENT_EMISSION'], message);
  }
}

function number(text: string): number | undefined {
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
