import assert from 'node:assert/strict';
import type { Batch, IndexEntry, Operation, Partition, Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import { append, atLeast, commit, fails, follow, partition, put, times } from './words.ts';

/** Names that something along the way may take for more than a name. */
const HOSTILE: readonly string[] = [
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'null',
    'undefined',
    'NaN',
    '0',
    '-1',
  ],
  ...[
    '%',
    '%s',
    '%00',
    '*',
    '?',
    '[a-z]',
    '^$',
    '.',
    '..',
    '../',
    '../../etc/passwd',
    '/',
    '\\',
    'C:\\',
    '~',
  ],
  ...[
    '{}',
    '{a}',
    '{a}b{c}',
    '}{',
    ':',
    'a:b',
    'a:b:c',
    '|',
    ',',
    ';',
    '$',
    '$1',
    '$' + '{x}',
    '#',
    '@',
    '=',
    '&',
    '+',
  ],
  ...["'", '"', '`', "'; DROP TABLE records; --", '" OR ""="', '<script>', '\r\nSET x 1\r\n', '(*)', '--'],
  ...[
    ' ',
    '  two',
    'end ',
    '\t',
    '\n',
    '\u0001',
    '\u001f',
    '\u007f',
    '\u0085',
    '\u200b',
    '\u2028',
    '\ufeff',
    '\uffff',
  ],
  ...[
    'é',
    'e\u0301',
    'É',
    'a',
    'A',
    'ß',
    'ss',
    'ı',
    '中文',
    'עברית',
    '🦊',
    '👩‍👩‍👧',
    'x'.repeat(256),
    '🦊'.repeat(128),
  ],
];

const REFUSED: Record<string, unknown> = {
  'that is empty': '',
  'with a NUL in it': 'a\0b',
  'with an unpaired high surrogate': 'a\ud800',
  'with an unpaired low surrogate': '\udc00a',
  'of 257 characters': 'x'.repeat(257),
  'that is no string': 7,
};

