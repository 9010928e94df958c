import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    pool: 'forks',
    // Left to itself, vitest runs one file at a time on two cores, and most of them wait for servers and timers.
    maxWorkers: 2,
    // Tests start processes and compile snippets on small machines; a hung one still ends.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
