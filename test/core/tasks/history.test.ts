import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../src/core/json.ts';
import { Distinct, hashOf } from '../../../src/core/tasks/distinct.ts';
import { type Gap, gapsOf } from '../../../src/core/tasks/gaps.ts';
import { History, sizeOf } from '../../../src/core/tasks/history.ts';
import type { ContextUpdate } from '../../../src/core/tasks/update.ts';

const updates: fc.Arbitrary<ContextUpdate[]> = fc.array(
  fc.record({
    timestamp: fc.nat(20),
    updateType: fc.constantFrom('message', 'error', 'm'),
    data: fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.integer({ min: 0, max: 3 }),
      // Data are what JSON gives: no objects without a prototype.
      fc.record({ a: fc.nat(1), b: fc.nat(1) }, { noNullPrototype: true }),
      fc.record({ b: fc.nat(1), a: fc.nat(1) }, { noNullPrototype: true }),
      fc.array(fc.nat(1), { maxLength: 2 }),
    ),
    metadata: fc.record({ n: fc.nat(2) }),
  }),
);

function historyOf(list: readonly ContextUpdate[]): History {
  const history = new History();
  for (const [i, update] of list.entries()) history.add({ n: i + 1, update, size: sizeOf(update.data) });
  return history;
}

const text = ({ updateType, data }: ContextUpdate) =>
  `${updateType}:${typeof data === 'object' ? JSON.stringify(Object.entries(data!).sort()) : JSON.stringify(data)}`;

/** What optimize means, the slow way. */
function optimized(list: readonly ContextUpdate[], maxSize: number): ContextUpdate[] {
  const kept: ContextUpdate[] = [];
  list.forEach((_, back) => {
    const i = list.length - 1 - back;
    const update = list[i]!;
    const isNewest = !list.slice(i + 1).some((later) => text(later) === text(update));
    const size = kept.reduce((sum, { data }) => sum + sizeOf(data), sizeOf(update.data));
    if (isNewest && size <= maxSize) kept.unshift(update);
  });
  return kept;
}

describe('a history', () => {
  test('keeps the newest of equal updates, and of those what fits, the newest first', () => {
    fc.assert(
      fc.property(updates, fc.nat(60), (list, maxSize) => {
        const history = historyOf(list);
        const removed = history.optimize(maxSize);
        const kept = optimized(list, maxSize);
        expect(history.updates).toEqual(kept);
        expect(removed).toBe(list.length - kept.length);
        expect(history.size).toBe(kept.reduce((sum, { data }) => sum + sizeOf(data), 0));
        expect(history.optimize(maxSize)).toBe(0);
      }),
    );
  });

  test('never has more than its bound, whatever is added', () => {
    fc.assert(
      fc.property(updates, fc.nat(30), (list, maxSize) => {
        const history = new History();
        for (const [i, update] of list.entries()) {
          history.add({ n: i + 1, update, size: sizeOf(update.data) });
          history.bound(maxSize);
          expect(history.size).toBeLessThanOrEqual(maxSize);
          expect(history.updates.length).toBeLessThanOrEqual(maxSize);
          if (maxSize > 0 && sizeOf(update.data) <= maxSize) expect(history.updates.at(-1)).toBe(update);
        }
      }),
    );
  });

  test('loses what came after a time, and nothing else', () => {
    fc.assert(
      fc.property(updates, fc.nat(20), (list, timestamp) => {
        const history = historyOf(list);
        history.truncate(timestamp);
        expect(history.updates).toEqual(list.filter((update) => update.timestamp <= timestamp));
      }),
    );
  });

  test('leaves lists alone that were handed out before', () => {
    const history = historyOf([
      { timestamp: 1, updateType: 'message', data: 'a', metadata: {} },
      { timestamp: 2, updateType: 'message', data: 'a', metadata: {} },
    ]);
    const before = history.updates;
    history.optimize(10);
    expect([before.length, history.updates.length]).toEqual([2, 1]);
  });
});

test('updates whose hashes are the same are told apart by what they say', () => {
  fc.assert(
    fc.property(updates, (list) => {
      const distinct = new Distinct(list);
      const isNew = list.map((_, i) => distinct.add(i, 7));
      expect(isNew).toEqual(
        list.map((one, i) => !list.slice(0, i).some((before) => text(before) === text(one))),
      );
    }),
  );
});

test('updates that are equal have the same hash, in whatever order their fields are', () => {
  const update = (data: Json): ContextUpdate => ({ timestamp: 1, updateType: 'message', data, metadata: {} });
  const hash = (data: Json) => hashOf(update(data));
  expect(hash({ a: 1, b: { c: [1, 2], d: null } })).toBe(hash({ b: { d: null, c: [1, 2] }, a: 1 }));
  const different: Json[] = [{}, [], '', null, 0, { a: 1 }, { a: 2 }, ['a', 1], [1, 'a'], { a: { b: 1 } }];
  expect(new Set(different.map(hash)).size).toBe(different.length);
});

test('gaps hold all that was removed and nothing that was kept', () => {
  const seqs = fc.uniqueArray(fc.integer({ min: 1, max: 60 }));
  fc.assert(
    fc.property(seqs, fc.array(fc.constantFrom('first', 'second', 'kept')), (all, fates) => {
      const fate = (i: number) => fates[i] ?? 'kept';
      const of = (wanted: string) => all.filter((_, i) => fate(i) === wanted).sort((a, b) => a - b);
      const first = gapsOf(
        [],
        of('first'),
        [...of('second'), ...of('kept')].sort((a, b) => a - b),
      );
      const gaps = gapsOf(first, of('second'), of('kept'));
      const within = (seq: number) => gaps.some(([from, to]: Gap) => from <= seq && seq <= to);
      expect([...of('first'), ...of('second')].every(within)).toBe(true);
      expect(of('kept').some(within)).toBe(false);
      expect(gaps.every(([, to], i) => i === gaps.length - 1 || to < gaps[i + 1]![0])).toBe(true);
    }),
  );
});
