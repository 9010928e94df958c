import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Operation, PROVISIONAL, type Store } from '../../src/core/store.ts';
import type { FallbackStore } from '../../src/stores/fallback/index.ts';
import { withFallback } from '../../src/stores/fallback/index.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { appendOf, outagePlace, patientStore, recordOf, session, valuesOf, write } from './outages.ts';

const p = session();
const warnings: string[] = [];
process.on('warning', ({ message }) => warnings.push(message));

const present: Operation = { op: 'check', kind: 'session', id: 'session', ifVersion: 'present' };
const putSession: Operation = { op: 'put', kind: 'session', id: 'session', value: '{}' };
const merge = (value: object): Operation => ({
  op: 'put',
  kind: 'state',
  id: 'state',
  value: '{}',
  ifVersion: 0,
  patch: { merge: JSON.stringify(value) },
});
/** Without a condition, so that the store takes it, too. */
const blindMerge = (value: object): Operation => {
  const text = JSON.stringify(value);
  return { op: 'put', kind: 'state', id: 'state', value: text, patch: { merge: text } };
};
const set = (value: object): Operation => ({
  op: 'put',
  kind: 'state',
  id: 'state',
  value: '{}',
  ifVersion: 0,
  patch: { set: JSON.stringify(value) },
});
const add = (n: number): Operation => ({ op: 'add', kind: 'count', id: 'count', deltas: { n } });

const textOf = (term: string): Operation => ({
  op: 'index',
  collection: 'texts',
  id: '1',
  scope: 'u',
  terms: [term],
  value: '{}',
  order: 1,
});

async function back(store: FallbackStore): Promise<void> {
  await vi.waitFor(() => expect(store.state).toBe('normal'), { interval: 5 });
}

test('opens and takes writes where the store can’t be reached yet, and brings them there later', async () => {
  const { open, wire, target } = await outagePlace();
  wire.mode = 'down';
  const store = await open();
  expect(store.state).toBe('degraded');
  await write(store, p, appendOf(1));
  await write(store, p, appendOf(2));
  expect(await valuesOf(target, p)).toEqual([]);
  wire.mode = 'up';
  await back(store);
  expect(await valuesOf(target, p)).toEqual([1, 2]);
  expect(await valuesOf(store, p)).toEqual([1, 2]);
});

test('opens without a store that takes too long, and takes it when it comes', async () => {
  const target = new MemoryStore();
  const { promise, resolve } = Promise.withResolvers<Store>();
  const store = await withFallback(() => promise, new MemoryStore(), { timeoutMs: 20, probeMs: 5 });
  onTestFinished(() => store.close());
  expect(store.state).toBe('degraded');
  await write(store, p, appendOf(1));
  resolve(target);
  await back(store);
  expect(await valuesOf(target, p)).toEqual([1]);
});

test('throws at once what is no outage when it is opened', async () => {
  const refuse = withFallback(async () => {
    throw new TypeError('a bug');
  }, new MemoryStore());
  await expect(refuse).rejects.toThrow('a bug');
  await expect(
    withFallback(new MemoryStore(), new MemoryStore(), { probMs: 1 } as object),
  ).rejects.toMatchObject({ code: 'invalid-input', message: expect.stringContaining('probeMs') });
});

