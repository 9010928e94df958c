/** What `holdfast doctor` finds out. Nothing is changed, no store is made, and no file is left behind. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConfigSource, ResolvedConfig } from '../core/config.ts';
import type { AliasNote } from '../core/config-aliases.ts';
import { ConfigError } from '../core/errors.ts';
import { redactUrl } from '../core/redact-url.ts';
import { type Config, type SettingName, settings } from '../core/settings.ts';
import { checkDurability, migrateStore, openStore, storeFileOf } from '../open-store.ts';
import { type Check, telling } from './checks.ts';
import type { Cli } from './cli.ts';
import { type FullReport, fullReport } from './full-report.ts';
import { Progress } from './progress.ts';
import { checkStoreFile } from './store-file.ts';
import { counted, size } from './text.ts';
import { version } from './version.ts';

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
  let report: FullReport | undefined;
  if (resolved) {
    const { config } = resolved;
    const { facts, ready } = await checkStore(cli, config, checks);
    Object.assign(versions, versionsIn(facts));
    await telling(checks, 'fallback', () => checkSpool(config, checks));
    if (full) report = await fullReport(config, { ready, checks });
  }
  return {
    ok: checks.every((check) => check.ok) && report?.health?.status !== 'unhealthy',
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

interface Asked {
  /** What the store says of itself, or its driver where there is no store yet. */
  facts?: Facts | undefined;
  /** Whether it can be opened without making or changing anything. */
  ready: boolean;
}

async function checkStore(cli: Cli, config: Config, checks: Check[]): Promise<Asked> {
  if (!(await telling(checks, 'store', async () => checkPromises(config)))) return NOT_READY;
  if (config.store === 'memory:') {
    checks.push({ name: 'store', ok: true, message: 'memory: nothing outlives the process' });
    return { ready: true };
  }
  const path = storeFileOf(config.store);
  if (path === undefined)
    return (await telling(checks, 'store', () => askMigrated(config, checks))) ?? NOT_READY;
  checks.push(checkFolder(path));
  if (isFilled(path)) return checkFile(cli, path, config, checks);
  // A file in memory shows that the driver works, and which versions there are.
  const facts = await telling([], 'store', () => askStore({ ...config, store: 'file::memory:' }, []));
  const message = facts
    ? `${path} is not there yet: it is made at first use`
    : 'the SQLite driver could not be loaded';
  checks.push({ name: 'store', ok: facts !== undefined, message });
  return { facts, ready: false };
}

const NOT_READY: Asked = { ready: false };

/** Whether a path leads to something, be it a folder, but an empty file. */
function isFilled(path: string): boolean {
  return existsSync(path) && !(statSync(path).isFile() && statSync(path).size === 0);
}

/** Opens the file, and looks at all of it where opening it was no trouble. */
async function checkFile(cli: Cli, path: string, config: Config, checks: Check[]): Promise<Asked> {
  const { checkWholeFile, leavingNoTraces } = await import('../stores/sqlite/check.ts');
  const asked = await telling(checks, 'store', async () => {
    checkStoreFile(config.store);
    return leavingNoTraces(path, () => askMigrated(config, checks));
  });
  if (!asked) return NOT_READY;
  const sound = await telling(checks, 'pages', async () => {
    await watched(cli, path, () => checkWholeFile(path));
    checks.push({ name: 'pages', ok: true, message: `of ${path} are sound, all of them` });
    return true;
  });
  return sound ? asked : { ...asked, ready: false };
}

/** What acknowledged writes a fallback still holds, of this process's store or of one that was killed. */
async function checkSpool({ fallback, durability, lockTimeoutMs }: Config, checks: Check[]): Promise<void> {
  const path = fallback === 'none' ? undefined : storeFileOf(fallback);
  if (path === undefined) return;
  checks.push({ ...checkFolder(path), name: 'fallback' });
  if (!isFilled(path)) return;
  const { leavingNoTraces } = await import('../stores/sqlite/check.ts');
  const { spoolState } = await import('../stores/fallback/spool-state.ts');
  const state = await leavingNoTraces(path, async () => {
    if ((await migrateStore(fallback, { dryRun: true }))?.statements.length) return undefined;
    const mode = durability === 'normal' ? 'normal' : 'full';
    const spool = await openStore(fallback, { durability: mode, lockTimeoutMs });
    try {
      return await spoolState(spool);
    } finally {
      await spool.close();
    }
  });
  if (!state) return;
  const tell = (message: string, hint: string) =>
    checks.push({ name: 'fallback', ok: true, warning: true, message: `${path} holds ${message}`, hint });
  if (state.waiting > 0)
    tell(
      `${counted(state.waiting, 'write')} that the store does not have yet`,
      'They are brought into the store by whoever opens it with this fallback, as `holdfast serve` does.',
    );
  if (state.rejected > 0)
    tell(
      `${counted(state.rejected, 'write')} that the store refused when replayed`,
      '`rejected()` of the store with its fallback shows them.',
    );
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

/** Opening would bring the schema up to date: where it is not, that is told, and nothing opened. */
async function askMigrated(config: Config, checks: Check[]): Promise<Asked> {
  const { store: url, timeoutMs } = config;
  const migration = await migrateStore(url, { dryRun: true, timeoutMs });
  const pending = migration?.statements.length ?? 0;
  if (pending === 0) return { facts: await askStore(config, checks), ready: true };
  const message = `${redactUrl(url)} answers; ${counted(pending, 'migration')} will run at first use`;
  checks.push({ name: 'store', ok: true, message, hint: '`holdfast migrate --dry-run` shows them.' });
  const schema = migration?.version;
  return { ...(schema !== undefined && { facts: { schemaVersion: schema } }), ready: false };
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
