import assert from 'node:assert/strict';
import type { Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import { append, commit, fails, logValues, pageLog, partition, put, times } from './words.ts';

export function logPages(test: Test): void {
  const p = partition();
  const seqsOf = (entries: readonly { seq: number }[]) => entries.map(({ seq }) => seq);
  /** Entries 1 to `count`; every third is marked, every one has an id. */
  const fill = (store: Store, count: number) =>
    commit(
      store,
      p,
      append(
        times(count, (i) => ({
          id: `e${i + 1}`,
          value: `${i + 1}`,
          ...((i + 1) % 3 === 0 && { mark: 'third' }),
        })),
      ),
    );

  test('gives an entry back as it was appended', async ({ store }) => {
    await commit(store, p, append([{ id: 'a', value: '{"x":1}', mark: 'pinned' }, { value: '2' }]));
    const { entries } = await store.readLog(p, 'log', { limit: 10 });
    assert.deepEqual(entries, [
      { seq: 1, id: 'a', value: '{"x":1}', version: 1, mark: 'pinned' },
      { seq: 2, value: '2', version: 1 },
    ]);
  });

  test('pages through a log from either end, in pages of any size', async ({ store }) => {
    await fill(store, 25);
    for (const limit of [1, 2, 7, 24, 25, 26, 1000]) {
      assert.deepEqual(
        seqsOf(await pageLog(store, p, { limit })),
        times(25, (i) => i + 1),
      );
      assert.deepEqual(
        seqsOf(await pageLog(store, p, { limit, reverse: true })),
        times(25, (i) => 25 - i),
      );
    }
  });

  test('reads any stretch of a long log from either end', async ({ store }) => {
    for (let i = 0; i < 5; i++) {
      await commit(store, p, append(times(200, (j) => i * 200 + j + 1)));
    }
    for (let after = 0; after <= 1000; after += 37) {
      const before = after + 1 + ((after * 7) % 150);
      const inside = times(1000, (i) => i + 1).filter((seq) => seq > after && seq < before);
      const limit = 1 + (after % 60);
      assert.deepEqual(await logValues(store, p, { after, before, limit }), inside.slice(0, limit));
      const newest = inside.toReversed().slice(0, limit);
      assert.deepEqual(await logValues(store, p, { after, before, limit, reverse: true }), newest);
    }
  });

  test('takes both bounds as exclusive', async ({ store }) => {
    await fill(store, 10);
    assert.deepEqual(await logValues(store, p, { after: 3, before: 6 }), [4, 5]);
    assert.deepEqual(await logValues(store, p, { after: 3, before: 6, reverse: true }), [5, 4]);
    assert.deepEqual(await logValues(store, p, { after: 3, before: 4 }), []);
    assert.deepEqual(await logValues(store, p, { after: 5, before: 2 }), []);
  });

  test('gives nothing beyond the ends', async ({ store }) => {
    await fill(store, 3);
    for (const reverse of [false, true]) {
      assert.deepEqual(await logValues(store, p, { after: 3, reverse }), []);
      assert.deepEqual(await logValues(store, p, { after: 99, reverse }), []);
      assert.deepEqual(await logValues(store, p, { before: 1, reverse }), []);
      assert.deepEqual(await logValues(store, p, { before: 0, reverse }), []);
      assert.deepEqual((await logValues(store, p, { before: 99, reverse })).length, 3);
      assert.deepEqual((await logValues(store, p, { after: -5, reverse })).length, 3);
    }
  });

  test('tells the bounds of a log with every page, an empty one too', async ({ store }) => {
    await fill(store, 3);
    const page = await store.readLog(p, 'log', { limit: 0 });
    assert.deepEqual(page, { entries: [], firstSeq: 1, lastSeq: 3, count: 3 });
    const none = { entries: [], firstSeq: 1, lastSeq: 0, count: 0 };
    assert.deepEqual(await store.readLog(p, 'none', { limit: 5 }), none);
    assert.deepEqual(await store.readLog(partition('none'), 'log', { limit: 5 }), none);
  });

  test('reads only entries with a mark, from either end', async ({ store }) => {
    await fill(store, 20);
    const marked = [3, 6, 9, 12, 15, 18];
    assert.deepEqual(seqsOf(await pageLog(store, p, { limit: 4, mark: 'third' })), marked);
    assert.deepEqual(
      seqsOf(await pageLog(store, p, { limit: 4, mark: 'third', reverse: true })),
      marked.toReversed(),
    );
    assert.deepEqual(await logValues(store, p, { mark: 'third', after: 6, before: 15 }), [9, 12]);
    assert.deepEqual(await logValues(store, p, { mark: 'other' }), []);
  });

  test('reads only entries with certain ids, in the order of the log', async ({ store }) => {
    await fill(store, 20);
    const ids = ['e7', 'none', 'e2', 'e12', 'e7'];
    assert.deepEqual(await logValues(store, p, { ids }), [2, 7, 12]);
    assert.deepEqual(await logValues(store, p, { ids, reverse: true }), [12, 7, 2]);
    assert.deepEqual(await logValues(store, p, { ids, limit: 2 }), [2, 7]);
    assert.deepEqual(await logValues(store, p, { ids, after: 2, before: 12 }), [7]);
    assert.deepEqual(await logValues(store, p, { ids, mark: 'third' }), [12]);
    assert.deepEqual(await logValues(store, p, { ids: [] }), []);
  });

  test('reads only entries with certain seqs, each once, in the order of the log', async ({ store }) => {
    await fill(store, 20);
    const seqs = [7, 99, 2, 12, 7, 0, -3, 3, 2];
    assert.deepEqual(await logValues(store, p, { seqs }), [2, 3, 7, 12]);
    assert.deepEqual(await logValues(store, p, { seqs, reverse: true }), [12, 7, 3, 2]);
    for (const limit of [0, 1, 2, 3, 4, 5]) {
      assert.deepEqual(await logValues(store, p, { seqs, limit }), [2, 3, 7, 12].slice(0, limit));
      const newest = await logValues(store, p, { seqs, limit, reverse: true });
      assert.deepEqual(newest, [12, 7, 3, 2].slice(0, limit));
    }
    assert.deepEqual(await logValues(store, p, { seqs, after: 2, before: 12 }), [3, 7]);
    assert.deepEqual(await logValues(store, p, { seqs, after: 2, before: 12, reverse: true }), [7, 3]);
    assert.deepEqual(await logValues(store, p, { seqs, after: 12 }), []);
    assert.deepEqual(await logValues(store, p, { seqs, after: -9, before: 3 }), [2]);
    assert.deepEqual(await logValues(store, p, { seqs, mark: 'third' }), [3, 12]);
    const marked = { seqs, mark: 'third', limit: 1 };
    assert.deepEqual(await logValues(store, p, marked), [3]);
    assert.deepEqual(await logValues(store, p, { ...marked, reverse: true }), [12]);
    assert.deepEqual(await logValues(store, p, { seqs: [] }), []);
    const page = await store.readLog(p, 'log', { seqs: [40, 2 ** 52], limit: 10 });
    assert.deepEqual(page, { entries: [], firstSeq: 1, lastSeq: 20, count: 20 });
    assert.deepEqual(await logValues(store, p, { seqs }, 'none'), []);
  });

  test('reads entries by seq as they are now, without those that are gone', async ({ store }) => {
    await fill(store, 10);
    await commit(store, p, append([{ value: '15' }, { value: '16' }], { startSeq: 15 }));
    await commit(store, p, { op: 'truncate', log: 'log', before: 3 });
    await commit(store, p, { op: 'rewrite', log: 'log', seq: 4, value: '"new"', mark: 'third' });
    await commit(store, p, { op: 'rewrite', log: 'log', seq: 9, value: '"newer"', mark: null });
    const seqs = times(20, (i) => 20 - i);
    const left = [3, 'new', 5, 6, 7, 8, 'newer', 10, 15, 16];
    assert.deepEqual(await logValues(store, p, { seqs }), left);
    assert.deepEqual(await logValues(store, p, { seqs, reverse: true }), left.toReversed());
    assert.deepEqual(await logValues(store, p, { seqs, mark: 'third' }), [3, 'new', 6]);
    assert.deepEqual(await logValues(store, p, { seqs: [1, 2, 11, 12, 14, 17] }), []);
    const { entries } = await store.readLog(p, 'log', { seqs: [4, 9], limit: 10 });
    assert.deepEqual(entries, [
      { seq: 4, id: 'e4', value: '"new"', version: 2, mark: 'third' },
      { seq: 9, id: 'e9', value: '"newer"', version: 2 },
    ]);
    await commit(store, p, { op: 'truncate', log: 'log', after: 7 });
    assert.deepEqual(await logValues(store, p, { seqs }), [3, 'new', 5, 6, 7]);
    await commit(store, p, { op: 'truncate', log: 'log', after: 0 });
    assert.deepEqual(await logValues(store, p, { seqs }), []);
  });

  test('reads seqs from all over a long log that grew among others', async ({ store }) => {
    for (let i = 0; i < 6; i++) {
      await commit(store, p, append(times(1 + i * 20, String), { log: `other-${i}` }), append([`lone-${i}`]));
      await commit(store, p, append(times(200, (j) => i * 201 + j + 2)));
    }
    for (const step of [1, 2, 7, 64, 130, 401]) {
      const seqs = times(1000, (i) => 1 + i * step).filter((seq) => seq <= 1206);
      const found = await store.readLog(p, 'log', { seqs: seqs.toReversed(), limit: 10_000 });
      assert.deepEqual(seqsOf(found.entries), seqs);
      for (const { seq, value } of found.entries)
        if ((seq - 1) % 201 !== 0) assert.equal(JSON.parse(value), seq);
    }
  });

  test('lists the logs of a partition with their bounds, in the order of their bytes', async ({ store }) => {
    const names = ['b', 'a', 'B', 'é', '\uffff', '🦊', 'a:b', 'ab'];
    for (const log of names) await commit(store, p, append([1, 2], { log }));
    await commit(store, p, { op: 'truncate', log: 'a', before: 2 });
    await commit(store, partition('q'), append([1], { log: 'elsewhere' }));
    const sorted = ['B', 'a', 'a:b', 'ab', 'b', 'é', '\uffff', '🦊'];
    assert.deepEqual(
      await store.listLogs(p),
      sorted.map((log) => ({ log, firstSeq: log === 'a' ? 2 : 1, lastSeq: 2, count: log === 'a' ? 1 : 2 })),
    );
    assert.deepEqual(await store.listLogs(partition('none')), []);
  });

  test('keeps a partition that has records only free of logs', async ({ store }) => {
    await commit(store, p, put('a', 1));
    assert.deepEqual(await store.listLogs(p), []);
  });

  test('refuses limits and bounds that are no whole numbers', async ({ store }) => {
    for (const limit of [-1, 1.5, Number.NaN, '5' as unknown as number]) {
      await fails(store.readLog(p, 'log', { limit }), 'invalid-input');
      await fails(store.listRecords(p, undefined, { limit }), 'invalid-input');
      await fails(store.readChanges('oldest', limit), 'invalid-input');
      await fails(store.queryIndex({ tenant: 'default', index: 'i', key: '', limit }), 'invalid-input');
    }
    await fails(store.readLog(p, 'log', { limit: 1, after: 0.5 }), 'invalid-input');
    await fails(store.readLog(p, 'log', { limit: 1, before: Number.NaN }), 'invalid-input');
    await fails(store.readLog(p, 'log', { limit: 1, seqs: [1, 2.5] }), 'invalid-input');
    await fails(store.readLog(p, 'log', { limit: 1, seqs: ['1' as unknown as number] }), 'invalid-input');
    await fails(store.readLog(p, 'log', { limit: 1, seqs: times(1001, (i) => i) }), 'invalid-input');
    await fails(store.readLog(p, 'log', { limit: 1, seqs: [1], ids: ['a'] }), 'invalid-input');
  });
}
