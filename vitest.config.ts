import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    pool: 'forks',
    // Tests start processes and compile snippets on small machines; a hung one still ends.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
