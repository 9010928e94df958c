/** Random batches against the memory store, which is the model, and SQLite in several ways of using it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isHoldfastError } from '../../src/core/errors.ts';
import {
  type Batch,
  type Change,
  EXPIRY_INDEX,
  type IfVersion,
  type LogRange,
  type Operation,
  PARTITION_INDEX,
  type Partition,
  type Store,
} from '../../src/core/store.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';

const PARTITIONS: readonly Partition[] = [
  { tenant: 'a', type: 'session', id: 'p' },
  { tenant: 'a', type: 'session', id: 'q' },
  { tenant: 'b', type: 'thread', id: 'p' },
];
const KINDS = ['note', 'count'];
const LOGS = ['log', 'other'];

/** Versions differ from store to store: a condition says which it means, and each store's own is filled in. */
type Meant = 'absent' | 'present' | 'current' | 'stale' | undefined;
type Planned = { operation: Operation; meant?: Meant };
type PlannedBatch = { id: string | undefined; partition: Partition; planned: readonly Planned[] };
type Step =
  | { do: 'commit'; batches: readonly PlannedBatch[] }
  | { do: 'trim' }
  | { do: 'reopen' }
  | { do: 'read'; partition: Partition; log: string; range: LogRange };

const kind = fc.constantFrom(...KINDS);
const id = fc.constantFrom('x', 'y', 'z');
const log = fc.constantFrom(...LOGS);
const partition = fc.constantFrom(...PARTITIONS);
const value = fc.integer({ min: 0, max: 99 }).map(String);
const seq = fc.integer({ min: 0, max: 14 });
const mark = fc.constantFrom('m', 'n');
const meant = fc.constantFrom<Meant[]>('absent', 'present', 'current', 'stale', undefined, undefined);
const place = fc.record({
  index: fc.constantFrom('i', 'j'),
  key: fc.constantFrom('', 'k'),
  order: fc.integer({ min: -2, max: 2 }),
});
const entry = fc.record(
  { value, id: fc.constantFrom('e', 'f', 'g'), mark, version: fc.integer({ min: 1, max: 3 }) },
  { requiredKeys: ['value'] },
);

