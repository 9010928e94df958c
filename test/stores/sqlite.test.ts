import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { storeConformance } from '../../src/testing/index.ts';

storeConformance(
  { describe, it },
  {
    name: 'sqlite',
    features: { persistent: true, shared: true, textSearch: false },
    createLocation: () => mkdtemp(join(tmpdir(), 'holdfast-')),
    open: (folder) => SqliteStore.open(join(folder, 'store.db')),
    removeLocation: (folder) => rm(folder, { recursive: true }),
  },
);
