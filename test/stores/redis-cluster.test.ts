import { RedisStore } from '../../src/stores/redis/index.ts';
import { storeConformance } from '../../src/testing/index.ts';
import { needs, placesOn } from '../support/servers.ts';

storeConformance(needs('redis-cluster'), {
  name: 'redis cluster',
  features: { persistent: true, shared: true, textSearch: true, vectorSearch: false },
  ...placesOn('redis-cluster'),
  open: (url) => RedisStore.open(url),
});
