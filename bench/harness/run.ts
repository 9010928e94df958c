/** Runs one bench: gives it its context, cleans up after it whatever happens, and reports. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importPeer } from './peers.ts';
import { ProgressBar } from './progress.ts';
import { judge, machine, ownVersions, withoutCredentials } from './report.ts';
import { storeUrl } from './stores.ts';
import type { Bench, Context, Report } from './types.ts';

export interface RunOptions {
  readonly store?: string;
  readonly data?: string;
  /** The bench's own options. */
  readonly options?: Readonly<Record<string, unknown>>;
}

export async function runBench(bench: Bench, given: RunOptions = {}): Promise<Report> {
  const started = performance.now();
  const bar = new ProgressBar();
  await using resources = new AsyncDisposableStack();
  const store = await storeUrl(given.store ?? bench.store, resources);
  const context = createContext(bench, { ...given, store }, resources, bar);
  const stop = onSignal(async () => {
    bar.clear();
    await resources.disposeAsync();
  });
  try {
    const rows = (await bench.run(context)).map(judge);
    return {
      name: bench.name,
      rows,
      store: context.store === undefined ? null : withoutCredentials(context.store),
      versions: context.versions,
      machine: machine(),
      durationMs: Math.round(performance.now() - started),
    };
  } finally {
    bar.clear();
    stop();
  }
}

function createContext(
  bench: Bench,
  given: Omit<RunOptions, 'store'> & { store: string | undefined },
  resources: AsyncDisposableStack,
  bar: ProgressBar,
): Context {
  const versions = ownVersions();
  return {
    store: given.store,
    data: given.data,
    options: given.options ?? {},
    resources,
    versions,
    progress: (done, total, what) => bar.show(done, total, what),
    async temporaryFolder() {
      const folder = await mkdtemp(join(tmpdir(), `holdfast-${bench.name}-`));
      resources.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
      return folder;
    },
    async peer<T>(specifier: string) {
      const { module, packageName, version } = await importPeer<T>(specifier);
      versions[packageName] = version;
      return module;
    },
  };
}

/** Cleans up before Ctrl-C or a kill ends the process. Returns what takes the handler away again. */
function onSignal(cleanUp: () => Promise<void>): () => void {
  const end = (signal: NodeJS.Signals) => {
    cleanUp().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  return () => process.off('SIGINT', end).off('SIGTERM', end);
}
