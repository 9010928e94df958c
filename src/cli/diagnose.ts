/** What `holdfast doctor` finds out. Nothing is changed, no store is made, and no file is left behind. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConfigSource, ResolvedConfig } from '../core/config.ts';
import type { AliasNote } from '../core/config-aliases.ts';
import { ConfigError, isHoldfastError } from '../core/errors.ts';
import { redactUrl } from '../core/redact-url.ts';
import { type Config, type SettingName, settings } from '../core/settings.ts';
import { checkDurability, migrateStore, openStore, storeFileOf } from '../open-store.ts';
import type { Cli } from './cli.ts';
import { type FullReport, fullReport } from './full-report.ts';
import { Progress } from './progress.ts';
import { checkStoreFile } from './store-file.ts';
import { counted, size } from './text.ts';
import { version } from './version.ts';

/** One thing that was looked at. */
export interface Check {
  name: string;
  ok: boolean;
  /** It works, and somebody should look at it. */
  warning?: true;
  message: string;
  hint?: string;
}

export interface Diagnosis {
  ok: boolean;
  versions: Record<string, string | number>;
  /** Absent when the settings are wrong: the checks say how. */
  settings?: Record<SettingName, { value: string | number | boolean; source: ConfigSource }>;
  /** What became of each variable of a similar system that is set; absent where none is. */
  aliases?: AliasNote[];
  checks: Check[];
  /** Only where it was asked for. */
  report?: FullReport;
}

type Facts = Readonly<Record<string, string | number | boolean>>;

/** @param options.full adds the {@link FullReport} */
export async function diagnose(cli: Cli, { full = false }: { full?: boolean } = {}): Promise<Diagnosis> {
  const versions: Diagnosis['versions'] = { holdfast: version(), node: process.versions.node };
  const checks: Check[] = [];
  const resolved = await resolveSettings(cli, checks);
  if (resolved) {
    const facts = await checkStore(cli, resolved.config, checks);
    Object.assign(versions, versionsIn(facts));
  }
  const isWell = checks.every((check) => check.ok);
  const report = full && resolved ? await fullReport(resolved.config, isWell) : undefined;
  return {
    ok: isWell && report?.health?.status !== 'unhealthy',
    versions,
    ...(resolved && { settings: settingsOf(resolved) }),
    ...(resolved && resolved.aliases.length > 0 && { aliases: resolved.aliases }),
    checks,
    ...(report && { report }),
  };
}

async function resolveSettings(cli: Cli, checks: Check[]): Promise<ResolvedConfig | undefined> {
  try {
    const resolved = await cli.settings();
    checks.push({ name: 'settings', ok: true, message: 'are complete and valid' });
    checks.push(...aliasChecks(resolved));
    return resolved;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { path, message } of error.issues) {
      checks.push({ name: 'settings', ok: false, message: `${path}: ${message}` });
    }
    return undefined;
  }
}

/** What variables of similar systems ask for, and do not get. */
function aliasChecks({ aliases, config, sources: { store } }: ResolvedConfig): Check[] {
  const checks = aliases.flatMap(({ variable, warning, message }): Check[] =>
    warning ? [{ name: 'variable', ok: true, warning, message: `${variable}: ${message}` }] : [],
  );
  const { default: usual, env } = settings.store;
  const path = storeFileOf(usual)!;
  if (store.from !== 'environment' || store.name === env || !existsSync(path)) return checks;
  const message = `the store is ${redactUrl(config.store)}, as ${store.name} says; ${path} is here, and not used`;
  return [...checks, { name: 'variable', ok: true, warning: true, message, hint: `${env} settles it.` }];
}

/** The versions that a store tells of: of its driver or server, and of its schema. */
function versionsIn(facts: Facts | undefined): Diagnosis['versions'] {
  if (!facts) return {};
  const { sqlite, postgres, server, version: serverVersion, schemaVersion } = facts;
  // A Postgres schema has a name, and so its version another one.
  const schema = schemaVersion ?? (postgres === undefined ? facts.schema : undefined);
  return {
    ...(sqlite !== undefined && { sqlite: String(sqlite) }),
    ...(postgres !== undefined && { postgres: String(postgres) }),
    ...(server !== undefined && { [String(server)]: String(serverVersion) }),
    ...(schema !== undefined && { schema: Number(schema) }),
  };
}

function settingsOf({ config, sources }: ResolvedConfig): NonNullable<Diagnosis['settings']> {
  const names = Object.keys(settings) as SettingName[];
  const entries = names.map((name) => {
    const value = name === 'store' ? redactUrl(config.store) : config[name];
    return [name, { value, source: sources[name] }];
  });
  return Object.fromEntries(entries) as NonNullable<Diagnosis['settings']>;
}

