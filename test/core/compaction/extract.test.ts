import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { extract, type Sentence } from '../../../src/core/compaction/extract.ts';
import { Heap } from '../../../src/core/compaction/heap.ts';
import { createPause } from '../../../src/core/compaction/pause.ts';
import { letters } from '../window/histories.ts';

const sentences = (count: number): Sentence[] =>
  Array.from({ length: count }, (_, i) => ({
    seq: i + 1,
    at: 0,
    who: 'User',
    text: `Sentence ${i % 6} of turn ${i} says that item-${i * 7} of Marta was moved to room ${i % 500}.`,
    weight: 1,
  }));

test('what comes first is found with few comparisons, however much there is', () => {
  let comparisons = 0;
  const heap = new Heap<number>((a, b) => {
    comparisons++;
    return a < b;
  });
  const count = 20_000;
  const numbers = Array.from({ length: count }, (_, i) => (i * 7919) % count);
  for (const number of numbers) heap.push(number);
  const sorted = numbers.map(() => heap.pop());
  expect(sorted).toEqual(numbers.toSorted((a, b) => a - b));
  expect(heap.pop()).toBeUndefined();
  expect(comparisons).toBeLessThan(count * 2 * Math.log2(count));
});

test('while sentences are chosen, others have their turns, and can end it', async () => {
  let turns = 0;
  let running = true;
  const others = (async () => {
    for (; running; turns++) await nextTurn();
  })();
  const many = sentences(8000);
  const chosen = await extract(many, 8000, letters, createPause());
  expect(turns).toBeGreaterThan(3);
  expect(chosen.length).toBeGreaterThan(20);
  const stop = new AbortController();
  const ended = extract(many, 8000, letters, createPause(stop.signal));
  stop.abort(new Error('enough'));
  await expect(ended).rejects.toThrow('enough');
  running = false;
  await others;
});
