import { describe, it } from 'vitest';
import { Instruments } from '../../src/core/monitor/instruments.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { storeConformance } from '../../src/testing/index.ts';

storeConformance(
  { describe, it },
  {
    name: 'instrumented',
    features: { persistent: false, shared: false, textSearch: true, vectorSearch: true },
    createLocation: () => undefined,
    open: async () => new Instruments(new MemoryStore()).store,
  },
);
