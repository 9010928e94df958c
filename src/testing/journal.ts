import assert from 'node:assert/strict';
import type { Change, Cursor, Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import {
  add,
  append,
  atLeast,
  changesOf,
  check,
  commit,
  fails,
  follow,
  partition,
  put,
  remove,
  times,
} from './words.ts';

export function journal(test: Test): void {
  const p = partition();
  /** What the journal tells of commits that each put one record: its ids, in order. */
  const putIds = (changes: readonly Change[]) =>
    changes.map(({ operations: [first] }) => (first?.op === 'put' ? first.id : '?'));
  const allPuts = async (store: Store, count: number, start: Cursor | 'oldest' = 'oldest') =>
    putIds((await follow(store, start, atLeast(count))).changes);

  test('tells what each operation of a commit changed, never the values', async ({ store }) => {
    const { cursor } = await commit(store, p, put('b', 1));
    const { results } = await commit(
      store,
      p,
      put('a', 'secret'),
      add('c', { n: 1 }),
      check('b', 'present'),
      remove('b'),
      append(['secret', 'y']),
      { op: 'expire', at: 99 },
    );
    const [change] = (await follow(store, cursor, atLeast(1))).changes;
    assert.deepEqual(change!.partition, p);
    assert.ok(Number.isInteger(change!.at) && change!.at > 0);
    assert.deepEqual(change!.operations, [
      { op: 'put', kind: 'note', id: 'a', version: results[0]!.version, created: true },
      { op: 'add', kind: 'count', id: 'c', version: results[1]!.version, created: true },
      { op: 'delete', kind: 'note', id: 'b' },
      { op: 'append', log: 'log', firstSeq: 1, count: 2 },
      { op: 'expire', at: 99 },
    ]);
    assert.ok(!JSON.stringify(change).includes('secret'));
  });

  test('tells rewrites, truncations and drops', async ({ store }) => {
    const { cursor } = await commit(store, p, append(times(9, (i) => i)));
    await commit(store, p, { op: 'rewrite', log: 'log', seq: 4, value: '0' });
    await commit(store, p, { op: 'truncate', log: 'log', before: 3, after: 7 });
    await commit(store, p, { op: 'expire', at: 5 });
    await commit(store, p, { op: 'drop', ifExpiredAt: 5 });
    await commit(store, p, put('a', 1));
    await commit(store, p, { op: 'drop' });
    const { changes } = await follow(store, cursor, atLeast(6));
    assert.deepEqual(
      changes.map(({ operations }) => operations[0]).filter((one) => one?.op !== 'put'),
      [
        { op: 'rewrite', log: 'log', seq: 4, version: 2 },
        { op: 'truncate', log: 'log', firstSeq: 3, lastSeq: 7 },
        { op: 'expire', at: 5 },
        { op: 'drop', expired: true },
        { op: 'drop', expired: false },
      ],
    );
  });

  test('tells only what changed', async ({ store }) => {
    const { cursor } = await commit(store, p, append([{ id: 'e', value: '1' }]));
    await commit(store, p, append([{ id: 'e', value: '1' }]), remove('none'), {
      op: 'truncate',
      log: 'x',
      before: 5,
    });
    await fails(commit(store, p, put('a', 1, { ifVersion: 'present' })), 'conflict');
    await commit(
      store,
      p,
      append([
        { id: 'e', value: '1' },
        { id: 'f', value: '2' },
      ]),
      put('a', 1),
    );
    const { changes } = await follow(store, cursor, atLeast(1));
    assert.equal(changes.length, 1);
    assert.deepEqual(changes[0]!.operations[0], { op: 'append', log: 'log', firstSeq: 2, count: 1 });
  });

  test('tells every commit of a partition once, in the order they were made', async ({ store }) => {
    for (let i = 0; i < 30; i++) await commit(store, p, put(`r${i}`, i));
    assert.deepEqual(
      await allPuts(store, 30),
      times(30, (i) => `r${i}`),
    );
  });

  test('tells concurrent commits once each, in the order of their partitions', async ({ store }) => {
    const places = times(5, (i) => partition(`p${i}`));
    await Promise.all(times(100, (i) => commit(store, places[i % 5]!, append([i]), put(`r${i}`, i))));
    const { changes } = await follow(store, 'oldest', atLeast(100), 7);
    assert.equal(changes.length, 100);
    assert.equal(new Set(changes.map(({ cursor }) => cursor)).size, 100);
    for (const place of places) {
      const seqs = changesOf(changes, place).map(
        ({ operations: [first] }) => first?.op === 'append' && first.firstSeq,
      );
      assert.deepEqual(
        seqs,
        times(20, (i) => i + 1),
      );
    }
  });

  test('is read change by change, each going on from its cursor', async ({ store }) => {
    await Promise.all(times(40, (i) => commit(store, partition(`p${i % 4}`), put(`r${i}`, i))));
    const told: Change[] = [];
    for (let after: Cursor | 'oldest' = 'oldest'; told.length < 40; ) {
      const { changes, cursor } = await follow(store, after, atLeast(1), 1);
      told.push(...changes);
      after = cursor;
    }
    assert.deepEqual(putIds(told).sort(), times(40, (i) => `r${i}`).sort());
    for (const { cursor, partition: at } of told) {
      const own = changesOf(told, at);
      const rest = own.slice(own.findIndex((change) => change.cursor === cursor) + 1);
      const { changes } = await follow(store, cursor, (all) => changesOf(all, at).length >= rest.length);
      assert.deepEqual(changesOf(changes, at), rest);
    }
  });

  test('gives an empty page at its end, and goes on from there', async ({ store }) => {
    await commit(store, p, put('before', 1));
    const { changes, cursor } = await store.readChanges('newest', 10);
    assert.deepEqual(changes, []);
    assert.deepEqual((await store.readChanges(cursor, 10)).changes, []);
    await commit(store, p, put('after', 1));
    assert.deepEqual(await allPuts(store, 1, cursor), ['after']);
    assert.deepEqual((await store.readChanges(cursor, 0)).changes, []);
  });

  test('starts empty, with a cursor that later commits come after', async ({ store }) => {
    const oldest = await store.readChanges('oldest', 10);
    const newest = await store.readChanges('newest', 10);
    assert.deepEqual([oldest.changes, newest.changes], [[], []]);
    await commit(store, p, put('a', 1));
    assert.deepEqual(await allPuts(store, 1, oldest.cursor), ['a']);
    assert.deepEqual(await allPuts(store, 1, newest.cursor), ['a']);
  });

  test("stands right after a commit at its receipt's cursor", async ({ store }) => {
    const first = await commit(store, p, put('a', 1));
    const receipts = await Promise.all(times(10, (i) => commit(store, p, put(`r${i}`, i))));
    await commit(store, p, put('last', 1));
    const { changes } = await follow(store, first.cursor, atLeast(11));
    receipts.forEach(({ cursor }, i) => {
      const at = changes.findIndex(({ operations: [one] }) => one?.op === 'put' && one.id === `r${i}`);
      assert.equal(changes[at]!.cursor, cursor);
    });
  });

  test('skips nothing and tells nothing twice while others commit', async ({ store }) => {
    const writing = Promise.all(
      times(4, async (writer) => {
        for (let i = 0; i < 40; i++) await commit(store, partition(`p${writer}`), append([i]));
      }),
    );
    const { changes } = await follow(store, 'oldest', atLeast(160), 3);
    await writing;
    for (let writer = 0; writer < 4; writer++) {
      const told = changesOf(changes, partition(`p${writer}`)).map(({ operations: [one] }) => one);
      assert.deepEqual(
        told,
        times(40, (i) => ({ op: 'append', log: 'log', firstSeq: i + 1, count: 1 })),
      );
    }
  });

  test('tells each commit at once, in its place or ahead of it', async ({ store }) => {
    const others = Promise.all(
      times(4, async (writer) => {
        for (let i = 0; i < 20; i++) await commit(store, partition(`p${writer}`), append([i]));
      }),
    );
    const mine = partition('mine');
    const ahead: Change[] = [];
    for (let i = 0; i < 20; i++) {
      await commit(store, mine, put(`r${i}`, i));
      const { placed, early } = await readAll(store);
      ahead.push(...early);
      assert.deepEqual(
        putIds(changesOf([...placed, ...early], mine)),
        times(i + 1, (n) => `r${n}`),
      );
    }
    await others;
    const { changes } = await follow(store, 'oldest', atLeast(100));
    // What was told ahead is told in its place as it was.
    for (const early of ahead)
      assert.deepEqual(
        changes.find(({ cursor }) => cursor === early.cursor),
        early,
      );
  });

  test('says no more that something is held back when it has told all', async ({ store }) => {
    const { cursor } = await commit(store, p, put('a', 1));
    await follow(store, 'oldest', atLeast(1));
    assert.equal((await store.readChanges(cursor, 10)).ahead, undefined);
  });

  test(
    'skips nothing when a consumer dies between reading and saving its cursor',
    async ({ store, open }) => {
      for (let i = 0; i < 20; i++) await commit(store, p, put(`r${i}`, i));
      const handled: string[] = [];
      let saved: Cursor | 'oldest' = 'oldest';
      let consumer = store;
      // It dies after every second page, before its cursor is saved; the next one is another process's.
      for (let page = 0; new Set(handled).size < 20; page++) {
        const { changes, cursor } = await follow(consumer, saved, atLeast(1), 3);
        handled.push(...putIds(changes));
        if (page % 2 === 0) saved = cursor;
        else {
          await consumer.close();
          consumer = await open();
        }
      }
      assert.deepEqual(
        [...new Set(handled)],
        times(20, (i) => `r${i}`),
      );
    },
    'persistent',
  );

  test(
    'goes on from a cursor after being opened again',
    async ({ store, open }) => {
      for (let i = 0; i < 10; i++) await commit(store, p, put(`r${i}`, i));
      const { changes } = await follow(store, 'oldest', atLeast(10));
      await store.close();
      const again = await open();
      await commit(again, p, put('r10', 10));
      for (const [i, { cursor }] of changes.entries()) {
        assert.deepEqual(
          await allPuts(again, 10 - i, cursor),
          times(10 - i, (j) => `r${i + j + 1}`),
        );
      }
    },
    'persistent',
  );

  test(
    'tells the commits of two opened stores in one order that both see',
    async ({ store, open }) => {
      const other = await open();
      await Promise.all(times(60, (i) => commit(i % 2 ? store : other, p, put(`r${i}`, i), append([i]))));
      const mine = (await follow(store, 'oldest', atLeast(60), 7)).changes;
      const theirs = (await follow(other, 'oldest', atLeast(60), 11)).changes;
      assert.deepEqual(mine, theirs);
      assert.deepEqual(putIds(mine).sort(), times(60, (i) => `r${i}`).sort());
    },
    'shared',
  );

  test('keeps the names of dropped partitions', async ({ store }) => {
    const at = partition('gone', 'tenant-x', 'thread');
    for (let i = 0; i < 3; i++) {
      await commit(store, at, put('a', i));
      await commit(store, at, { op: 'drop' });
    }
    const { changes } = await follow(store, 'oldest', atLeast(6));
    assert.deepEqual(
      changes.map((change) => change.partition),
      times(6, () => at),
    );
  });

  test('refuses a cursor that was made up', async ({ store }) => {
    await commit(store, p, put('a', 1));
    for (const cursor of [
      '',
      'made-up',
      '-1',
      'NaN',
      '99999999999999999999',
      "' OR 1=1 --",
      '9'.repeat(300),
    ]) {
      await fails(store.readChanges(cursor, 10), 'invalid-input');
      await fails(store.waitForChanges(cursor), 'invalid-input');
      await fails(store.trimChanges(cursor), 'invalid-input');
    }
  });
}

const FEW = 7;

/** All that the journal tells now, a few changes a page: what has its place, and what is told ahead of it. */
async function readAll(store: Store): Promise<{ placed: Change[]; early: Change[] }> {
  const placed: Change[] = [];
  for (let after: Cursor | 'oldest' = 'oldest'; ; ) {
    const { changes, cursor, ahead } = await store.readChanges(after, FEW);
    placed.push(...changes);
    if (changes.length < FEW) return { placed, early: await readEarly(store, ahead) };
    after = cursor;
  }
}

async function readEarly(store: Store, ahead: Cursor | undefined): Promise<Change[]> {
  const early: Change[] = [];
  for (let after = ahead; after !== undefined; ) {
    const { changes, cursor } = await store.readChanges(after, FEW);
    early.push(...changes);
    after = changes.length < FEW ? undefined : cursor;
  }
  return early;
}
