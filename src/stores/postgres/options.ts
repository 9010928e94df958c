import { type Clock, systemClock } from '../../core/clock.ts';
import { ConfigError, type InputIssue, InvalidInputError } from '../../core/errors.ts';
import { kindOf } from '../../core/ids.ts';
import { DURABILITIES, type Durability, MAX_TIMER_MS } from '../../core/store-options.ts';
import { nearest } from '../../core/suggest.ts';

export interface PostgresStoreOptions {
  /** Where the tables are: a schema of their own in the database, made where it is not there. Default `holdfast`. */
  schema?: string;
  /** The most connections of the store's own pool, one for listening not counted. Default 10. */
  maxConnections?: number;
  /**
   * `full` (default): an acknowledged write is on the server's disk. `normal`: the server's crash may take the last
   * moments. `replicated`: a synchronous standby has it as well; `ConfigError` where the server has none.
   */
  durability?: Durability;
  /** How long a call may take in all, attempts to connect again included (milliseconds). Default 10 000. */
  timeoutMs?: number;
  /**
   * How to hear of other processes' commits. `auto` (default): by `LISTEN`, and by looking where that does not arrive
   * (PgBouncer in transaction mode). A URL: `LISTEN` there. `false`: only by looking.
   */
  listen?: 'auto' | false | string;
  /** Whether opening brings the tables up to date. Default true; with false, tables that are behind are an error. */
  migrate?: boolean;
  /** Time stamps of the journal. Default: the system's clock. */
  clock?: Clock;
}

export type Settings = Required<PostgresStoreOptions>;

const KNOWN = ['schema', 'maxConnections', 'durability', 'timeoutMs', 'listen', 'migrate', 'clock'];
const OWN_PARAMETERS = ['schema', 'maxConnections', 'listen'] as const;
const MAX_CONNECTIONS = 1000;
/** Postgres cuts longer names off without a word. */
const MAX_NAME_BYTES = 63;

/** Defaults filled in. @throws InvalidInputError with every problem */
export function settingsOf(options: PostgresStoreOptions): Settings {
  const issues: InputIssue[] = [];
  for (const key of Object.keys(options)) if (!KNOWN.includes(key)) issues.push(unknown(key));
  const settings: Settings = {
    schema: options.schema ?? 'holdfast',
    maxConnections: options.maxConnections ?? 10,
    durability: options.durability ?? 'full',
    timeoutMs: options.timeoutMs ?? 10_000,
    listen: options.listen ?? 'auto',
    migrate: options.migrate ?? true,
    clock: options.clock ?? systemClock,
  };
  const schemaProblem = problemOfSchema(settings.schema);
  if (schemaProblem) issues.push({ path: 'schema', message: schemaProblem });
  addCount(issues, 'maxConnections', settings.maxConnections, MAX_CONNECTIONS);
  addCount(issues, 'timeoutMs', settings.timeoutMs, MAX_TIMER_MS);
  if (!DURABILITIES.includes(settings.durability)) issues.push(badDurability(settings.durability));
  const { listen } = settings;
  if (listen !== 'auto' && listen !== false && !isPostgresUrl(listen)) {
    issues.push({ path: 'listen', message: "expected 'auto', false or a postgres:// URL" });
  }
  if (typeof settings.migrate !== 'boolean') {
    issues.push({ path: 'migrate', message: `expected true or false, got ${kindOf(settings.migrate)}` });
  }
  if (typeof (settings.clock as Partial<Clock> | null)?.now !== 'function') {
    issues.push({ path: 'clock', message: `expected a clock with now(), got ${kindOf(settings.clock)}` });
  }
  if (issues.length > 0) throw new InvalidInputError('PostgresStore.open: options', issues);
  return settings;
}

/**
 * Takes our own parameters (`schema`, `maxConnections`, `listen`) out of a URL; what is left is the driver's.
 * @throws ConfigError, also for a parameter that is nearly one of ours; it never carries the URL, which may hold a
 * password
 */
export function splitUrl(url: string): { url: string; options: PostgresStoreOptions } {
  if (!isPostgresUrl(url)) {
    const message = 'expected a URL that begins with postgres:// or postgresql://';
    throw new ConfigError([{ path: 'store', message }]);
  }
  // Not with URL: it would rewrite sockets' paths and several hosts, which the driver reads by itself.
  const mark = url.indexOf('?');
  if (mark < 0) return { url, options: {} };
  const parameters = new URLSearchParams(url.slice(mark + 1));
  const own: Record<string, string> = {};
  for (const name of OWN_PARAMETERS) {
    const value = parameters.get(name);
    if (value !== null) own[name] = value;
    parameters.delete(name);
  }
  // All others are the driver's, and none of those looks like ours.
  for (const name of parameters.keys()) {
    const near = nearest(name, OWN_PARAMETERS);
    if (near)
      throw new ConfigError([{ path: 'store', message: `has a parameter ${name}, did you mean ${near}?` }]);
  }
  const { schema, maxConnections, listen } = own;
  return {
    url: url.slice(0, mark) + (parameters.size > 0 ? `?${parameters}` : ''),
    options: {
      ...(schema !== undefined && { schema }),
      ...(maxConnections !== undefined && { maxConnections: Number(maxConnections) }),
      ...(listen !== undefined && { listen: listen === 'false' ? false : listen }),
    },
  };
}

function isPostgresUrl(value: unknown): value is string {
  return typeof value === 'string' && /^postgres(ql)?:\/\//.test(value);
}

function problemOfSchema(schema: unknown): string | undefined {
  if (typeof schema !== 'string' || schema === '') return `expected a name, got ${kindOf(schema)}`;
  if (schema.includes('\0') || !schema.isWellFormed()) return 'has a character that no name can have';
  if (Buffer.byteLength(schema) > MAX_NAME_BYTES) return `is longer than ${MAX_NAME_BYTES} bytes`;
  if (/^pg_/i.test(schema)) return "begins with pg_, as only Postgres's own schemas do";
  if (schema === 'information_schema') return "is Postgres's own";
  return undefined;
}

function unknown(key: string): InputIssue {
  const near = nearest(key, KNOWN);
  const hint = near ? `, did you mean ${near}?` : `; known are ${KNOWN.join(', ')}`;
  return { path: key, message: `is unknown${hint}` };
}

function badDurability(value: unknown): InputIssue {
  return { path: 'durability', message: `expected one of ${DURABILITIES.join(', ')}, got ${kindOf(value)}` };
}

function addCount(issues: InputIssue[], path: string, value: unknown, most: number): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most) return;
  const got = typeof value === 'number' ? String(value) : kindOf(value);
  issues.push({ path, message: `expected a whole number from 1 to ${most}, got ${got}` });
}
