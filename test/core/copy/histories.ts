/** Random histories of a store, and everything that a store holds in the end. */
import fc from 'fast-check';
import { isHoldfastError } from '../../../src/core/errors.ts';
import {
  EXPIRY_INDEX,
  type IndexHit,
  type IndexRange,
  type Operation,
  PARTITION_INDEX,
  type Partition,
  type Store,
} from '../../../src/core/store.ts';

export interface Commit {
  partition: Partition;
  operations: readonly Operation[];
}

const PARTITIONS: readonly Partition[] = [
  { tenant: 'a', type: 'session', id: 'p' },
  { tenant: 'a', type: 'session', id: 'ü "%' },
  { tenant: 'b', type: 'thread', id: 'p' },
];

const value = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom('x', '\u00e9', [], {})).map(String);
const text = value.map((one) => JSON.stringify(one));
const key = {
  kind: fc.constantFrom('note', 'other'),
  id: fc.constantFrom('x', 'y', '\u{1F600}', '\uFFFD'),
};
const log = fc.constantFrom('log', 'second');
const seq = fc.integer({ min: 0, max: 12 });
const mark = fc.constantFrom('m', 'n');
const entry = fc.record(
  { value: text, id: fc.constantFrom('e', 'f', 'g', 'h'), mark },
  { requiredKeys: ['value'] },
);
const place = fc.record({
  index: fc.constantFrom('i', 'j'),
  key: fc.constantFrom('', 'k'),
  order: fc.constantFrom(-1, 0, 0.1, 1e15),
});
const indexes = fc.uniqueArray(place, { maxLength: 2, selector: (one) => one.index + one.key });

const record: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ op: fc.constant('put' as const), ...key, value: text, indexes }),
  fc.record({ op: fc.constant('delete' as const), ...key }),
  fc.record({
    op: fc.constant('add' as const),
    kind: fc.constant('count'),
    id: key.id,
    deltas: fc.dictionary(fc.constantFrom('n', 'm'), fc.constantFrom(1, -2, 0.1), { minKeys: 1 }),
  }),
);
const entries: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record(
      {
        op: fc.constant('append' as const),
        log,
        entries: fc.array(entry, { minLength: 1, maxLength: 4 }),
        startSeq: fc.integer({ min: 1, max: 20 }),
      },
      { requiredKeys: ['op', 'log', 'entries'] },
    ),
  },
  fc.record(
    {
      op: fc.constant('rewrite' as const),
      log,
      seq: seq.map((n) => n + 1),
      value: text,
      mark: fc.option(mark),
    },
    { requiredKeys: ['op', 'log', 'seq', 'value'] },
  ),
  fc.record({ op: fc.constant('truncate' as const), log, before: seq }),
  fc.record({ op: fc.constant('truncate' as const), log, after: seq }),
);
const expire = fc.record({
  op: fc.constant('expire' as const),
  at: fc.option(fc.integer({ min: 1, max: 9 })),
});

const commit: fc.Arbitrary<Commit> = fc.record({
  partition: fc.constantFrom(...PARTITIONS),
  operations: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.uniqueArray(fc.oneof(record, entries, entries, expire), {
        minLength: 1,
        maxLength: 3,
        selector: targetOf,
      }),
    },
    { weight: 1, arbitrary: fc.constant([{ op: 'drop' as const }]) },
  ),
});

export const history = fc.array(commit, { maxLength: 25 });

/** Commits a history; what the store refuses is left out. */
export async function live(store: Store, commits: readonly Commit[]): Promise<void> {
  for (const one of commits) {
    await store.commit(one).catch((error: unknown) => {
      if (!isHoldfastError(error)) throw error;
    });
  }
}

/** All that can be read of a store, but for what it keeps about itself, and partitions that hold nothing. */
export async function everything(store: Store): Promise<unknown> {
  const partitions = (await hits(store, { index: PARTITION_INDEX, key: '' }))
    .map(({ partition }) => partition)
    .filter(({ tenant }) => tenant !== '$system');
  const contents = await Promise.all(partitions.map((partition) => contentsOf(store, partition)));
  const queries = ['a', 'b'].flatMap((tenant) =>
    ['i', 'j'].flatMap((index) => ['', 'k'].map((one) => ({ tenant, index, key: one }))),
  );
  const places = await Promise.all(queries.map((query) => hits(store, query)));
  const expiry = await hits(store, { index: EXPIRY_INDEX, key: '' });
  const filled = contents.filter(({ records, logs }) => records.length + logs.length > 0);
  return { contents: sorted(filled), places: places.map(sorted), expiry: sorted(expiry) };
}

async function contentsOf(store: Store, partition: Partition) {
  const records = await store.listRecords(partition, undefined, { limit: 1000, whole: true });
  const logs = sorted(await store.listLogs(partition));
  return {
    partition,
    records: records.items.map(({ indexes: of = [], value: json, ...rest }) => ({
      ...rest,
      value: rest.counter ? sorted(Object.entries(JSON.parse(json))) : json,
      indexes: sorted([...of]),
    })),
    logs: await Promise.all(
      logs.map(async (info) => ({ info, page: await store.readLog(partition, info.log, { limit: 1000 }) })),
    ),
  };
}

async function hits(store: Store, range: Omit<IndexRange, 'limit'>): Promise<readonly IndexHit[]> {
  return (await store.queryIndex({ ...range, limit: 1000 })).items;
}

function sorted<T>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function targetOf(operation: Operation): string {
  if ('log' in operation) return operation.log;
  return 'kind' in operation ? `${operation.kind}/${operation.id}` : operation.op;
}
