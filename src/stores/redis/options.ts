import { ConfigError, type InputIssue } from '../../core/errors.ts';
import { kindOf } from '../../core/ids.ts';
import { DURABILITIES, type Durability, MAX_TIMER_MS } from '../../core/store-options.ts';
import { nearest } from '../../core/suggest.ts';

export interface RedisStoreOptions {
  /**
   * How many shards a new keyspace has, 1 to 4096; 64 unless given. It is fixed from then on: opening it with another
   * number is a `ConfigError`.
   */
  shards?: number | undefined;
  /** What every key begins with: letters, digits, `_`, `-`, `.` and `:`, at most 64. Default `holdfast`. */
  prefix?: string | undefined;
  /**
   * `full` (default) and `normal`: an acknowledged write survives what the server's settings let it survive (its own
   * death with an append-only file and `appendfsync always`). `replicated`: it is also on {@link replicas} replicas of
   * its master before it is acknowledged, and survives a failover to one of those.
   */
  durability?: Durability | undefined;
  /** For `replicated`: how many replicas have to have a write. Default 1. */
  replicas?: number | undefined;
  /** How long a call may take in all, with everything that is tried again (milliseconds; 10 000). */
  timeoutMs?: number | undefined;
}

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** Where to connect to, and how. Never to be shown: it has the password. */
export interface Access {
  readonly nodes: readonly NodeAddress[];
  readonly cluster: boolean;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly database?: number;
}

export interface RedisSettings {
  readonly access: Access;
  /** Undefined: as the keyspace has it, 64 in a new one. */
  readonly shards: number | undefined;
  readonly prefix: string;
  readonly durability: Durability;
  readonly replicas: number;
  readonly timeoutMs: number;
}

const KNOWN = ['shards', 'prefix', 'durability', 'replicas', 'timeoutMs'];
const PARAMETERS = ['shards', 'prefix'];
const URL_FORM = 'redis://[USER:PASSWORD@]HOST[:PORT][/DB] or redis-cluster://HOST:PORT,HOST:PORT';

/** Reads the URL and the options. @throws ConfigError with every problem, and without anything secret */
export function readSettings(url: string, options: RedisStoreOptions): RedisSettings {
  const issues: InputIssue[] = [];
  const { access, parameters } = readUrl(url, issues);
  for (const key of Object.keys(options))
    if (!KNOWN.includes(key)) issues.push(unknown(key, KNOWN, 'options'));
  const fromUrl = parameters.get('shards');
  const shards = options.shards ?? (fromUrl === undefined ? undefined : Number(fromUrl || Number.NaN));
  const prefix = options.prefix ?? parameters.get('prefix') ?? 'holdfast';
  const { durability = 'full', replicas = 1, timeoutMs = 10_000 } = options;
  if (shards !== undefined) addNumber(issues, 'shards', shards, 1, 4096);
  if (typeof prefix !== 'string' || !/^[\w.:-]{1,64}$/.test(prefix)) {
    issues.push({ path: 'prefix', message: 'expected 1 to 64 letters, digits, and _ - . :' });
  }
  if (!DURABILITIES.includes(durability)) {
    issues.push({ path: 'durability', message: `expected one of ${DURABILITIES.join(', ')}` });
  }
  addNumber(issues, 'replicas', replicas, 1, 100);
  addNumber(issues, 'timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
  if (issues.length > 0 || !access) throw new ConfigError(issues);
  return { access, shards, prefix, durability, replicas, timeoutMs };
}

function readUrl(
  url: string,
  issues: InputIssue[],
): { access: Access | undefined; parameters: Map<string, string> } {
  // Several hosts are none of the standard's, so the URL is taken apart here.
  const match = /^(rediss?|redis-cluster):\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(
    url,
  );
  const parameters = new Map<string, string>();
  if (!match) {
    issues.push({ path: 'url', message: `expected ${URL_FORM}` });
    return { access: undefined, parameters };
  }
  const [, scheme, who, hosts, path = '', query = ''] = match;
  const cluster = scheme!.toLowerCase() === 'redis-cluster';
  const known = cluster ? [...PARAMETERS, 'tls'] : PARAMETERS;
  for (const [name, value] of new URLSearchParams(query)) {
    if (known.includes(name)) parameters.set(name, value);
    else issues.push(unknown(name, known, 'url'));
  }
  const tls = parameters.get('tls');
  if (tls !== undefined && tls !== 'true' && tls !== 'false')
    issues.push({ path: 'url.tls', message: 'expected true or false' });
  const nodes = hosts!.split(',').map((host) => readAddress(host, issues));
  if (!cluster && nodes.length > 1)
    issues.push({ path: 'url', message: 'several hosts are a cluster: write redis-cluster://' });
  const database = readDatabase(path, cluster, issues);
  const access: Access = {
    nodes,
    cluster,
    tls: scheme!.toLowerCase() === 'rediss' || tls === 'true',
    ...readUser(who, issues),
    ...(database && { database }),
  };
  return { access, parameters };
}

function readUser(who: string | undefined, issues: InputIssue[]): { username?: string; password?: string } {
  if (who === undefined) return {};
  const cut = who.indexOf(':');
  try {
    const username = decodeURIComponent(cut < 0 ? who : who.slice(0, cut));
    const password = cut < 0 ? '' : decodeURIComponent(who.slice(cut + 1));
    return { ...(username && { username }), ...(password && { password }) };
  } catch {
    issues.push({
      path: 'url',
      message: 'has a user or password with a % that escapes nothing; write it %25',
    });
    return {};
  }
}

function readAddress(text: string, issues: InputIssue[]): NodeAddress {
  const [, v6, name, portText] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = v6 ?? name;
  const port = portText === undefined ? 6379 : Number(portText);
  if (host && port >= 1 && port <= 65_535) return { host, port };
  issues.push({ path: 'url', message: 'has a host that is none: expected HOST:PORT' });
  return { host: '', port: 0 };
}

function readDatabase(path: string, cluster: boolean, issues: InputIssue[]): number | undefined {
  if (path === '') return undefined;
  if (!/^\d{1,4}$/.test(path))
    issues.push({ path: 'url', message: 'expected a number of a database after /' });
  else if (cluster && Number(path) !== 0)
    issues.push({ path: 'url', message: 'a cluster has no databases but 0' });
  return Number(path);
}

function unknown(name: string, known: readonly string[], where: string): InputIssue {
  const near = nearest(name, known);
  const path = where === 'options' ? name : `${where}.${name}`;
  return { path, message: `is unknown; ${near ? `did you mean ${near}?` : `known are ${known.join(', ')}`}` };
}

function addNumber(issues: InputIssue[], path: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  const got = Number.isFinite(value) ? String(value) : kindOf(value);
  issues.push({ path, message: `expected a whole number from ${least} to ${most}, got ${got}` });
}
