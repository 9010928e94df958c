/** Short words for the tests: operations, whole listings, and errors that are expected. */
import assert from 'node:assert/strict';
import { type ErrorCode, type HoldfastError, isHoldfastError } from '../core/errors.ts';
import type {
  AppendEntry,
  Batch,
  Change,
  Cursor,
  Entry,
  LogRange,
  Operation,
  Page,
  Partition,
  Receipt,
  Store,
  Stored,
} from '../core/store.ts';

type Of<Op extends Operation['op']> = Operation & { op: Op };

export function partition(id = 'p', tenant = 'default', type = 'session'): Partition {
  return { tenant, type, id };
}

export function put(id: string, value: unknown, more: Partial<Of<'put'>> = {}): Of<'put'> {
  return { op: 'put', kind: 'note', id, value: JSON.stringify(value), ...more };
}

export function remove(id: string, more: Partial<Of<'delete'>> = {}): Of<'delete'> {
  return { op: 'delete', kind: 'note', id, ...more };
}

export function check(id: string, ifVersion: Of<'check'>['ifVersion']): Of<'check'> {
  return { op: 'check', kind: 'note', id, ifVersion };
}

export function add(id: string, deltas: Record<string, number>): Of<'add'> {
  return { op: 'add', kind: 'count', id, deltas };
}

/** Appends values, or entries, to the log `log`. */
export function append(values: readonly unknown[], more: Partial<Of<'append'>> = {}): Of<'append'> {
  return { op: 'append', log: 'log', entries: values.map(entry), ...more };
}

/** An entry of a value; what has a `value` of text is one already. */
function entry(value: unknown): AppendEntry {
  const given = value as Partial<AppendEntry> | null;
  return typeof given === 'object' && typeof given?.value === 'string'
    ? (given as AppendEntry)
    : { value: JSON.stringify(value) };
}

export function commit(store: Store, at: Partition, ...operations: Operation[]): Promise<Receipt> {
  return store.commit({ partition: at, operations });
}

export async function read(
  store: Store,
  at: Partition,
  id: string,
  kind = 'note',
): Promise<Stored | undefined> {
  const [stored] = await store.getRecords([{ partition: at, kind, id }]);
  return stored;
}

export async function valueAt(store: Store, at: Partition, id: string, kind = 'note'): Promise<unknown> {
  const stored = await read(store, at, id, kind);
  return stored && JSON.parse(stored.value);
}

/** Values of a log's entries, in the order they were read. */
export async function logValues(
  store: Store,
  at: Partition,
  range: Partial<LogRange> = {},
  log = 'log',
): Promise<unknown[]> {
  const { entries } = await store.readLog(at, log, { limit: 10_000, ...range });
  return entries.map(({ value }) => JSON.parse(value));
}

/** All entries of a log, read in pages of `limit` from one end to the other. */
export async function pageLog(store: Store, at: Partition, range: LogRange, log = 'log'): Promise<Entry[]> {
  const all: Entry[] = [];
  for (let bound: Partial<LogRange> = {}; ; ) {
    const { entries } = await store.readLog(at, log, { ...range, ...bound });
    assert.ok(entries.length <= range.limit, 'a page has no more entries than asked for');
    if (entries.length === 0) return all;
    all.push(...entries);
    const { seq } = entries.at(-1)!;
    bound = range.reverse ? { before: seq } : { after: seq };
  }
}

/** All items of a listing, page by page. */
export async function pages<T>(
  list: (after: string | undefined) => Promise<Page<T>>,
  limit: number,
): Promise<T[]> {
  const all: T[] = [];
  for (let after: string | undefined; ; ) {
    const { items, next } = await list(after);
    assert.ok(items.length <= limit, 'a page has no more items than asked for');
    all.push(...items);
    if (next === undefined) return all;
    assert.ok(items.length > 0, 'a page that others follow has items');
    after = next;
  }
}

/** `{after}` where there is one: what a range takes. */
export function from(after: string | undefined): { after?: string } {
  return after === undefined ? {} : { after };
}

/** Follows the journal until it has told enough; waits where it has not yet. */
export async function follow(
  store: Store,
  start: Cursor | 'oldest' | 'newest',
  enough: (changes: readonly Change[]) => boolean,
  limit = 100,
): Promise<{ changes: Change[]; cursor: Cursor }> {
  const all: Change[] = [];
  for (let after = start; ; ) {
    const { changes, cursor } = await store.readChanges(after, limit);
    assert.ok(changes.length <= limit, 'a page has no more changes than asked for');
    if (changes.length > 0)
      assert.equal(cursor, changes.at(-1)!.cursor, 'a page goes on after its last change');
    all.push(...changes);
    if (enough(all)) return { changes: all, cursor };
    if (changes.length === 0) await store.waitForChanges(cursor);
    after = cursor;
  }
}

/** For {@link follow}: so many changes. */
export function atLeast(count: number): (changes: readonly Change[]) => boolean {
  return (changes) => changes.length >= count;
}

/** The changes of one partition: only these have one order in every store. */
export function changesOf(changes: readonly Change[], { tenant, type, id }: Partition): Change[] {
  return changes.filter(({ partition: of }) => of.tenant === tenant && of.type === type && of.id === id);
}

/** Waits for the promise to be rejected with an error of ours, and gives that back. */
export async function fails(promise: Promise<unknown>, code: ErrorCode): Promise<HoldfastError> {
  const error = await promise.then(
    () => assert.fail(`expected an error with the code ${code}, but it went well`),
    (reason: unknown) => reason,
  );
  if (!isHoldfastError(error)) throw error;
  assert.equal(error.code, code, error.message);
  return error;
}

/** How a call ended. A call that throws instead of rejecting is a fault of its own. */
export async function settle(batches: readonly Batch[], store: Store): Promise<(Receipt | HoldfastError)[]> {
  const settled = await Promise.allSettled(batches.map((batch) => store.commit(batch)));
  return settled.map((one) => {
    if (one.status === 'fulfilled') return one.value;
    if (isHoldfastError(one.reason)) return one.reason;
    throw one.reason;
  });
}

/** `count` things, made from 0 up. */
export function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}
