import { expect } from 'vitest';
import { PostgresStore } from '../../src/stores/postgres/index.ts';
import { storeConformance } from '../../src/testing/index.ts';
import { ids, search, text } from '../../src/testing/texts.ts';
import { commit, partition, times } from '../../src/testing/words.ts';
import { createPlace, needs, placesOn, removePlace } from '../support/servers.ts';

const { describe, it } = needs('pgvector');

/** The server has one session for all: it is asked for what takes no second one while the first is busy. */
const ALONE = /^the postgres|^texts are found/;

storeConformance(
  { describe: (name, body) => ALONE.test(name) && describe(name, body), it },
  {
    name: 'postgres with pgvector',
    features: { persistent: true, shared: true, textSearch: true, vectorSearch: true },
    ...placesOn('pgvector'),
    open: (url) => PostgresStore.open(url, { durability: 'normal' }),
  },
);

describe('vectors in Postgres', () => {
  it('are found beside those that have no direction, no finite numbers, or another length', async () => {
    const url = await createPlace('pgvector');
    const store = await PostgresStore.open(url, { durability: 'normal', listen: false });
    expect((await store.health()).facts.pgvector).toMatch(/^\d+\.\d+/);
    const rows = [
      [0, 0],
      [Number.NaN, 1],
      [1, 2, 3],
      [-1, 0],
      [3, 1],
    ];
    await commit(store, partition(), ...times(9, (i) => text(`${i}`, 'x')));
    for (const [i, row] of rows.entries()) {
      const vectors = [{ key: 'k', values: Buffer.from(new Float32Array(row).buffer).toString('base64') }];
      await commit(store, partition(), { op: 'embed', collection: 'texts', id: `${i}`, model: 'm', vectors });
    }
    const near = { model: 'm', values: Buffer.from(new Float32Array([1, 0]).buffer).toString('base64') };
    expect(ids(await search(store, '', { near, limit: 1 }))).toEqual(['8', '4']);
    expect(ids(await search(store, '', { near, limit: 4 }))).toEqual([
      '8',
      '7',
      '6',
      '5',
      '4',
      '2',
      '1',
      '0',
    ]);
    await store.close();
    await removePlace(url);
  });
});
