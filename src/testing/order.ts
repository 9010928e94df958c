import assert from 'node:assert/strict';
import type { Test } from './suite.ts';
import { append, commit, logValues, pageLog, partition, times } from './words.ts';

export function order(test: Test): void {
  const p = partition();

  test('keeps one gapless order under concurrent appends', async ({ store }) => {
    const receipts = await Promise.all(times(200, (i) => commit(store, p, append([i]))));
    const seqs = receipts.map(({ results }) => results[0]!.seqs![0]!);
    assert.deepEqual(
      seqs.toSorted((a, b) => a - b),
      times(200, (i) => i + 1),
    );
    const entries = await pageLog(store, p, { limit: 33 });
    for (const { seq, value } of entries) assert.equal(seqs[Number(value)], seq);
  });

  test('keeps the entries of one append together and in order', async ({ store }) => {
    const receipts = await Promise.all(
      times(40, (i) => commit(store, p, append(times(5, (j) => `${i}.${j}`)))),
    );
    const values = await logValues(store, p);
    receipts.forEach(({ results }, i) => {
      const [first, ...rest] = results[0]!.seqs!;
      assert.deepEqual(
        rest,
        times(4, (j) => first! + j + 1),
      );
      assert.deepEqual(
        values.slice(first! - 1, first! + 4),
        times(5, (j) => `${i}.${j}`),
      );
    });
  });

  test('keeps the order of a writer who waits for each answer', async ({ store }) => {
    const write = async (writer: string) => {
      for (let i = 0; i < 20; i++) await commit(store, p, append([`${writer}${i}`]));
    };
    await Promise.all(['a', 'b', 'c'].map(write));
    const values = (await logValues(store, p)) as string[];
    for (const writer of ['a', 'b', 'c']) {
      assert.deepEqual(
        values.filter((value) => value.startsWith(writer)),
        times(20, (i) => `${writer}${i}`),
      );
    }
  });

  test('counts every log of every partition by itself', async ({ store }) => {
    const places = times(12, (i) => ({ at: partition(`p${i % 3}`), log: `log${i % 4}` }));
    await Promise.all(
      times(10, () => places.map(({ at, log }) => commit(store, at, append([log], { log })))).flat(),
    );
    for (const { at, log } of places) {
      const { firstSeq, lastSeq, count } = await store.readLog(at, log, { limit: 0 });
      assert.deepEqual({ firstSeq, lastSeq, count }, { firstSeq: 1, lastSeq: 10, count: 10 });
    }
  });

  test(
    'gives appends of two opened stores one order that both see',
    async ({ store, open }) => {
      const other = await open();
      await Promise.all(times(200, (i) => commit(i % 2 ? store : other, p, append([i]))));
      const entries = await pageLog(store, p, { limit: 64 });
      assert.deepEqual(
        entries.map(({ seq }) => seq),
        times(200, (i) => i + 1),
      );
      assert.deepEqual(await pageLog(other, p, { limit: 64 }), entries);
      assert.equal(new Set(entries.map(({ value }) => value)).size, 200);
    },
    'shared',
  );

  test(
    'lets two opened stores take turns on the same logs',
    async ({ store, open }) => {
      const stores = [store, await open()];
      for (let i = 0; i < 30; i++) {
        const at = stores[i % 2]!;
        const { results } = await commit(at, p, append([i]), append([i], { log: `log${i % 3}` }));
        assert.deepEqual(results[0]!.seqs, [i + 1]);
        assert.deepEqual(results[1]!.seqs, [Math.floor(i / 3) + 1]);
        assert.deepEqual(await logValues(stores[(i + 1) % 2]!, p, { reverse: true, limit: 1 }), [i]);
      }
    },
    'shared',
  );

  test(
    'goes on where it stopped after being opened again',
    async ({ store, open }) => {
      await commit(store, p, append(['a', 'b']));
      await store.close();
      const again = await open();
      const { results } = await commit(again, p, append(['c']));
      assert.deepEqual(results[0]!.seqs, [3]);
      assert.deepEqual(await logValues(again, p), ['a', 'b', 'c']);
    },
    'persistent',
  );
}