/** @returns what the store says of itself */
async function checkStore(cli: Cli, config: Config, checks: Check[]): Promise<Facts | undefined> {
  if (!(await telling(checks, 'store', async () => checkPromises(config)))) return undefined;
  const spool = config.fallback === 'none' ? undefined : storeFileOf(config.fallback);
  if (spool !== undefined) checks.push({ ...checkFolder(spool), name: 'fallback' });
  if (config.store === 'memory:') {
    checks.push({ name: 'store', ok: true, message: 'memory: nothing outlives the process' });
    return undefined;
  }
  const path = storeFileOf(config.store);
  if (path === undefined) return telling(checks, 'store', () => askServer(config, checks));
  checks.push(checkFolder(path));
  const isThere = existsSync(path) && !(statSync(path).isFile() && statSync(path).size === 0);
  if (isThere) return checkFile(cli, path, config, checks);
  // A file in memory shows that the driver works, and which versions there are.
  const facts = await telling([], 'store', () => askStore({ ...config, store: 'file::memory:' }, []));
  const message = facts
    ? `${path} is not there yet: it is made at first use`
    : 'the SQLite driver could not be loaded';
  checks.push({ name: 'store', ok: facts !== undefined, message });
  return facts;
}

/** Opens the file, and looks at all of it where opening it was no trouble. */
async function checkFile(
  cli: Cli,
  path: string,
  config: Config,
  checks: Check[],
): Promise<Facts | undefined> {
  const { checkWholeFile, leavingNoTraces } = await import('../stores/sqlite/check.ts');
  const facts = await telling(checks, 'store', async () => {
    checkStoreFile(config.store);
    return leavingNoTraces(path, () => askStore(config, checks));
  });
  if (!facts) return undefined;
  await telling(checks, 'pages', async () => {
    await watched(cli, path, () => checkWholeFile(path));
    checks.push({ name: 'pages', ok: true, message: `of ${path} are sound, all of them` });
  });
  return facts;
}

/** @throws ConfigError when the store can't be what the settings want it to be */
function checkPromises({ store, durability, fallback }: Config): true {
  checkDurability(store, durability);
  if (fallback === store) throw new ConfigError([{ path: 'fallback', message: 'is the store itself' }]);
  return true;
}

function checkFolder(file: string): Check {
  const folder = dirname(resolve(file));
  const existing = nearestExisting(folder);
  const name = 'folder';
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
  } catch {
    return { name, ok: false, message: `${existing} is not writable`, hint: 'Choose another with --store.' };
  }
  const made = existing === folder ? '' : ': it is made at first use';
  return { name, ok: true, message: made ? `${folder} is not there yet${made}` : `${folder} is writable` };
}

function nearestExisting(folder: string): string {
  return existsSync(folder) ? folder : nearestExisting(dirname(folder));
}

/** Opening would make the tables that a server does not have yet. */
async function askServer(config: Config, checks: Check[]): Promise<Facts | undefined> {
  const { store: url, timeoutMs } = config;
  const pending = (await migrateStore(url, { dryRun: true, timeoutMs }))?.statements.length ?? 0;
  if (pending === 0) return askStore(config, checks);
  const message = `${redactUrl(url)} answers; ${counted(pending, 'migration')} will run at first use`;
  checks.push({ name: 'store', ok: true, message, hint: '`holdfast migrate --dry-run` shows them.' });
  return undefined;
}

/** @returns what the store says of itself */
async function askStore({ store: url, ...options }: Config, checks: Check[]): Promise<Facts> {
  const { durability, lockTimeoutMs, timeoutMs } = options;
  const store = await openStore(url, { durability, lockTimeoutMs, timeoutMs });
  try {
    const { ok, problems, facts } = await store.health();
    const bytes = Number(facts.sizeBytes ?? facts.usedMemoryBytes ?? 0);
    if (ok) checks.push({ name: 'store', ok, message: `${redactUrl(url)} answers (${size(bytes)})` });
    for (const message of problems)
      checks.push({ name: 'store', ok, message, ...(ok && { warning: true as const }) });
    return facts;
  } finally {
    await store.close();
  }
}

/** Says on a terminal what takes so long. */
async function watched(cli: Cli, path: string, work: () => Promise<void>): Promise<void> {
  const progress = new Progress(cli.err, cli.json);
  progress.count(`Checking every page of ${path} (${size(statSync(path).size)}) …`);
  try {
    await work();
  } finally {
    progress.clear();
  }
}

/** Runs a check; an error of ours is what it found. */
async function telling<T>(checks: Check[], name: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    const message = error instanceof ConfigError ? error.issues[0]!.message : error.message;
    const { hint } = error;
    checks.push({ name, ok: false, message, ...(hint !== undefined && { hint }) });
    return undefined;
  }
}
