import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { storeConformance } from '../../src/testing/index.ts';

const runner = { describe, it };
storeConformance(runner, {
  name: 'sqlite',
  features: { persistent: true, shared: true, textSearch: true, vectorSearch: true },
  createLocation: () => mkdtempSync(join(tmpdir(), 'holdfast-')),
  open: (folder) => SqliteStore.open(join(folder, 'store.db')),
  removeLocation: (folder) => rmSync(folder, { recursive: true }),
});
