/** Engines on the stores of this house, each on a fresh place that is gone after the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, onTestFinished } from 'vitest';
import type { EngineOptions } from '../../src/core/engine.ts';
import { ContextEngine } from '../../src/index.ts';

/** Opens engines in one test. Those of a test on a file share it; of `memory:` each has a store of its own. */
export type OpenEngine = (options?: EngineOptions) => Promise<ContextEngine>;

/** Does its own housekeeping only when told, and lets no failure in the background pass. */
const quiet: EngineOptions = {
  maintenanceIntervalMs: 0,
  onError: (error) => {
    throw error;
  },
};

/** Opens engines on a file that goes away with the test. Ask for several to have them share it. */
export async function onFile(): Promise<OpenEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const engines: ContextEngine[] = [];
  onTestFinished(async () => {
    for (const engine of engines) await engine.close();
    await rm(folder, { recursive: true });
  });
  return async (options) => {
    const url = `file:${join(folder, 'store.db')}`;
    const engine = await ContextEngine.open(url, { durability: 'normal', ...quiet, ...options });
    engines.push(engine);
    return engine;
  };
}

/** Opens an engine in memory that is closed after the test. */
export async function inMemory(options?: EngineOptions): Promise<ContextEngine> {
  const engine = await ContextEngine.open('memory:', { ...quiet, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

/** Runs a suite of tests on each store. `open` gives a test its engine. */
export function onEveryStore(name: string, suite: (open: OpenEngine) => void): void {
  describe(`${name} (memory)`, () => suite(inMemory));
  describe(`${name} (sqlite)`, () => suite(async (options) => (await onFile())(options)));
}

/** A clock that stands still until it is told to move. */
export class FakeClock {
  #now = Date.UTC(2026, 0, 1);

  now(): number {
    return this.#now;
  }
  forward(ms: number): void {
    this.#now += ms;
  }
}

/** A session with nothing in it. */
export async function newSession(engine: ContextEngine, id = 's'): Promise<string> {
  return (await engine.sessions.create({ id, userId: 'u' })).id;
}
