import { expect, test } from 'vitest';
import { CLEARLY_NEAR, gainsOf } from '../../../src/core/search/fusion.ts';

/** Turns of which the first ones have words of the question, less and less of them. */
function scores(count = 60, matching = 20): Float64Array {
  return Float64Array.from({ length: count }, (_, row) => Math.max(0, 10 - (10 * row) / matching));
}

function gains(cosines: readonly number[], of = scores()): number[] {
  const fusion = { scores: of, matches: (row: number) => of[row]! > 0, share: 0.3 };
  return [...gainsOf({ ...fusion, cosines: Float64Array.from(cosines) })];
}

/** Near to the question are the first five, which words have found, and one that they have not. */
const agreeing = Array.from(scores(), (_, row) => (row < 5 || row === 40 ? 0.9 : 0.1 + 0.01 * (row % 3)));

test('what is near in meaning gains, where the vectors agree with what words say', () => {
  const given = gains(agreeing);
  expect(given[40]).toBeGreaterThan(1);
  expect(given.filter((gain) => gain > 0)).toHaveLength(1);
});

test('nothing is lifted to where words have found something without doubt', () => {
  const of = scores();
  const all = gains(agreeing, of).map((gain, row) => gain + of[row]!);
  expect(Math.max(...all.slice(11))).toBeLessThanOrEqual(5);
  expect(all.slice(0, 10)).toEqual([...of.slice(0, 10)]);
});

test('vectors that say nothing of what words have found count for nothing', () => {
  const contrary = agreeing.map((_, row) =>
    row < 5 ? 0.1 : 0.1 + 0.01 * (row % 3) + (row === 40 ? 0.8 : 0),
  );
  expect(gains(contrary)).toEqual(contrary.map(() => 0));
});

test('what is gained does not depend on how near unlike texts are to each other for a model', () => {
  const squeezed = gains(agreeing.map((cosine) => 0.7 + 0.2 * cosine));
  for (const [row, gain] of gains(agreeing).entries()) expect(squeezed[row]).toBeCloseTo(gain, 6);
});

test('where all are equally near, none gains', () => {
  expect(gains(Array.from(scores(), () => 0.3))).toEqual(Array.from(scores(), () => 0));
});

test('where no words match, the nearest is the best', () => {
  const given = gains([0.2, 0.9, 0.7, Number.NaN, 0.2, 0.1, 0.2], new Float64Array(7));
  expect(given[1]).toBeGreaterThan(given[2]!);
  expect(given[2]).toBeGreaterThan(0);
  expect(given.filter((gain) => gain > 0)).toHaveLength(2);
});

test('where no words match, what does not stand out counts for nothing, and chance makes nothing clearly near', () => {
  const scattered = Array.from({ length: 200 }, (_, i) => (i * 0.618) % 1);
  const given = gains(scattered, new Float64Array(200));
  for (const [row, cosine] of scattered.entries()) if (cosine < 0.75) expect(given[row]).toBe(0);
  expect(Math.max(...given)).toBeLessThan(CLEARLY_NEAR);
  const [one, ...others] = gains([1, ...scattered.map((cosine) => cosine / 5)], new Float64Array(201));
  expect(one).toBeGreaterThan(CLEARLY_NEAR);
  expect(Math.max(...others)).toBeLessThan(CLEARLY_NEAR);
});

test('where no words match, the only one that there is counts', () => {
  expect(gains([0.3], new Float64Array(1))[0]).toBeGreaterThan(0);
});

test('a turn without a vector gains nothing, and harms none', () => {
  const given = gains(agreeing.map((cosine, row) => (row % 7 === 3 ? Number.NaN : cosine)));
  expect(given[40]).toBeGreaterThan(1);
  expect(given.every(Number.isFinite)).toBe(true);
});
