import assert from 'node:assert/strict';
import { EXPIRY_INDEX, PARTITION_INDEX, type Stored } from '../core/store.ts';
import type { Test } from './suite.ts';
import { add, append, commit, fails, from, pages, partition, put, read, times, valueAt } from './words.ts';

export function copies(test: Test): void {
  const p = partition();
  const place = (key: string, order: number) => ({ index: 'by-key', key, order });
  const sorted = ({ indexes = [] }: Stored) =>
    indexes.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, order }) => [key, order]);

  test('gives a record the version that it is told to have, and later ones beyond it', async ({ store }) => {
    const { results } = await commit(store, p, put('a', 1, { version: 5000 }), put('b', 1));
    assert.equal(results[0]!.version, 5000);
    assert.equal((await read(store, p, 'a'))!.version, 5000);
    const next = await commit(store, p, put('a', 2), put('c', 1));
    for (const { version } of next.results) assert.ok(version! > 5000);
  });

  test('gives the version again that a record has, and none before it', async ({ store }) => {
    await commit(store, p, put('a', 1, { version: 500 }));
    await commit(store, p, put('a', 2, { version: 500 }));
    assert.equal(await valueAt(store, p, 'a'), 2);
    await fails(commit(store, p, put('a', 3, { version: 499 }), put('b', 1)), 'conflict');
    assert.equal(await valueAt(store, p, 'a'), 2);
    assert.equal(await read(store, p, 'b'), undefined);
  });

  test(
    'goes beyond a given version in another opened store as well',
    async ({ store, open }) => {
      const other = await open();
      await commit(other, p, put('a', 0));
      await commit(store, p, put('a', 1, { version: 70_000 }));
      const { results } = await commit(other, p, put('a', 2));
      assert.ok(results[0]!.version! > 70_000);
    },
    'shared',
  );

  test('refuses a version that no record can have', async ({ store }) => {
    for (const version of [0, -1, 1.5, 2 ** 60, Number.NaN])
      await fails(commit(store, p, put('a', 1, { version })), 'invalid-input');
    for (const version of [0, 2 ** 60])
      await fails(commit(store, p, append([{ value: '1', version }])), 'invalid-input');
  });

  test('puts a counter that can be added to', async ({ store }) => {
    const counter = { kind: 'count', counter: true };
    await commit(store, p, put('c', { n: 0.1, __proto: -2 }, counter), put('e', {}, counter));
    const { results } = await commit(store, p, add('c', { n: 0.2 }), add('e', { n: 1 }));
    assert.deepEqual({ ...results[0]!.counters }, { n: 0.1 + 0.2, __proto: -2 });
    assert.equal(results[0]!.created, false);
    assert.deepEqual(await valueAt(store, p, 'e', 'count'), { n: 1 });
  });

  test('refuses a counter that holds no numbers', async ({ store }) => {
    for (const value of [null, [1], 'text', { n: 'x' }, { n: null }])
      await fails(commit(store, p, put('c', value, { counter: true })), 'invalid-input');
  });

  test('keeps the versions of entries that were rewritten', async ({ store }) => {
    const { results } = await commit(
      store,
      p,
      append([{ value: '"a"', version: 7, id: 'e', mark: 'm' }, { value: '"b"' }], { startSeq: 4 }),
    );
    assert.deepEqual(results[0]!.seqs, [4, 5]);
    assert.deepEqual((await store.readLog(p, 'log', { limit: 9 })).entries, [
      { seq: 4, id: 'e', value: '"a"', version: 7, mark: 'm' },
      { seq: 5, value: '"b"', version: 1 },
    ]);
    const rewritten = await commit(store, p, {
      op: 'rewrite',
      log: 'log',
      seq: 4,
      value: '"c"',
      ifVersion: 7,
    });
    assert.equal(rewritten.results[0]!.version, 8);
  });

  test('lists whole records: with their places in indexes, and whether they are counters', async ({
    store,
  }) => {
    await commit(store, p, put('a', 1, { indexes: [place('x', 1.5), place('', -2)] }), add('c', { n: 1 }));
    await commit(store, p, put('b', 2));
    const whole = await pages(
      (after) => store.listRecords(p, undefined, { ...from(after), limit: 2, whole: true }),
      2,
    );
    assert.deepEqual(
      whole.map(({ kind, id, counter }) => [kind, id, counter]),
      [
        ['count', 'c', true],
        ['note', 'a', false],
        ['note', 'b', false],
      ],
    );
    assert.deepEqual(sorted(whole[1]!), [
      ['', -2],
      ['x', 1.5],
    ]);
    assert.deepEqual([sorted(whole[0]!), sorted(whole[2]!)], [[], []]);
    const plain = await store.listRecords(p, 'note', { limit: 1 });
    assert.deepEqual(Object.keys(plain.items[0]!).sort(), ['id', 'kind', 'partition', 'value', 'version']);
  });

  test('lists the partitions of all types and tenants', async ({ store }) => {
    const places = [
      ...times(5, (i) => partition(`s${i}`)),
      partition('t', 'default', 'thread'),
      partition('s0', 'other'),
      partition('e', '$system', 'system'),
    ];
    for (const at of places) await commit(store, at, put('a', 1));
    await commit(store, places[4]!, { op: 'drop' });
    places.splice(4, 1);
    const list = (range: object) =>
      pages(
        (after) => store.queryIndex({ index: PARTITION_INDEX, key: '', ...range, ...from(after), limit: 2 }),
        2,
      );
    const names = (hits: Awaited<ReturnType<typeof list>>) =>
      hits.map(({ partition: { tenant, type, id } }) => `${tenant}/${type}/${id}`).sort();
    const wanted = places.map(({ tenant, type, id }) => `${tenant}/${type}/${id}`).sort();
    assert.deepEqual(names(await list({})), wanted);
    assert.deepEqual(names(await list({ reverse: true })), wanted);
    assert.deepEqual(
      names(await list({ tenant: 'default' })),
      wanted.filter((name) => name.startsWith('default/')),
    );
  });

  test('tells of each partition when it expires', async ({ store }) => {
    await commit(store, p, put('a', 1), { op: 'expire', at: 77 });
    const { items } = await store.queryIndex({ index: EXPIRY_INDEX, key: '', limit: 9 });
    assert.deepEqual(
      items.map(({ partition: of, order }) => [of.id, order]),
      [['p', 77]],
    );
  });
}
