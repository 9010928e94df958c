import { RedisStore } from '../../src/stores/redis/index.ts';
import { storeConformance } from '../../src/testing/index.ts';
import { needs, placesOn } from '../support/servers.ts';

storeConformance(needs('redis'), {
  name: 'redis',
  features: { persistent: true, shared: true, textSearch: true, vectorSearch: false },
  ...placesOn('redis'),
  open: (url) => RedisStore.open(url),
});