const record = fc.oneof(
  fc.record({
    op: fc.constant('put' as const),
    kind,
    id,
    value,
    indexes: fc.uniqueArray(place, { maxLength: 2, selector: ({ index, key }) => index + key }),
  }),
  fc.record({ op: fc.constant('delete' as const), kind, id }),
  fc.record({ op: fc.constant('check' as const), kind, id, ifVersion: fc.constant<IfVersion>('present') }),
);
const planned: fc.Arbitrary<Planned> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ operation: record, meant }) },
  {
    weight: 2,
    arbitrary: plain({
      op: fc.constant('add' as const),
      kind,
      id,
      deltas: fc.dictionary(fc.constantFrom('n', '__proto__'), fc.integer({ min: -5, max: 5 }), {
        minKeys: 1,
      }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc
      .record(
        {
          op: fc.constant('append' as const),
          log,
          entries: fc.array(entry, { minLength: 1, maxLength: 5 }),
          ifLastSeq: seq,
          startSeq: fc.integer({ min: 1, max: 20 }),
        },
        { requiredKeys: ['op', 'log', 'entries'] },
      )
      .map((operation) => ({ operation })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record(
        {
          op: fc.constant('rewrite' as const),
          log,
          seq: seq.map((n) => n + 1),
          value,
          mark: fc.option(mark),
          ifVersion: fc.integer({ min: 1, max: 3 }),
        },
        { requiredKeys: ['op', 'log', 'seq', 'value'] },
      )
      .map((operation) => ({ operation })),
  },
  { weight: 1, arbitrary: plain({ op: fc.constant('truncate' as const), log, before: seq }) },
  { weight: 1, arbitrary: plain({ op: fc.constant('truncate' as const), log, after: seq }) },
  {
    weight: 1,
    arbitrary: plain({
      op: fc.constant('truncate' as const),
      log,
      before: seq,
      after: seq,
      ifLastSeq: fc.option(seq, { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: plain({ op: fc.constant('expire' as const), at: fc.option(fc.integer({ min: 1, max: 9 })) }),
  },
);
const drop = fc
  .record(
    { op: fc.constant('drop' as const), ifExpiredAt: fc.integer({ min: 1, max: 9 }) },
    { requiredKeys: ['op'] },
  )
  .map((operation) => [{ operation }]);
const batch: fc.Arbitrary<PlannedBatch> = fc.record({
  id: fc.option(fc.constantFrom('b1', 'b2', 'b3'), { nil: undefined, freq: 4 }),
  partition,
  planned: fc.oneof(
    { weight: 12, arbitrary: fc.uniqueArray(planned, { minLength: 1, maxLength: 4, selector: targetOf }) },
    { weight: 1, arbitrary: drop },
  ),
});
const bounds = {
  limit: fc.integer({ min: 0, max: 6 }),
  after: seq,
  before: seq,
  reverse: fc.boolean(),
  mark,
};
const range = fc.oneof(
  fc.record({ ...bounds, ids: fc.array(fc.constantFrom('e', 'f', 'g', 'h')) }, { requiredKeys: ['limit'] }),
  fc.record({ ...bounds, seqs: fc.array(seq) }, { requiredKeys: ['limit', 'seqs'] }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      batches: fc.array(batch, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('read' as const), partition, log, range }) },
  { weight: 1, arbitrary: fc.constant({ do: 'trim' } as const) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' } as const) },
);

function plain<T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Planned> {
  return fc.record(shape).map((operation) => ({ operation: operation as unknown as Operation }));
}

function targetOf({ operation }: Planned): string {
  return 'log' in operation
    ? operation.log
    : 'kind' in operation
      ? `${operation.kind}/${operation.id}`
      : operation.op;
}

/** A way of using a store: which opened one takes each step. */
interface System {
  readonly stores: Store[];
  next(step: number): Store;
  reopen(): Promise<void>;
}

async function run(system: System, steps: readonly Step[]): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (const [i, one] of steps.entries()) {
    const store = system.next(i);
    if (one.do === 'reopen') await system.reopen();
    else if (one.do === 'trim') await store.trimChanges((await store.readChanges('newest', 1)).cursor);
    else if (one.do === 'read') seen.push(await store.readLog(one.partition, one.log, one.range));
    else seen.push(await commitAll(store, one.batches));
  }
  for (const store of system.stores) seen.push(await contents(store));
  return seen;
}

/** Commits batches at once. What a condition means is looked up before any of them. */
async function commitAll(store: Store, batches: readonly PlannedBatch[]): Promise<unknown[]> {
  const resolved: Batch[] = [];
  for (const { id, partition, planned } of batches) {
    const operations = await Promise.all(planned.map((one) => resolve(store, partition, one)));
    resolved.push({ partition, operations, ...(id !== undefined && { id }) });
  }
  const settled = await Promise.allSettled(resolved.map((one) => store.commit(one)));
  return settled.map((outcome) => {
    if (outcome.status === 'fulfilled') {
      const { replayed, results } = outcome.value;
      return { replayed, results: results.map(withoutVersion) };
    }
    if (!isHoldfastError(outcome.reason)) throw outcome.reason;
    const { message } = outcome.reason;
    return message.startsWith('record ') ? message.replaceAll(/version \d+/g, 'version') : message;
  });
}

async function resolve(
  store: Store,
  partition: Partition,
  { operation, meant }: Planned,
): Promise<Operation> {
  if (meant === undefined || !('kind' in operation) || operation.op === 'add') return operation;
  const { kind, id } = operation;
  const [stored] = await store.getRecords([{ partition, kind, id }]);
  const ifVersion = meant === 'current' ? (stored?.version ?? 0) : meant === 'stale' ? 0 : meant;
  return { ...operation, ifVersion };
}

/** Entries count their versions from 1 in every store; records have versions of their own. */
function withoutVersion<T extends object>(result: T): object {
  if (!('created' in result)) return result;
  const { version: _, ...rest } = result as { version?: number };
  return rest;
}

async function contents(store: Store): Promise<unknown> {
  const partitions = await Promise.all(
    PARTITIONS.map(async (partition) => ({
      logs: await store.listLogs(partition),
      entries: await Promise.all(LOGS.map((log) => store.readLog(partition, log, { limit: 1000 }))),
      records: (await store.listRecords(partition, undefined, { limit: 100 })).items.map(
        ({ version: _, ...rest }) => rest,
      ),
    })),
  );
  const queries = [
    ...['session', 'thread'].map((key) => ({ index: PARTITION_INDEX, key })),
    { index: EXPIRY_INDEX, key: '' },
    ...['a', 'b'].flatMap((tenant) =>
      ['i', 'j'].flatMap((index) => ['', 'k'].map((key) => ({ tenant, index, key }))),
    ),
  ];
  const hits = await Promise.all(
    queries.map(async (query) => {
      const { items } = await store.queryIndex({ ...query, limit: 1000 });
      expect(items.map(({ order }) => order)).toEqual(
        items.map(({ order }) => order).toSorted((a, b) => a - b),
      );
      return items.map((hit) => JSON.stringify(hit)).sort();
    }),
  );
  return { partitions, hits, journal: await journal(store) };
}

/** The journal in pages of two, cursors and versions of records aside. */
async function journal(store: Store): Promise<unknown[]> {
  const told: Change[] = [];
  for (let after = 'oldest'; ; ) {
    const { changes, cursor } = await store.readChanges(after, 2);
    if (changes.length === 0) break;
    told.push(...changes);
    after = cursor;
  }
  return told.map(({ cursor: _, at: __, operations, ...change }) => ({
    ...change,
    operations: operations.map(withoutVersion),
  }));
}

async function inMemory(): Promise<System> {
  const store = new MemoryStore();
  return { stores: [store], next: () => store, reopen: async () => {} };
}

/** SQLite, with so many opened stores taking turns on one file. */
async function onFile(path: string, count: number): Promise<System> {
  const open = () => SqliteStore.open(path, { durability: 'normal' });
  const stores = await Promise.all(Array.from({ length: count }, open));
  return {
    stores,
    next: (step) => stores[step % count]!,
    async reopen() {
      await stores[0]!.close();
      stores[0] = await open();
    },
  };
}

test.for([1, 2])('SQLite does what the memory store does, with %d opened on one file', async (count) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  let file = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const expected = await run(await inMemory(), steps);
        const system = await onFile(join(folder, `${file++}.db`), count);
        try {
          const found = await run(system, steps);
          // Every opened store shows the same at the end.
          const last = expected.pop();
          expect(found.splice(-count)).toEqual(Array(count).fill(last));
          expect(found).toEqual(expected);
        } finally {
          await Promise.all(system.stores.map((store) => store.close()));
        }
      }),
      { numRuns: 150 },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
