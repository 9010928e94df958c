/**
 * `holdfast/testing`: what every store is held to, for any test runner. A store of your own passes it before anything
 * else is built on it.
 */
import { atomicity } from './atomicity.ts';
import { copies } from './copies.ts';
import { counters } from './counters.ts';
import { expiry } from './expiry.ts';
import { hostileIds } from './hostile-ids.ts';
import { idempotency } from './idempotency.ts';
import { indexes } from './indexes.ts';
import { journal } from './journal.ts';
import { lifetime } from './lifetime.ts';
import { logEnds } from './log-ends.ts';
import { logPages } from './log-pages.ts';
import { order } from './order.ts';
import { records } from './records.ts';
import { type ConformanceOptions, createTest, type Test, type TestRunner } from './suite.ts';
import { texts } from './texts.ts';
import { trimming } from './trimming.ts';
import { values } from './values.ts';
import { vectors } from './vectors.ts';
import { versions } from './versions.ts';
import { waiting } from './waiting.ts';

export type { ConformanceOptions, TestRunner } from './suite.ts';

const themes: Readonly<Record<string, (test: Test) => void>> = {
  'a commit is all or nothing': atomicity,
  'appends have one order': order,
  'records change by compare-and-set': versions,
  'counters add up': counters,
  'what is tried again happens once': idempotency,
  'logs are read from both ends': logPages,
  'logs end, begin and are mended': logEnds,
  'records are listed in order': records,
  'indexes follow their records': indexes,
  'the journal tells every commit': journal,
  'the journal is trimmed': trimming,
  'waiting for changes': waiting,
  'partitions expire': expiry,
  'texts are found by their terms': texts,
  'texts are found by their vectors': vectors,
  'a copy is like what was copied': copies,
  'ids are kept, never interpreted': hostileIds,
  'values are kept to the byte': values,
  'a store is opened and closed': lifetime,
};

/**
 * Defines the tests of a store, in a `describe` of its name. What the store's features say it can't do is skipped, and
 * shown as skipped. Give tests a time limit of 30 seconds: those that wait for something hang when it never comes.
 *
 * ```ts
 * import { describe, it } from 'vitest'; // or 'node:test', or jest's globals
 *
 * storeConformance({ describe, it }, {
 *   name: 'sqlite',
 *   features: { persistent: true, shared: true, textSearch: true, vectorSearch: false },
 *   createLocation: () => mkdtemp(join(tmpdir(), 'store-')),
 *   open: (folder) => SqliteStore.open(join(folder, 'store.db')),
 *   removeLocation: (folder) => rm(folder, { recursive: true }),
 * });
 * ```
 */
export function storeConformance<L>(runner: TestRunner, options: ConformanceOptions<L>): void {
  const test = createTest(runner, options);
  runner.describe(`the ${options.name} store`, () => {
    for (const [title, theme] of Object.entries(themes)) runner.describe(title, () => theme(test));
  });
}
