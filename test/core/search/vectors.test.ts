import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cosineTo, encodeVector } from '../../../src/core/search/vectors.ts';

const vector = (length: number) =>
  fc.float32Array({ minLength: length, maxLength: length, min: -1000, max: 1000, noNaN: true });

test('the cosine of encoded vectors is that of the numbers', () => {
  const pairs = fc.integer({ min: 1, max: 40 }).chain((length) => fc.tuple(vector(length), vector(length)));
  fc.assert(
    fc.property(pairs, ([one, other]) => {
      const dot = one.reduce((sum, number, i) => sum + number * other[i]!, 0);
      const lengths = Math.hypot(...one) * Math.hypot(...other);
      const cosine = cosineTo(one)(encodeVector(other));
      if (cosine === undefined) expect(lengths).toBeLessThan(1e-9);
      else expect(cosine).toBeCloseTo(dot / lengths, 5);
    }),
  );
});

test('vectors of unequal length, and those of no length, are not compared', () => {
  expect(cosineTo(Float32Array.of(1, 2))(encodeVector(Float32Array.of(1, 2, 3)))).toBeUndefined();
  expect(cosineTo(Float32Array.of(0, 0))(encodeVector(Float32Array.of(1, 2)))).toBeUndefined();
  expect(cosineTo(Float32Array.of(1, 2))(encodeVector(Float32Array.of(0, 0)))).toBeUndefined();
});

test('numbers are little-endian, of 32 bits', () => {
  expect(encodeVector(Float32Array.of(1, -2))).toBe(
    Buffer.from('0000803f000000c0', 'hex').toString('base64'),
  );
});
