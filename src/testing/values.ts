import assert from 'node:assert/strict';
import type { Store } from '../core/store.ts';
import type { Test } from './suite.ts';
import { append, commit, fails, partition, put, read } from './words.ts';

const MIB = 1024 * 1024;

/** JSON text that a careless store would give back changed. */
const TEXTS: Record<string, string> = {
  'NUL and control characters': JSON.stringify('\0\u0001\u001f\u007f\u0085'),
  'unpaired surrogates': JSON.stringify(['\ud800', 'a\udfffb', '\udc00\ud800']),
  'surrogate pairs and other planes': JSON.stringify('🦊 👩‍👩‍👧 𝕏 \u{10ffff}'),
  'a byte order mark and line separators': JSON.stringify('\ufeff\u2028\u2029\uffff\ufffe'),
  'text that is not normalized': JSON.stringify('e\u0301 é ﬁ'),
  'whitespace that JSON allows': ' {\r\n\t"a" : [ 1 , 2 ] }\n',
  'numbers beyond what JavaScript holds': '[12345678901234567890, 1e400, 0.10000000000000000001, -0, 1.0]',
  'a field twice, and a prototype': '{"a":1,"a":2,"__proto__":{"x":1},"constructor":null}',
  'escapes of plain characters': '"\\u0061\\/\\u00e9"',
  'nothing but a word': 'null',
  'quotes and commands': JSON.stringify(`'; DROP TABLE records; -- "\\" $1 %s {} \r\nSET a b`),
};

export function values(test: Test): void {
  const p = partition();
  const keep = async (store: Store, text: string) => {
    await commit(store, p, { op: 'drop' });
    await commit(store, p, put('a', 0, { value: text }), append([{ value: text }]));
    await commit(store, p, append([{ value: '0' }], { log: 'second' }));
    await commit(store, p, { op: 'rewrite', log: 'second', seq: 1, value: text });
    await expectKept(store, text);
  };
  const expectKept = async (store: Store, text: string) => {
    const stored = await read(store, p, 'a');
    assert.ok(stored?.value === text, 'the record is kept to the byte');
    for (const log of ['log', 'second']) {
      const { entries } = await store.readLog(p, log, { limit: 1, reverse: true });
      assert.ok(entries[0]?.value === text, 'the entry is kept to the byte');
    }
    const { items } = await store.listRecords(p, 'note', { limit: 1 });
    assert.ok(items[0]?.value === text, 'the listed record is kept to the byte');
  };

  for (const [what, text] of Object.entries(TEXTS)) {
    test(`keeps ${what}`, async ({ store }) => {
      await keep(store, text);
    });
  }

  test('keeps values of 4 MiB', async ({ store }) => {
    await keep(store, JSON.stringify('x'.repeat(4 * MIB - 2)));
    await keep(store, JSON.stringify('é🦊'.repeat(Math.floor((4 * MIB) / 6))));
  });

  test(
    'keeps all of them when opened again',
    async ({ store, open }) => {
      let current = store;
      for (const text of [...Object.values(TEXTS), JSON.stringify('ü'.repeat(MIB))]) {
        await keep(current, text);
        await current.close();
        current = await open();
        await expectKept(current, text);
      }
    },
    'persistent',
  );

  test('refuses values that are no JSON text', async ({ store }) => {
    for (const value of ['', 'a\0b', '"\ud800"', 7, undefined, null, {}] as string[]) {
      await fails(commit(store, p, put('b', 1), put('a', 1, { value })), 'invalid-input');
      await fails(
        commit(
          store,
          p,
          append([{ value: '1' }, { value: '2' }], {
            entries: [{ value: '1' }, { value }],
          }),
        ),
        'invalid-input',
      );
      await fails(commit(store, p, { op: 'rewrite', log: 'log', seq: 1, value }), 'invalid-input');
    }
    assert.deepEqual((await store.listRecords(p, undefined, { limit: 5 })).items, []);
  });
}
