/** Engines on the stores of this house, each on a fresh place that is gone after the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, onTestFinished } from 'vitest';
import type { EngineOptions } from '../../src/core/engine-options.ts';
import type { BuildWindow, BuiltWindow } from '../../src/core/window/window.ts';
import { ContextEngine, type StoreOptions } from '../../src/index.ts';
import { CONDITION_MS } from './patience.ts';
import type { ServerName } from './server-names.ts';
import { createPlace, removePlace, serverUrl } from './servers.ts';

const servers: readonly ServerName[] = ['redis', 'redis-cluster', 'postgres'];

/** Opens an engine in a test. */
export type OpenEngine = (options?: EngineOptions) => Promise<ContextEngine>;

/**
 * Does its own housekeeping only when told, waits for its embedder as long as a test does, and lets no failure in the
 * background pass.
 */
const quiet: EngineOptions = {
  embedding: { deadlineMs: CONDITION_MS },
  maintenanceIntervalMs: 0,
  compaction: { autoCompact: false },
  onError: (error) => {
    throw error;
  },
};

/** Makes a place for a store; the engines that one test opens there share it. */
export type MakePlace = () => Promise<OpenEngine>;

/** A file that goes away with the test. */
const onFile: MakePlace = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const remove = () => rm(folder, { recursive: true });
  return openAt(`file:${join(folder, 'store.db')}`, remove, { durability: 'normal' });
};

/** A place of its own on a server. */
async function onServer(name: ServerName): Promise<OpenEngine> {
  const url = await createPlace(name);
  return openAt(url, () => removePlace(url));
}

/** Opens engines that are closed after the test, before the place is removed. */
function openAt(
  url: string,
  remove: () => Promise<void>,
  defaults: Pick<StoreOptions, 'durability'> = {},
): OpenEngine {
  const engines: ContextEngine[] = [];
  onTestFinished(async () => {
    for (const engine of engines) await engine.close();
    await remove();
  });
  return async (options) => {
    const engine = patient(await ContextEngine.open(url, { ...defaults, ...quiet, ...options }));
    engines.push(engine);
    return engine;
  };
}

/** Lets windows recall for as long as that takes: the half second that they have for it is short on a busy machine. */
function patient(engine: ContextEngine): ContextEngine {
  const { window } = engine;
  const build: (id: string, options?: BuildWindow) => Promise<BuiltWindow> = window.build.bind(window);
  window.build = (id: string, options: BuildWindow = {}) => {
    const { recall = true } = options;
    const patiently = typeof recall === 'object' ? recall : {};
    return build(id, { ...options, recall: recall && { deadlineMs: CONDITION_MS, ...patiently } });
  };
  return engine;
}

/** Opens an engine in memory that is closed after the test. */
export async function inMemory(options?: EngineOptions): Promise<ContextEngine> {
  const engine = patient(await ContextEngine.open('memory:', { ...quiet, ...options }));
  onTestFinished(() => engine.close());
  return engine;
}

/** Runs a suite of tests on each store. `open` gives a test its engine. */
export function onEveryStore(name: string, suite: (open: OpenEngine) => void): void {
  describe(`${name} (memory)`, () => suite(inMemory));
  onEverySharedStore(name, (place) => suite(async (options) => (await place())(options)));
}

/** Runs a suite of tests on each store that several processes can have open. `place` gives a test its place. */
export function onEverySharedStore(name: string, suite: (place: MakePlace) => void): void {
  describe(`${name} (sqlite)`, () => suite(onFile));
  for (const server of servers) {
    describe(`${name} (${server})`, () => {
      beforeEach(async (context) => void (await serverUrl(server, context)));
      suite(() => onServer(server));
    });
  }
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
