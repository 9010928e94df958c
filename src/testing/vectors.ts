import assert from 'node:assert/strict';
import type { Operation, TextVector } from '../core/store.ts';
import type { Test } from './suite.ts';
import { ids, search, text } from './texts.ts';
import { commit, fails, partition, times } from './words.ts';

export function vectors(all: Test): void {
  const test: Test = (name, body) => all(name, body, 'textSearch');
  const nearest: Test = (name, body) => all(name, body, 'vectorSearch');
  const p = partition();

  test('gives the vectors of a model with the documents that were found', async ({ store }) => {
    await commit(store, p, text('1', 'x'), text('2', 'x'));
    await commit(store, p, embed('1', 'm', [1, 0], [0.25, -3]), embed('1', 'other', [9, 9, 9]));
    const near = { model: 'm', values: base64([1, 0]) };
    const { hits } = await search(store, 'x', { near });
    assert.deepEqual(
      hits.map(({ id, vectors }) => [id, vectors]),
      [
        ['2', undefined],
        ['1', [vector('0', [1, 0]), vector('1', [0.25, -3])]],
      ],
    );
    assert.equal((await search(store, 'x')).hits[1]!.vectors, undefined);
  });

  test('keeps vectors while a document is indexed again, and no longer than it is there', async ({
    store,
  }) => {
    const near = { model: 'm', values: base64([1, 0]) };
    const vectorsOf = async () => (await search(store, 'x', { near })).hits[0]?.vectors;
    await commit(store, p, embed('1', 'm', [1, 0]));
    await commit(store, p, text('1', 'x'));
    assert.equal(await vectorsOf(), undefined);
    await commit(store, p, embed('1', 'm', [1, 0]));
    await commit(store, p, text('1', 'x y'));
    assert.deepEqual(await vectorsOf(), [vector('0', [1, 0])]);
    await commit(store, p, embed('1', 'm'));
    assert.equal(await vectorsOf(), undefined);
    await commit(store, p, embed('1', 'm', [1, 0]));
    await commit(store, p, { op: 'unindex', collection: 'texts', id: '1' });
    await commit(store, p, text('1', 'x'));
    assert.equal(await vectorsOf(), undefined);
    await commit(store, p, embed('1', 'm', [1, 0]));
    await commit(store, p, { op: 'drop' });
    await commit(store, p, text('1', 'x'));
    assert.equal(await vectorsOf(), undefined);
  });

  test('refuses vectors that are badly made', async ({ store }) => {
    await commit(store, p, text('1', 'x'));
    await fails(commit(store, p, embed('1', 'm', [1, 0], [1])), 'invalid-input');
    const bad: Operation = { ...embed('1', 'm'), vectors: [{ key: '0', values: 'no base64' }] };
    await fails(commit(store, p, bad), 'invalid-input');
    await fails(search(store, 'x', { near: { model: 'm', values: '?' } }), 'invalid-input');
  });

  nearest('finds documents by their nearest vector, whatever their terms', async ({ store }) => {
    await commit(store, p, ...times(30, (i) => text(String(i), i === 3 ? 'word' : 'other')));
    const around = (i: number) => [Math.cos(i / 10), Math.sin(i / 10)];
    await commit(store, p, ...times(30, (i) => embed(String(i), 'm', around(i), [-1, -1])));
    const near = { model: 'm', values: base64(around(12)) };
    const found = await search(store, 'word', { near, limit: 3 });
    // By terms first, filled up with the newest; then the nearest.
    assert.deepEqual(ids(found).slice(0, 3), ['3', '29', '28']);
    assert.deepEqual(new Set(ids(found).slice(3)), new Set(['12', '11', '13']));
  });

  nearest('finds no vectors of another place or another model', async ({ store }) => {
    const near = { model: 'm', values: base64([1, 0]) };
    await commit(store, p, ...times(5, (i) => text(String(i), 'x')));
    await commit(store, p, embed('0', 'other', [1, 0]));
    await commit(store, partition('q'), text('q', 'x', { scope: 'v' }), embed('q', 'm', [1, 0]));
    await commit(store, partition('p', 'other'), text('t', 'x'), embed('t', 'm', [1, 0]));
    assert.deepEqual(ids(await search(store, '', { near, limit: 1 })), ['4']);
    assert.deepEqual(ids(await search(store, '', { near, limit: 1, within: { scope: 'u' } })), ['4']);
    assert.deepEqual(ids(await search(store, '', { near, limit: 1, within: { scope: 'v' } })), ['q']);
  });
}

/** Vectors of the document of that id, with their place as key. */
function embed(id: string, model: string, ...rows: number[][]): Operation & { op: 'embed' } {
  return {
    op: 'embed',
    collection: 'texts',
    id,
    model,
    vectors: rows.map((row, i) => vector(String(i), row)),
  };
}

function vector(key: string, numbers: readonly number[]): TextVector {
  return { key, values: base64(numbers) };
}

function base64(numbers: readonly number[]): string {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [i, number] of numbers.entries()) bytes.writeFloatLE(number, i * 4);
  return bytes.toString('base64');
}