test.for(['down', 'doubt', 'silent'] as const)(
  'loses and doubles nothing when the store is %s',
  async (mode) => {
    const { open, wire, target } = await outagePlace();
    const store = await open();
    await write(store, p, appendOf(0), add(1));
    wire.mode = mode;
    for (let i = 1; i <= 5; i++) await write(store, p, appendOf(i), add(1));
    expect(store.state).toBe('degraded');
    wire.mode = 'up';
    await back(store);
    await write(store, p, appendOf(6), add(1));
    expect(await valuesOf(target, p)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(await recordOf(target, p, 'count')).toEqual({ n: 7 });
    const { changes } = await store.readChanges('oldest', 100);
    expect(changes.length).toBe(7);
    expect(changes.filter(({ batchId }) => batchId !== undefined)).toEqual([]);
  },
);

test('does a caller’s batch once, whichever way it went the first time', async () => {
  const { open, wire, target } = await outagePlace();
  const store = await open();
  const batch = (id: string) => ({ id, partition: p, operations: [add(1)] });
  await store.commit(batch('before'));
  wire.mode = 'doubt';
  await store.commit(batch('doubt'));
  for (const id of ['before', 'doubt', 'during']) await store.commit(batch(id));
  expect((await store.commit(batch('during'))).replayed).toBe(true);
  wire.mode = 'up';
  await back(store);
  expect((await store.commit(batch('during'))).replayed).toBe(true);
  expect(await recordOf(target, p, 'count')).toEqual({ n: 3 });
});

test('keeps the order of calls that were under way when the store was lost', async () => {
  const { open, wire, target } = await outagePlace();
  const store = await open({ timeoutMs: 50 });
  wire.mode = 'silent';
  const calls = Array.from({ length: 50 }, (_, i) =>
    write(store, p, i % 7 ? appendOf(i) : blindMerge({ i }), add(1)),
  );
  await vi.waitFor(() => expect(store.state).toBe('degraded'));
  const later = Array.from({ length: 50 }, (_, i) => write(store, p, appendOf(50 + i)));
  await Promise.all([...calls, ...later]);
  wire.mode = 'up';
  await back(store);
  const expected = Array.from({ length: 100 }, (_, i) => i).filter((i) => i >= 50 || i % 7);
  expect(await valuesOf(target, p)).toEqual(expected);
});

test('keeps the order of calls that nobody waits for through an outage longer than the store’s patience', async () => {
  const { open, wire, target } = await outagePlace();
  let gaveUp = 0;
  const patient = patientStore(target, wire, () => gaveUp++);
  const store = await open({ timeoutMs: 30, probeMs: 50 }, { source: patient });
  await write(store, p, appendOf(0));
  wire.mode = 'down';
  const calls: Promise<unknown>[] = [];
  for (let i = 1; i <= 20; i++) {
    calls.push(write(store, p, appendOf(i)));
    // The first is on its way, the others wait in the store.
    await setImmediate();
  }
  await Promise.all(calls);
  await vi.waitFor(() => expect(gaveUp).toBe(1), { interval: 1 });
  wire.mode = 'up';
  await back(store);
  expect(await valuesOf(target, p)).toEqual(Array.from({ length: 21 }, (_, i) => i));
});

test('reads what was written meanwhile, and says of nothing that it is not there', async () => {
  const { open, wire } = await outagePlace();
  const store = await open();
  await write(store, p, appendOf('old'), putSession);
  wire.mode = 'down';
  const { results } = await write(store, p, present, appendOf('a', 'b'), add(2), merge({ x: { y: 1 } }));
  expect(results[1]!.seqs).toEqual([PROVISIONAL + 1, PROVISIONAL + 2]);
  expect(results[2]!.counters).toEqual({ n: 2 });
  await write(store, p, merge({ x: { z: 2 } }));
  expect(await recordOf(store, p, 'state')).toEqual({ x: { y: 1, z: 2 } });
  expect(await valuesOf(store, p)).toEqual(['a', 'b']);
  expect(await store.listLogs(p)).toEqual([
    { log: 'log', firstSeq: PROVISIONAL + 1, lastSeq: PROVISIONAL + 2, count: 2 },
  ]);
  const newest = await store.readLog(p, 'log', { limit: 1, reverse: true });
  expect(newest.entries.map(({ seq, value }) => [seq, value])).toEqual([[PROVISIONAL + 2, '"b"']]);
  const before = await store.readLog(p, 'log', { limit: 9, before: PROVISIONAL + 2 });
  expect(before.entries.map(({ value }) => value)).toEqual(['"a"']);
  const items = (await store.listRecords(p, undefined, { limit: 9 })).items.map(({ kind }) => kind);
  expect(items).toEqual(['count', 'state']);
  const away = { code: 'store-unavailable', hint: expect.stringContaining('when the store is back') };
  await expect(recordOf(store, p, 'session')).rejects.toMatchObject(away);
  await expect(valuesOf(store, p, 'other')).rejects.toMatchObject(away);
  await expect(store.readLog(p, 'log', { limit: 1, before: 9 })).rejects.toMatchObject(away);
  const named = await store.readLog(p, 'log', { limit: 9, seqs: [PROVISIONAL + 2, PROVISIONAL + 3] });
  expect(named.entries.map(({ value }) => value)).toEqual(['"b"']);
  const seqs = [1, PROVISIONAL + 2];
  await expect(store.readLog(p, 'log', { limit: 9, seqs })).rejects.toMatchObject(away);
  expect((await store.readLog(p, 'log', { limit: 9, seqs, after: PROVISIONAL })).entries).toHaveLength(1);
  await expect(store.listRecords(p, 'session', { limit: 1 })).rejects.toMatchObject(away);
  await expect(store.listLogs(session('t'))).rejects.toMatchObject(away);
  await expect(store.queryIndex({ index: '$partitions', key: '', limit: 1 })).rejects.toMatchObject(away);
  await expect(store.readChanges('oldest', 1)).rejects.toMatchObject({ code: 'store-unavailable' });
});

test('knows all of a partition that began meanwhile, and judges conditions there', async () => {
  const { open, wire, target } = await outagePlace();
  const store = await open();
  wire.mode = 'down';
  const absent: Operation = { op: 'check', kind: 'fork', id: 'fork', ifVersion: 'absent' };
  const created = await store.commit({
    partition: p,
    operations: [{ ...putSession, ifVersion: 'absent' } as Operation, absent],
    fresh: true,
  });
  const ifVersion = created.results[0]!.version!;
  expect(ifVersion).toBeGreaterThan(PROVISIONAL);
  expect(await recordOf(store, p, 'state')).toBeUndefined();
  expect(await valuesOf(store, p)).toEqual([]);
  const update: Operation = { op: 'put', kind: 'session', id: 'session', value: '{"a":1}', ifVersion };
  await write(store, p, update);
  await expect(write(store, p, update)).rejects.toMatchObject({
    code: 'conflict',
    currentVersion: expect.toSatisfy((version: number) => version > ifVersion),
  });
  await write(store, p, { ...appendOf(1), ifLastSeq: 0 } as Operation);
  await write(store, p, { ...appendOf(2), ifLastSeq: PROVISIONAL + 1 } as Operation);
  await expect(write(store, p, { ...appendOf(3), ifLastSeq: 2 } as Operation)).rejects.toMatchObject({
    code: 'conflict',
  });
  wire.mode = 'up';
  await back(store);
  expect(await recordOf(target, p, 'session')).toEqual({ a: 1 });
  expect(await valuesOf(target, p)).toEqual([1, 2]);
  await expect(write(store, p, update)).rejects.toMatchObject({ code: 'conflict' });
});

test.for<[string, Operation]>([
  ['a put on a version', { op: 'put', kind: 'k', id: 'i', value: '1', ifVersion: 3 }],
  ['a put of what must be absent', { op: 'put', kind: 'k', id: 'i', value: '1', ifVersion: 'absent' }],
  [
    'a put on a provisional version',
    { op: 'put', kind: 'k', id: 'i', value: '1', ifVersion: PROVISIONAL + 1 },
  ],
  ['a delete on a version', { op: 'delete', kind: 'k', id: 'i', ifVersion: 3 }],
  ['a check of a version', { op: 'check', kind: 'k', id: 'i', ifVersion: 3 }],
  ['a check of absence', { op: 'check', kind: 'k', id: 'i', ifVersion: 'absent' }],
  ['an append at a log’s end', { ...appendOf(1), ifLastSeq: 4 } as Operation],
  ['an append at a seq', { ...appendOf(1), startSeq: 4 } as Operation],
  ['a rewrite', { op: 'rewrite', log: 'log', seq: 1, value: '1' }],
  ['a truncation', { op: 'truncate', log: 'log', after: 0 }],
  ['a drop', { op: 'drop' }],
  ['a text that is indexed', textOf('x')],
  ['a text that is taken out', { op: 'unindex', collection: 'texts' }],
  ['vectors', { op: 'embed', collection: 'texts', id: '1', model: 'm', vectors: [] }],
])('fails fast at %s while the store is away', async ([, operation]) => {
  const { open, wire, target } = await outagePlace();
  const store = await open();
  wire.mode = 'down';
  await write(store, p, appendOf(1));
  await expect(write(store, p, operation)).rejects.toMatchObject({
    code: 'store-unavailable',
    hint: expect.stringContaining('Try again when it is back'),
  });
  wire.mode = 'up';
  await back(store);
  expect(await valuesOf(target, p)).toEqual([1]);
  expect(await store.health()).toMatchObject({
    ok: true,
    facts: { rejected: 0, spooled: 0, fallback: 'normal' },
  });
});

test('merges and sets what was changed meanwhile into what others have written', async () => {
  const { open, wire, target } = await outagePlace();
  const store = await open();
  await write(target, p, { op: 'put', kind: 'state', id: 'state', value: '{"shared":{"a":1},"o":{"x":1}}' });
  wire.mode = 'down';
  await write(store, p, merge({ shared: { mine: 1 } }));
  await write(store, p, set({ o: { y: 2 } }));
  await write(target, p, {
    op: 'put',
    kind: 'state',
    id: 'state',
    value: '{"shared":{"a":2,"theirs":1},"o":{"x":1}}',
  });
  wire.mode = 'doubt';
  wire.onCommit = () => {
    // Others write in the middle of the read-modify-write, once.
    wire.onCommit = () => {};
    wire.mode = 'up';
    void write(target, p, {
      op: 'put',
      kind: 'state',
      id: 'state',
      value: '{"shared":{"a":3,"theirs":1},"o":{"x":1}}',
    });
  };
  wire.mode = 'up';
  await back(store);
  expect(await recordOf(target, p, 'state')).toEqual({ shared: { a: 3, theirs: 1, mine: 1 }, o: { y: 2 } });
});

test('keeps what the store refuses when it is back, tells it, and goes on with the rest', async () => {
  const { open, wire, target } = await outagePlace();
  const told: string[] = [];
  const store = await open({ onRejected: ({ error }) => told.push(error.code) });
  await write(store, p, putSession);
  wire.mode = 'down';
  await write(store, p, present, appendOf(1));
  await write(store, p, appendOf(2));
  await write(target, p, { op: 'drop' });
  wire.mode = 'up';
  await back(store);
  expect(await valuesOf(target, p)).toEqual([2]);
  expect(told).toEqual(['conflict']);
  const [rejected, ...more] = await store.rejected();
  expect(more).toEqual([]);
  expect(rejected).toMatchObject({
    seq: 1,
    error: { code: 'conflict' },
    batch: { operations: [present, appendOf(1)] },
  });
  const health = await store.health();
  expect(health).toMatchObject({ ok: true, facts: { rejected: 1, spooled: 0 } });
  expect(health.problems).toEqual([expect.stringContaining('1')]);
  await store.forgetRejected(1);
  expect(await store.health()).toMatchObject({ problems: [], facts: { rejected: 0 } });
});

test('says in its health what is in the spool', async () => {
  const { open, wire } = await outagePlace();
  const states: string[] = [];
  const store = await open({ onStateChange: (state) => states.push(state) });
  expect(await store.health()).toMatchObject({ ok: true, problems: [], facts: { degraded: false } });
  wire.mode = 'down';
  for (let i = 0; i < 3; i++) await write(store, session(`s${i}`), appendOf(i));
  expect(await store.health()).toMatchObject({
    ok: true,
    problems: [expect.stringMatching(/^the store is away since .*; in the spool: 3$/)],
    facts: { degraded: true, fallback: 'degraded', spooled: 3 },
  });
  wire.mode = 'up';
  await back(store);
  expect(states).toEqual(['normal', 'degraded', 'replaying', 'normal']);
});

test('wakes those who wait for changes when the store is back', async () => {
  const { open, wire } = await outagePlace();
  const store = await open();
  const { cursor } = await store.readChanges('newest', 0);
  const before = store.waitForChanges(cursor);
  wire.mode = 'silent';
  await write(store, p, appendOf(1));
  const during = store.waitForChanges(cursor);
  const stop = new AbortController();
  const stopped = store.waitForChanges(cursor, stop.signal);
  stop.abort(new Error('enough'));
  await expect(stopped).rejects.toThrow('enough');
  wire.mode = 'up';
  await Promise.all([before, during]);
  await back(store);
  expect((await store.readChanges(cursor, 9)).changes.length).toBe(1);
});

test('keeps what is in a durable spool when it is closed, and brings it later', async () => {
  const { open, wire, target } = await outagePlace();
  const first = await open();
  wire.mode = 'down';
  for (let i = 0; i < 20; i++) await write(first, session(`s${i % 3}`), appendOf(i));
  await first.close();
  const second = await open();
  expect(second.state).toBe('degraded');
  expect((await second.health()).facts).toMatchObject({ spooled: 20 });
  expect(await valuesOf(second, session('s0'))).toEqual([0, 3, 6, 9, 12, 15, 18]);
  await second.close();
  wire.mode = 'up';
  const third = await open();
  // What is asked for goes first.
  expect(await valuesOf(third, session('s1'))).toEqual([1, 4, 7, 10, 13, 16, 19]);
  await back(third);
  expect(await valuesOf(target, session('s2'))).toEqual([2, 5, 8, 11, 14, 17]);
});

test('takes texts for searching when what is in the spool of their partition is through, and not before', async () => {
  const { open, wire, target } = await outagePlace();
  const replaying = Promise.withResolvers<void>();
  const store = await open({ onStateChange: (state) => state === 'replaying' && replaying.resolve() });
  expect(store.features).toMatchObject({ textSearch: true, vectorSearch: true });
  const search = () =>
    store.searchText({
      tenant: 'default',
      collection: 'texts',
      within: { partition: p },
      terms: ['x'],
      limit: 1,
    });
  wire.mode = 'down';
  await expect(write(store, p, appendOf(0), textOf('x'))).rejects.toMatchObject({
    code: 'store-unavailable',
  });
  for (let i = 1; i < 200; i++) await write(store, p, appendOf(i));
  await expect(search()).rejects.toMatchObject({ code: 'store-unavailable' });
  wire.mode = 'up';
  await replaying.promise;
  // Behind what is replayed: the text tells of the whole log.
  await write(store, p, textOf('x'));
  expect(await valuesOf(target, p)).toHaveLength(199);
  expect((await search()).counts).toEqual([1]);
  await back(store);
});

test('does not pretend when a spool in memory is closed with something in it', async () => {
  const { open, wire, target } = await outagePlace();
  const saved = await open({}, { spool: new MemoryStore() });
  expect(warnings.filter((message) => message.includes('die with the process'))).toHaveLength(1);
  wire.mode = 'down';
  await write(saved, p, appendOf(1));
  // A last try.
  wire.mode = 'up';
  await saved.close();
  expect(await valuesOf(target, p)).toEqual([1]);
  const lost = await open({}, { spool: new MemoryStore() });
  wire.mode = 'down';
  await write(lost, p, appendOf(2));
  await expect(lost.close()).rejects.toMatchObject({ code: 'store-unavailable' });
});
