/** Runs vitest and counts its tests, with the reason of each skip. */
import { startVitest, type TestCase } from 'vitest/node';

export interface Outcome {
  passed: number;
  failed: number;
  skips: Skip[];
  /** What to show; a step that passed says nothing. */
  output?: string;
}

export interface Skip {
  file: string;
  name: string;
  reason: string;
}

/**
 * A test that lacks a server skips itself with `context.skip('needs …')`. In CI, where every server has to be there,
 * such a skip is a failure.
 */
const needsServer = /^needs /;
const inCI = process.env.CI === 'true';

/** Runs all tests. A file that can't be loaded, and an error outside any test, each count as one failure. */
export async function runVitest(root: string): Promise<Outcome> {
  const vitest = await startVitest('test', [], { root, watch: false, reporters: ['dot'] });
  const outcome: Outcome = { passed: 0, failed: vitest.state.getUnhandledErrors().length, skips: [] };
  for (const module of vitest.state.getTestModules()) {
    outcome.failed += module.errors().length;
    for (const suite of module.children.allSuites()) outcome.failed += suite.errors().length;
    for (const test of module.children.allTests()) count(test, outcome);
  }
  await vitest.close();
  return outcome;
}

function count(test: TestCase, outcome: Outcome): void {
  const result = test.result();
  if (result.state === 'passed') outcome.passed += 1;
  if (result.state === 'failed' || result.state === 'pending') outcome.failed += 1;
  if (result.state !== 'skipped') return;
  const file = test.module.relativeModuleId;
  const name = test.fullName;
  const reason = result.note ?? 'its name says why';
  if (inCI && needsServer.test(reason)) {
    outcome.failed += 1;
    outcome.output = `${outcome.output ?? ''}skipped in CI: ${file}: ${name}: ${reason}\n`;
  } else {
    outcome.skips.push({ file, name, reason });
  }
}
