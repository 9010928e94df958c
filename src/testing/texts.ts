import assert from 'node:assert/strict';
import type { Operation, Partition, Store, TextHit, TextMatches, TextQuery } from '../core/store.ts';
import type { Test } from './suite.ts';
import { atLeast, commit, fails, follow, partition, put, times } from './words.ts';

type Index = Operation & { op: 'index' };

export function texts(all: Test): void {
  const test: Test = (name, body) => all(name, body, 'textSearch');
  const p = partition();

  test('finds the documents of a partition that hold a term', async ({ store }) => {
    await commit(store, p, text('1', 'red apple'), text('2', 'green apple'), text('3', 'blue sky'));
    const found = await search(store, 'apple', { limit: 2 });
    assert.deepEqual(ids(found), ['2', '1']);
    assert.deepEqual([found.documents, found.counts], [3, [2]]);
    const { partition: at, id, order, value, vectors } = found.hits[0]!;
    assert.deepEqual([at, id, order, value, vectors], [p, '2', 2, '{"of":"2"}', undefined]);
  });

  test('scores a document by the sum of the idf of the terms it holds', async ({ store }) => {
    await commit(store, p, text('1', 'a b'), text('2', 'a c'), text('3', 'a'), text('4', 'd'));
    const { hits, counts, documents } = await search(store, 'a b missing', { limit: 3 });
    assert.deepEqual([documents, counts], [4, [3, 1, 0]]);
    const idf = (count: number) => Math.log(1 + (4 - count + 0.5) / (count + 0.5));
    assert.deepEqual(
      hits.map(({ id, score }) => [id, score]),
      [
        ['1', idf(3) + idf(1)],
        ['3', idf(3)],
        ['2', idf(3)],
      ],
    );
  });

  test('orders documents that match alike by their order, and then by partition and id', async ({
    store,
  }) => {
    await commit(store, partition('b'), text('2', 'x', { order: 5 }), text('1', 'x', { order: 5 }));
    await commit(store, partition('a'), text('9', 'x', { order: 5 }), text('8', 'x', { order: 7 }));
    const found = await search(store, 'x', { within: { scope: 'u' } });
    assert.deepEqual(
      found.hits.map((hit) => hit.partition.id + hit.id),
      ['a8', 'a9', 'b1', 'b2'],
    );
    const cut = await search(store, 'x', { within: { scope: 'u' }, limit: 3 });
    assert.deepEqual(cut.hits, found.hits.slice(0, 3));
  });

  test('fills up with the newest documents where fewer match', async ({ store }) => {
    await commit(store, p, ...times(6, (i) => text(String(i), i === 1 ? 'match' : 'other')));
    const { hits } = await search(store, 'match', { limit: 4 });
    assert.deepEqual(
      hits.map(({ id, score }) => [id, score > 0]),
      [
        ['1', true],
        ['5', false],
        ['4', false],
        ['3', false],
      ],
    );
    assert.deepEqual(ids(await search(store, '', { limit: 2 })), ['5', '4']);
    assert.deepEqual(ids(await search(store, 'match', { limit: 0 })), []);
  });

  test('finds across partitions by scope, and nothing of another scope, tenant or collection', async ({
    store,
  }) => {
    const other = partition('p', 'other');
    await commit(store, partition('one'), text('1', 'x'), text('1', 'x', { collection: 'notes' }));
    await commit(store, partition('two'), text('2', 'x'), text('3', 'x', { scope: 'v' }));
    await commit(store, other, text('4', 'x'));
    assert.deepEqual(ids(await search(store, 'x', { within: { scope: 'u' } })), ['2', '1']);
    assert.deepEqual(ids(await search(store, 'x', { within: { partition: partition('two') } })), ['3', '2']);
    assert.deepEqual(ids(await search(store, 'x', { within: { scope: 'nobody' } })), []);
    assert.deepEqual(ids(await search(store, 'x', { within: { partition: other }, tenant: 'other' })), ['4']);
    assert.deepEqual(ids(await search(store, 'x', { within: { scope: 'u' }, collection: 'notes' })), ['1']);
  });

  test("gives the same hits and scores whatever another's documents are", async ({ store }) => {
    await commit(store, p, ...times(8, (i) => text(String(i), i % 2 ? 'apple pie' : 'apple')));
    const before = await search(store, 'apple pie');
    const crowd = times(200, (i) => text(String(i), 'apple pie cake', { scope: 'crowd' }));
    await commit(store, partition('crowd'), ...crowd);
    assert.deepEqual(await search(store, 'apple pie'), before);
    assert.deepEqual(await search(store, 'apple pie', { within: { scope: 'u' } }), before);
  });

  test('replaces a document that is indexed again', async ({ store }) => {
    await commit(store, p, text('1', 'old words'), text('2', 'others'));
    await commit(store, p, text('1', 'new', { value: '"later"', scope: 'v' }));
    assert.deepEqual((await search(store, 'old new')).counts, [0, 1]);
    assert.equal((await search(store, 'new')).hits[0]!.value, '"later"');
    assert.deepEqual(ids(await search(store, 'new', { within: { scope: 'u' } })), ['2']);
    assert.deepEqual(ids(await search(store, 'new', { within: { scope: 'v' } })), ['1']);
  });

  test('forgets a document, a collection, a partition', async ({ store }) => {
    const note = (id: string) => text(id, 'x', { collection: 'notes' });
    await commit(store, p, text('1', 'x'), text('2', 'x'), text('3', 'x'), note('1'), note('2'));
    const { results } = await commit(store, p, { op: 'unindex', collection: 'texts', id: '2' });
    assert.deepEqual(results, [{ count: 1 }]);
    assert.deepEqual(ids(await search(store, 'x')), ['3', '1']);
    await commit(store, p, { op: 'unindex', collection: 'notes' });
    assert.equal((await search(store, 'x', { collection: 'notes' })).documents, 0);
    assert.equal((await search(store, 'x')).documents, 2);
    await commit(store, p, { op: 'drop' });
    assert.deepEqual(await search(store, 'x'), { documents: 0, counts: [0], hits: [] });
    assert.equal((await search(store, 'x', { within: { scope: 'u' } })).documents, 0);
    await commit(store, p, text('7', 'x'));
    assert.deepEqual(ids(await search(store, 'x')), ['7']);
  });

  test('takes no document of a batch that fails', async ({ store }) => {
    await commit(store, p, put('a', 1), text('1', 'x'));
    await fails(commit(store, p, put('a', 2, { ifVersion: 'absent' }), text('2', 'x')), 'conflict');
    assert.deepEqual(ids(await search(store, 'x')), ['1']);
  });

  test('tells the journal of the commit, but not of its documents', async ({ store }) => {
    const { cursor } = await store.readChanges('newest', 0);
    await commit(store, p, put('a', 1), text('1', 'x'));
    const { changes } = await follow(store, cursor, atLeast(1));
    assert.deepEqual(
      changes[0]!.operations.map(({ op }) => op),
      ['put'],
    );
  });

  test('is told of documents and of records of one name apart', async ({ store }) => {
    await commit(store, p, put('1', 'record'), text('1', 'x', { collection: 'note' }));
    await commit(store, p, { op: 'unindex', collection: 'note', id: '1' });
    const [record] = await store.getRecords([{ partition: p, kind: 'note', id: '1' }]);
    assert.equal(record?.value, '"record"');
  });

  test('takes large documents and many terms', async ({ store }) => {
    const words = times(5000, (i) => `w${i.toString(36)}`);
    const value = JSON.stringify('é'.repeat(100_000));
    await commit(store, p, text('1', words.join(' '), { value }), text('2', 'w1'));
    const found = await search(store, words.slice(4900, 4964).join(' '), { limit: 1 });
    assert.equal(found.hits[0]!.value, value);
    assert.deepEqual(new Set(found.counts), new Set([1]));
  });

  test('takes terms that a query language would read as something else', async ({ store }) => {
    const words = ['and', 'or', 'not', 'near', 'null', 'nan', 'true', '007', '1e5', 'z'.repeat(64)];
    await commit(store, p, text('1', words.join(' ')), text('2', 'plain'));
    assert.deepEqual(
      (await search(store, words.join(' '))).counts,
      words.map(() => 1),
    );
    assert.deepEqual((await search(store, '7 1 100000 z')).counts, [0, 0, 0, 0]);
  });

  test('refuses terms, documents and queries that are badly made', async ({ store }) => {
    await fails(commit(store, p, text('1', 'Upper')), 'invalid-input');
    await fails(commit(store, p, text('1', 'x x')), 'invalid-input');
    await fails(commit(store, p, text('1', 'x', { order: Number.NaN })), 'invalid-input');
    await fails(commit(store, p, text('1', 'x'), text('1', 'y')), 'invalid-input');
    await fails(search(store, 'Ä'), 'invalid-input');
    await fails(search(store, 'x', { limit: 1001 }), 'invalid-input');
    await fails(search(store, 'x', { within: { scope: 'a\0b' } }), 'invalid-input');
    await fails(search(store, 'x', { within: { partition: partition('p', 'other') } }), 'invalid-input');
  });

  test('keeps names with any characters apart', async ({ store }) => {
    const names = ['a b', 'a', 'a:b', "a'b", 'a"b', 'a%', 'a*', 'ä', '{a}', 'a\\b'];
    for (const name of names)
      await commit(store, partition(name), text(name, 'x', { scope: name, collection: name }));
    for (const name of names) {
      const byScope = await search(store, 'x', { within: { scope: name }, collection: name });
      assert.deepEqual(ids(byScope), [name]);
      const within = { partition: partition(name) };
      assert.deepEqual(ids(await search(store, 'x', { within, collection: name })), [name]);
    }
  });

  test('finds after many documents have come and gone what is there', async ({ store }) => {
    for (let round = 0; round < 12; round++) {
      const documents = times(25, (i) => text(String((round * 7 + i) % 40), `all r${round} n${i}`));
      await commit(store, p, ...documents);
      await commit(store, p, { op: 'unindex', collection: 'texts', id: String(round * 3) });
    }
    const found = await search(store, 'all r11 r10 r0', { limit: 1000 });
    assert.equal(found.counts[0], found.documents);
    assert.equal(found.hits.length, found.documents);
    assert.equal(new Set(ids(found)).size, found.documents);
    assert.ok(found.hits.every((hit, i) => i === 0 || hit.score <= found.hits[i - 1]!.score));
  });
}

/** A document of the collection `texts` and the scope `u`, with the words of a text as its terms. */
export function text(id: string, words: string, more: Partial<Index> = {}): Index {
  const terms = words.split(' ').filter((word) => word !== '');
  const value = JSON.stringify({ of: id });
  return { op: 'index', collection: 'texts', id, scope: 'u', terms, value, order: Number(id) || 0, ...more };
}

/** Searches the partition `p`, unless told otherwise. */
export async function search(
  store: Store,
  words: string,
  more: Partial<TextQuery> = {},
): Promise<TextMatches> {
  const terms = words.split(' ').filter((word) => word !== '');
  const within: { partition: Partition } = { partition: partition() };
  return store.searchText({ tenant: 'default', collection: 'texts', within, terms, limit: 100, ...more });
}

export function ids({ hits }: { hits: readonly TextHit[] }): string[] {
  return hits.map(({ id }) => id);
}
