import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { factOf } from '../../../src/core/memory/facts.ts';
import {
  closeBands,
  covers,
  isTwin,
  similarity,
  sketchOf,
  writeBands,
} from '../../../src/core/memory/likeness.ts';

function twins(one: string, other: string): boolean {
  return isTwin(sketchOf(one), sketchOf(other));
}

describe('twins', () => {
  test.each([
    ['Ida prefers dark mode in the editor', 'Ida prefers a dark mode in her editor.'],
    ['The user drinks green tea', 'the USER drank green tea!'],
    ['In the morning Ida likes strong coffee', 'Ida likes strong coffee in the morning'],
    ['Don’t call before nine', "Don't call before nine"],
    ['Do not call Ida', "Don't call Ida"],
    ['???', '???'],
    ['我喜欢绿茶', '我喜欢绿茶。'],
  ])('%j is %j in other words', (one, other) => {
    expect(twins(one, other)).toBe(true);
  });

  test.each([
    ['Ida gave Bo money', 'Bo gave Ida money'],
    ['Ida likes tea', 'Ida does not like tea'],
    ['Ida likes tea', 'Ida never liked tea'],
    [
      'The budget of the trip to Oslo in May is 500 euros',
      'The budget of the trip to Oslo in May is 600 euros',
    ],
    ['Ida likes tea', 'Ida likes coffee'],
    ['Ida works in the north', 'Ida works only in the north'],
    ['???', '!!!'],
  ])('%j is another thing than %j', (one, other) => {
    expect(twins(one, other)).toBe(false);
  });

  test('every text is its own twin, and shares all bands with itself', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        expect(twins(text, text)).toBe(true);
        expect(writeBands(sketchOf(text))).toEqual(writeBands(sketchOf(text)));
      }),
    );
  });
});

describe('covering', () => {
  const covering = (long: string, short: string) => covers(sketchOf(long), sketchOf(short), 0.6);

  test('a text covers one that says less', () => {
    const short = 'Ida rides her red bicycle to the office every morning';
    expect(covering('Ida rides her old red bicycle to the office every morning', short)).toBe(true);
    expect(covering(short, short)).toBe(true);
  });

  test('a number, a negation or a word of its own makes a text another one', () => {
    const long = 'Ida rides her red bicycle to the office every morning';
    expect(covering('Ida rides her red bicycle 20 km to the office every morning', long)).toBe(false);
    expect(covering('Ida never rides her red bicycle to the office every morning', long)).toBe(false);
    expect(covering('Ida rides her blue bicycle to the office every morning', long)).toBe(false);
  });
});

test('what is alike has a band in common, and what is not seldom has', () => {
  const words = fc.uniqueArray(fc.stringMatching(/^[a-z]{4,9}$/), { minLength: 12, maxLength: 24 });
  let alike = 0;
  let found = 0;
  fc.assert(
    fc.property(words, (some) => {
      const one = sketchOf(some.join(' '));
      const other = sketchOf([...some, 'bicycle'].join(' '));
      if (similarity(one, other) < 0.7) return;
      alike++;
      const bands = new Set(closeBands(one));
      if (closeBands(other).some((band) => bands.has(band))) found++;
    }),
    { numRuns: 300 },
  );
  expect(alike).toBeGreaterThan(100);
  expect(found / alike).toBeGreaterThan(0.97);
  const texts = Array.from({ length: 400 }, (_, i) => `note ${i * 37} about thing${i} and matter${i * 3}`);
  const shared = new Map<string, number>();
  for (const text of texts)
    for (const band of writeBands(sketchOf(text))) shared.set(band, (shared.get(band) ?? 0) + 1);
  expect([...shared.values()].filter((count) => count > 1).length).toBeLessThan(20);
});

describe('facts', () => {
  test.each([
    ['Ida lives in Oslo', 'Ida has moved to Bergen'],
    ['I live in Oslo.', 'The user now lives in Rome'],
    ["Ida's favourite colour is blue", "Ida's favorite colour is green"],
    ['My time zone is CET', "The user's time zone is PST"],
    ['The budget of the trip is 500', "The trip's budget is 700 euros"],
    ['Ida works at Acme', 'Ida currently works for Globex'],
    ['Ida is 31 years old', 'Ida is now 32 years old'],
  ])('%j and %j tell of the same', (one, other) => {
    expect(factOf(one)).toBeDefined();
    expect(factOf(other)).toBe(factOf(one));
  });

  test.each([
    'Ida likes tea',
    "Ida's problem is the rent",
    'Ida lives in a red house',
    'Ida works for the good of all',
    'Ida lives in Oslo and Bergen',
    'Ida lives in Oslo. Her brother lives in Rome',
    "Ida's name is not Ann",
    'where does Ida live?',
    '',
  ])('%j tells nothing that there can be one of only', (text) => {
    expect(factOf(text)).toBeUndefined();
  });
});