export function hostileIds(test: Test): void {
  const everywhere = (name: string): { at: Partition; indexes: IndexEntry[]; operations: Operation[] } => {
    const indexes = [
      { index: 'hostile', key: name, order: 1 },
      ...(name.startsWith('$') ? [] : [{ index: name, key: 'key', order: 1 }]),
    ];
    return {
      at: { tenant: name, type: name, id: name },
      indexes,
      operations: [
        { op: 'put', kind: name, id: name, value: JSON.stringify(name), indexes },
        { op: 'add', kind: name, id: 'counter', deltas: { [name]: 1, n: 2 } },
        append([{ id: name, value: JSON.stringify(name), mark: name }], { log: name }),
      ],
    };
  };

  const expectExact = async (store: Store, name: string) => {
    const { at, indexes } = everywhere(name);
    const shown = JSON.stringify(name.slice(0, 40));
    const [record] = await store.getRecords([{ partition: at, kind: name, id: name }]);
    assert.deepEqual(record && [record.partition, record.kind, record.id], [at, name, name], shown);
    assert.equal(record!.value, JSON.stringify(name));
    const { items } = await store.listRecords(at, name, { limit: 10 });
    assert.ok(
      items.some(({ id }) => id === name),
      shown,
    );
    const [counter] = await store.getRecords([{ partition: at, kind: name, id: 'counter' }]);
    const fields = new Map(Object.entries(JSON.parse(counter!.value) as object));
    assert.deepEqual(fields.get(name), 1, shown);
    assert.deepEqual(
      (await store.listLogs(at)).map(({ log }) => log),
      [name],
    );
    for (const range of [{}, { mark: name }, { ids: [name] }]) {
      const { entries } = await store.readLog(at, name, { limit: 10, ...range });
      assert.deepEqual(
        entries,
        [{ seq: 1, id: name, value: JSON.stringify(name), version: 1, mark: name }],
        shown,
      );
    }
    for (const { index, key } of indexes) {
      const hits = await store.queryIndex({ tenant: name, index, key, limit: 10 });
      assert.deepEqual(hits.items, [{ partition: at, kind: name, id: name, order: 1 }], shown);
    }
    const own = await store.queryIndex({ tenant: name, index: '$partitions', key: name, limit: 10 });
    assert.deepEqual(
      own.items.map((hit) => hit.partition),
      [at],
      shown,
    );
  };

  test('stores every name exactly, wherever it stands, and keeps all of them apart', async ({ store }) => {
    const batches = HOSTILE.map((name): Batch => {
      const { at, operations } = everywhere(name);
      return { id: name, partition: at, operations };
    });
    for (const { results } of await Promise.all(batches.map((batch) => store.commit(batch)))) {
      assert.equal(results[1]!.created, true);
    }
    for (const name of HOSTILE) await expectExact(store, name);
    const { changes } = await follow(store, 'oldest', atLeast(HOSTILE.length));
    const told = changes.map(({ partition: at, batchId, operations: [, , third] }) => [
      at.tenant,
      at.type,
      at.id,
      batchId,
      third && 'log' in third && third.log,
    ]);
    const byText = (a: unknown[], b: unknown[]) => (String(a) < String(b) ? -1 : 1);
    const expected = HOSTILE.map((name) => times(5, () => name));
    assert.deepEqual(told.sort(byText), expected.sort(byText));
    for (const batch of batches) assert.equal((await store.commit(batch)).replayed, true);
  });

  test(
    'finds every name again after being opened again',
    async ({ store, open }) => {
      for (const name of HOSTILE) await commit(store, everywhere(name).at, ...everywhere(name).operations);
      await store.close();
      const again = await open();
      for (const name of HOSTILE) await expectExact(again, name);
    },
    'persistent',
  );

  test('pages through hostile names and finds each once', async ({ store }) => {
    const at = partition();
    await commit(
      store,
      at,
      ...HOSTILE.map((id) => put(id, 1, { indexes: [{ index: 'i', key: '', order: 0 }] })),
    );
    const names: string[] = [];
    const hits: string[] = [];
    for (let after = {}; ; ) {
      const { items, next } = await store.listRecords(at, 'note', { limit: 1, ...after });
      names.push(...items.map(({ id }) => id));
      if (!next) break;
      after = { after: next };
    }
    for (let after = {}; ; ) {
      const { items, next } = await store.queryIndex({
        tenant: 'default',
        index: 'i',
        key: '',
        limit: 3,
        ...after,
      });
      hits.push(...items.map(({ id }) => id));
      if (!next) break;
      after = { after: next };
    }
    assert.deepEqual(names.sort(), HOSTILE.toSorted());
    assert.deepEqual(hits.sort(), HOSTILE.toSorted());
  });

  test('drops the one partition it is told to', async ({ store }) => {
    for (const name of HOSTILE) await commit(store, partition(name), put('a', 1));
    for (const name of ['*', '%', '?', '{}', '__proto__', '../', "'; DROP TABLE records; --"]) {
      await commit(store, partition(name), { op: 'drop' });
    }
    const { items } = await store.queryIndex({
      tenant: 'default',
      index: '$partitions',
      key: 'session',
      limit: 1000,
    });
    assert.equal(items.length, HOSTILE.length - 7);
  });

  test('keeps tenants apart that differ in the least', async ({ store }) => {
    const tenants = ['a', 'A', 'a ', ' a', 'a:', 'a:b', 'ab', 'á', 'a\u0301', '*'];
    for (const tenant of tenants)
      await commit(store, partition('p', tenant), put('r', tenant), append([tenant]));
    for (const tenant of tenants) {
      const [record] = await store.getRecords([{ partition: partition('p', tenant), kind: 'note', id: 'r' }]);
      assert.equal(record?.value, JSON.stringify(tenant));
      const { entries } = await store.readLog(partition('p', tenant), 'log', { limit: 10 });
      assert.deepEqual(
        entries.map(({ value }) => value),
        [JSON.stringify(tenant)],
      );
    }
    await commit(store, partition('p', 'a'), { op: 'drop' });
    const { items } = await store.queryIndex({ index: '$partitions', key: 'session', limit: 100 });
    assert.equal(items.length, tenants.length - 1);
  });

  for (const [what, value] of Object.entries(REFUSED)) {
    const name = value as string;
    test(`refuses a name ${what}, wherever it stands`, async ({ store }) => {
      const p = partition();
      const batches: Batch[] = [
        ...[
          { ...p, tenant: name },
          { ...p, type: name },
          { ...p, id: name },
        ].map((at) => ({
          partition: at,
          operations: [put('a', 1)],
        })),
        { id: name, partition: p, operations: [put('a', 1)] },
        ...refusedOperations(name).map((operation) => ({
          partition: p,
          operations: [put('good', 1), operation],
        })),
      ];
      for (const batch of batches) await fails(store.commit(batch), 'invalid-input');
      const { items } = await store.queryIndex({ index: '$partitions', key: 'session', limit: 10 });
      assert.deepEqual(items, []);
      const key = { partition: p, kind: 'note', id: 'a' };
      await fails(store.getRecords([{ ...key, id: name }]), 'invalid-input');
      await fails(store.getRecords([key, { ...key, partition: { ...p, tenant: name } }]), 'invalid-input');
      await fails(store.listRecords(p, name, { limit: 1 }), 'invalid-input');
      await fails(store.listLogs({ ...p, id: name }), 'invalid-input');
      await fails(store.readLog(p, name, { limit: 1 }), 'invalid-input');
      await fails(store.readLog(p, 'log', { limit: 1, mark: name }), 'invalid-input');
      await fails(store.readLog(p, 'log', { limit: 1, ids: ['a', name] }), 'invalid-input');
      await fails(store.queryIndex({ tenant: name, index: 'i', key: 'k', limit: 1 }), 'invalid-input');
      await fails(store.queryIndex({ tenant: 'default', index: name, key: 'k', limit: 1 }), 'invalid-input');
    });
  }
}

function refusedOperations(name: string): Operation[] {
  const fields =
    typeof name === 'string' ? [{ op: 'add', kind: 'k', id: 'c', deltas: { [name]: 1 } } as const] : [];
  return [
    put(name, 1),
    put('a', 1, { kind: name }),
    put('a', 1, { indexes: [{ index: name, key: 'k', order: 1 }] }),
    { op: 'check', kind: 'note', id: name, ifVersion: 'absent' },
    { op: 'delete', kind: name, id: 'a' },
    { op: 'add', kind: 'k', id: name, deltas: { n: 1 } },
    ...fields,
    append([1], { log: name }),
    append([{ id: name, value: '1' }]),
    append([{ value: '1', mark: name }]),
    { op: 'rewrite', log: name, seq: 1, value: '1' },
    { op: 'truncate', log: name, before: 1 },
  ];
}
