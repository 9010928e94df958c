/** Which URL leads to which store: the one list of them. A store's driver is loaded when it is opened. */
import { ConfigError } from './core/errors.ts';
import { type Logger, loggable } from './core/logger.ts';
import type { Store } from './core/store.ts';
import { checkStoreOptions, type Durability, type StoreOptions } from './core/store-options.ts';
import { filePathOf, schemeOf } from './core/store-url.ts';
import { nearest } from './core/suggest.ts';
import type { RejectedBatch } from './stores/fallback/index.ts';

interface StoreKind {
  readonly schemes: readonly string[];
  readonly example: string;
  /** What it can promise. */
  readonly durabilities: readonly Durability[];
  /** What is wrong with a URL of one of its schemes, as far as that can be told without a driver. */
  problem(url: string): string | undefined;
  open(url: string, options: StoreOptions): Promise<Store>;
  /** Absent where there is no schema to bring up to date. */
  migrate?(url: string, options: MigrateOptions): Promise<Migration>;
}

export interface MigrateOptions {
  /** Only tell what would be run. */
  dryRun: boolean;
  /** Servers: how long to wait for an answer (milliseconds). */
  timeoutMs?: number | undefined;
}

export interface Migration {
  /** The SQL that was run, or would be: a text for each step. Empty where there is nothing to do. */
  readonly statements: readonly string[];
  /** The schema's version before; absent where the store does not tell. */
  readonly version?: number;
}

const kinds: readonly StoreKind[] = [
  {
    schemes: ['memory:'],
    example: 'memory:',
    durabilities: ['normal', 'full'],
    problem: (url) => (url.length > 'memory:'.length ? 'is memory: and nothing more' : undefined),
    async open() {
      const { MemoryStore } = await import('./stores/memory/index.ts');
      return new MemoryStore();
    },
  },
  {
    schemes: ['file:'],
    example: 'file:./agent.db',
    durabilities: ['normal', 'full'],
    problem: (url) => (filePathOf(url) === undefined ? 'names no file' : undefined),
    async open(url, { durability, lockTimeoutMs }) {
      const { SqliteStore } = await import('./stores/sqlite/index.ts');
      return SqliteStore.open(filePathOf(url)!, {
        ...(durability && durability !== 'replicated' && { durability }),
        ...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
      });
    },
    async migrate(url, { dryRun }) {
      const { migrateFile } = await import('./stores/sqlite/migrate.ts');
      return migrateFile(filePathOf(url)!, { dryRun });
    },
  },
  {
    schemes: ['redis://', 'rediss://', 'redis-cluster://'],
    example: 'redis://localhost:6379',
    durabilities: ['normal', 'full', 'replicated'],
    problem: noHost,
    async open(url, options) {
      const { RedisStore } = await import('./stores/redis/index.ts');
      return RedisStore.open(url, serverOptions(options));
    },
  },
  {
    schemes: ['postgres://', 'postgresql://'],
    example: 'postgres://localhost/holdfast',
    durabilities: ['normal', 'full', 'replicated'],
    // The host may be in a parameter, and the path of a socket.
    problem: () => undefined,
    async open(url, options) {
      const { PostgresStore } = await import('./stores/postgres/index.ts');
      return PostgresStore.open(url, serverOptions(options));
    },
    async migrate(url, { dryRun, timeoutMs }) {
      const { PostgresStore } = await import('./stores/postgres/index.ts');
      return { statements: await PostgresStore.migrate(url, { dryRun, ...serverOptions({ timeoutMs }) }) };
    },
  },
];

const schemes = kinds.flatMap((kind) => kind.schemes);

/**
 * Opens the store that a URL names. Its driver is loaded only now.
 * @param url `memory:`, `file:./agent.db` (SQLite), `redis://`, `rediss://`, `redis-cluster://`, `postgres://`
 * @throws ConfigError for a URL that leads nowhere and options that the store can't fulfil, MissingPackageError,
 * StoreCorruptError, NewerSchemaError, StoreUnavailableError
 */
export async function openStore(url: string, options: StoreOptions = {}): Promise<Store> {
  checkStoreOptions(options);
  checkDurability(url, options.durability);
  const { fallback = 'none', logger } = options;
  const onError = options.onError ?? (logger && logFailure(logger));
  if (fallback === 'none') return kindOf(url).open(url, options);
  checkFallbackUrl(fallback);
  if (fallback === url) throw new ConfigError([{ path: 'fallback', message: 'is the store itself' }]);
  const { withFallback } = await import('./stores/fallback/index.ts');
  const { durability, timeoutMs } = options;
  const spool = await openStore(fallback, { durability: durability === 'normal' ? 'normal' : 'full' });
  try {
    return await withFallback(() => kindOf(url).open(url, options), spool, {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(onError && { onError }),
      ...(logger && { onStateChange: logStates(logger), onRejected: logRejected(logger) }),
    });
  } catch (error) {
    await spool.close();
    throw error;
  }
}

