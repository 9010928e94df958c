/** What `holdfast doctor --full` finds out besides: for whoever has to find out what is wrong from afar. No secrets. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, freemem, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { isHoldfastError } from '../core/errors.ts';
import type { HealthDiagnosis } from '../core/health/health.ts';
import type { Totals } from '../core/monitor/census.ts';
import type { Config } from '../core/settings.ts';
import { taskContext } from '../core/tasks/standalone.ts';
import type { FolderReport } from '../core/tasks/task-folder.ts';
import { storeFileOf } from '../open-store.ts';
import { type Check, telling } from './checks.ts';
import { packageJson } from './version.ts';

export interface FullReport {
  /** When it was made (ISO 8601). */
  at: string;
  system: {
    platform: string;
    arch: string;
    cpus: number;
    memoryBytes: number;
    freeMemoryBytes: number;
  };
  /** Versions of what is optional; `not installed` where it is not there. */
  packages: Record<string, string>;
  /** The tasks in `taskDir` that are in no store; absent where there is no such folder. */
  tasks?: FolderReport;
  /** Absent where there is no store yet, or it can't be opened: the checks say why. */
  health?: HealthDiagnosis;
  /** What there is in the tenant; absent where counting takes too long. */
  totals?: Totals;
  recommendations: string[];
}

/** How long it may take to count what there is (milliseconds). */
const COUNTING_MS = 10_000;

interface Found {
  /** Whether the store can be opened without making or changing anything. */
  ready: boolean;
  /** Where it is told what can't be found out: the rest of the report comes all the same. */
  checks: Check[];
}

export async function fullReport(config: Config, { ready, checks }: Found): Promise<FullReport> {
  const asked = ready ? await telling(checks, 'health', () => askEngine(config)) : undefined;
  const tasks = await tasksIn(config.taskDir, checks);
  return {
    at: new Date().toISOString(),
    system: {
      platform: platform(),
      arch: process.arch,
      cpus: availableParallelism(),
      memoryBytes: totalmem(),
      freeMemoryBytes: freemem(),
    },
    packages: optionalPackages(),
    ...asked,
    ...(tasks && { tasks }),
    recommendations: [
      ...(asked?.health.recommendations ?? []),
      ...(tasks?.suggestions ?? []),
      ...adviceOn(config),
    ],
  };
}

/** Undefined where there is no such folder, or it can't be read: it may be somebody else's. */
async function tasksIn(taskDir: string, checks: Check[]): Promise<FolderReport | undefined> {
  if (!existsSync(taskDir)) return undefined;
  try {
    return await taskContext.diagnose({ taskDir });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    const { code = error.code } = (error.cause ?? {}) as NodeJS.ErrnoException;
    const message = `${taskDir} can't be read as a folder of tasks (${code})`;
    checks.push({ name: 'tasks', ok: true, warning: true, message, hint: 'taskDir names another one.' });
    return undefined;
  }
}

type Asked = { health: HealthDiagnosis; totals?: Totals };

/** Asks an engine on the store: nothing is changed. */
async function askEngine(config: Config): Promise<Asked> {
  const path = storeFileOf(config.store);
  if (path === undefined) return onEngine(config);
  const { leavingNoTraces } = await import('../stores/sqlite/check.ts');
  return leavingNoTraces(path, () => onEngine(config));
}

async function onEngine({ store, ...config }: Config): Promise<Asked> {
  const { tenant, durability, timeoutMs, lockTimeoutMs, journalKeepMs } = config;
  const { ContextEngine } = await import('../index.ts');
  await using engine = await ContextEngine.open(store, {
    tenant,
    durability,
    timeoutMs,
    lockTimeoutMs,
    journalKeepMs,
    maintenanceIntervalMs: 0,
    compaction: { autoCompact: false },
  });
  const health = await engine.health.diagnose();
  const { totals } = await engine.monitor.snapshot({ waitMs: COUNTING_MS });
  return { health, ...(totals && { totals }) };
}

/** What the settings leave to wish for. */
function adviceOn({ store, fallback, maintenanceIntervalMs, healthIntervalMs }: Config): string[] {
  const isServer = /^(redis|postgres)/i.test(store);
  return [
    ...(isServer && fallback === 'none'
      ? ["fallback: with file:PATH, writes are taken while the store's server is away"]
      : []),
    ...(maintenanceIntervalMs === 0
      ? ['maintenanceIntervalMs: 0 leaves expired sessions and the journal to another process']
      : []),
    ...(healthIntervalMs === 0
      ? ['healthIntervalMs: with 0 the log does not tell when something is wrong']
      : []),
  ];
}

function optionalPackages(): Record<string, string> {
  const names = Object.keys(packageJson().peerDependencies ?? {});
  return Object.fromEntries(names.map((name) => [name, versionOf(name) ?? 'not installed']));
}

/** Not by importing it: that would run it. */
function versionOf(name: string): string | undefined {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const path = folders.map((folder) => join(folder, name, 'package.json')).find(existsSync);
  return path && (JSON.parse(readFileSync(path, 'utf8')) as { version?: string }).version;
}
