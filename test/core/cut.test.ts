import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cut } from '../../src/core/cut.ts';

test('a text that is cut keeps its beginning, and never half of a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(20), (text, length) => {
      const short = cut(text, length);
      expect(text.startsWith(short)).toBe(true);
      expect(short.isWellFormed()).toBe(true);
      expect(short.length).toBeGreaterThanOrEqual(Math.min(text.length, length - 1));
      expect(short.length).toBeLessThanOrEqual(length);
    }),
  );
});
