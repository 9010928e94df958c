import { mkdtempSync, rmSync } from 'node:fs';
import { describe, it } from 'vitest';
import { withFallback } from '../../src/stores/fallback/index.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { storeConformance } from '../../src/testing/index.ts';

const runner = { describe, it };
storeConformance(runner, {
  name: 'fallback',
  features: { persistent: true, shared: true, textSearch: true, vectorSearch: true },
  createLocation: () => mkdtempSync('/tmp/holdfast-'),
  open: (folder) => withFallback(() => SqliteStore.open(`${folder}/store.db`), new MemoryStore()),
  removeLocation: (folder) => rmSync(folder, { recursive: true }),
});
