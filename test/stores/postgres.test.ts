import { PostgresStore } from '../../src/stores/postgres/index.ts';
import { storeConformance } from '../../src/testing/index.ts';
import { needs, placesOn } from '../support/servers.ts';

storeConformance(needs('postgres'), {
  name: 'postgres',
  features: { persistent: true, shared: true, textSearch: true, vectorSearch: false },
  ...placesOn('postgres'),
  // The test's server syncs nothing; health would tell.
  open: (url) => PostgresStore.open(url, { durability: 'normal' }),
});
