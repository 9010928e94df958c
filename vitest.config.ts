import { defineConfig } from 'vitest/config';
import { CONDITION_MS, TEST_MS } from './test/support/patience.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: 'test/support/wait-for.ts',
    pool: 'forks',
    // Left to itself, vitest runs one file at a time on two cores, and most of them wait for servers and timers.
    maxWorkers: 2,
    testTimeout: TEST_MS,
    hookTimeout: TEST_MS,
    teardownTimeout: TEST_MS,
    expect: { poll: { timeout: CONDITION_MS } },
  },
});
