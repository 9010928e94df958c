import { describe, it } from 'vitest';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { storeConformance } from '../../src/testing/index.ts';

storeConformance(
  { describe, it },
  {
    name: 'memory',
    features: { persistent: false, shared: false, textSearch: true, vectorSearch: true },
    createLocation: () => undefined,
    open: async () => new MemoryStore(),
  },
);