/**
 * Brings the schema of the store that a URL names up to date, as opening it does.
 * @returns undefined for a store that has no schema
 */
export async function migrateStore(url: string, options: MigrateOptions): Promise<Migration | undefined> {
  return kindOf(url).migrate?.(url, options);
}

/**
 * Checks a store's URL without loading a driver. @throws ConfigError. Of the URL only the scheme is told
 * @param path what the URL is given as
 */
export function checkStoreUrl(url: string, path = 'store'): void {
  kindOf(url, path);
}

/** Checks what is given as fallback: `none`, or the URL of a store that needs no server. @throws ConfigError */
export function checkFallbackUrl(url: string): void {
  if (url === 'none' || ['memory:', 'file:'].includes(kindOf(url, 'fallback').schemes[0]!)) return;
  throw new ConfigError([{ path: 'fallback', message: 'expected none, memory: or file:PATH' }], {
    hint: 'What is to stand in for a server that is away must not need one itself.',
  });
}

/** The file of a store that is one; undefined for every other. @throws ConfigError */
export function storeFileOf(url: string): string | undefined {
  return kindOf(url).schemes.includes('file:') ? filePathOf(url) : undefined;
}

function kindOf(url: string, path = 'store'): StoreKind {
  const kind = kinds.find((one) => one.schemes.some((scheme) => url.toLowerCase().startsWith(scheme)));
  if (!kind) throw unknown(url, path);
  const problem = kind.problem(url);
  if (problem === undefined) return kind;
  throw new ConfigError([{ path, message: problem }], { hint: `Write ${kind.example}` });
}

function unknown(url: string, path: string): ConfigError {
  const scheme = schemeOf(url);
  const near = scheme && nearest(url.includes('://') ? `${scheme}//` : scheme, schemes);
  const examples = kinds.map((kind) => kind.example).join(', ');
  const what = scheme ? `no store is known for ${scheme}` : 'is not a URL';
  return new ConfigError([{ path, message: `${what}; known are ${schemes.join(', ')}` }], {
    hint: near ? `Did you mean ${near}?` : `Such as ${examples}`,
  });
}

/** A promise that can't be kept is not made. @throws ConfigError */
export function checkDurability(url: string, durability: Durability | undefined): void {
  const { durabilities, schemes } = kindOf(url);
  if (durability === undefined || durabilities.includes(durability)) return;
  const message = `${durability} is not to be had from ${schemes[0]}, only ${durabilities.join(' or ')}`;
  throw new ConfigError([{ path: 'durability', message }], {
    hint: 'Replicas are a matter of Redis and Postgres: leave durability at full.',
  });
}

function noHost(url: string): string | undefined {
  return /^[^:]+:\/\/[^/?#]/.test(url) ? undefined : 'names no host';
}

function logFailure(logger: Logger): (error: unknown) => void {
  return (error) => logger.error({ error: loggable(error) }, 'background work failed');
}

/** Tells of a store that goes away, and of one that is back and has all that the fallback held. */
function logStates(logger: Logger): (fallback: 'normal' | 'degraded' | 'replaying') => void {
  let wasAway = false;
  return (fallback) => {
    if (fallback === 'degraded') logger.warn({ fallback }, 'store away');
    else if (wasAway && fallback === 'normal') logger.info({ fallback }, 'store back');
    if (fallback !== 'replaying') wasAway = fallback === 'degraded';
  };
}

/** Somebody was told that it is kept, and it is not where he looks for it. */
function logRejected(logger: Logger): (rejected: RejectedBatch) => void {
  return ({ seq, batch: { partition }, error: { code } }) => {
    const { tenant, type, id } = partition;
    logger.error(
      { tenant, [type === 'session' ? 'sessionId' : type]: id, seq, code },
      'acknowledged write refused',
    );
  };
}

/** What a store with a server is told. */
interface ServerOptions {
  durability?: Durability;
  timeoutMs?: number;
}

function serverOptions({ durability, timeoutMs }: StoreOptions): ServerOptions {
  return {
    ...(durability && { durability }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}
