import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memorySettings } from '../../../src/core/memory/options.ts';
import { faded, fadesAt, type Life, retentionOf, used } from '../../../src/core/memory/retention.ts';

const settings = memorySettings();
const DAY_MS = 24 * 60 * 60 * 1000;

function life(fields: Partial<Life> = {}): Life {
  return { tier: 'medium', importance: 0.5, uses: 0, usedAt: 0, ...fields };
}

const anyLife = fc.record({
  tier: fc.constantFrom('medium' as const, 'long' as const),
  importance: fc.double({ min: 0, max: 0.99, noNaN: true }),
  uses: fc.nat(100),
  usedAt: fc.constant(0),
});

describe('the forgetting curve', () => {
  test('a memory that was never used keeps 37 % after seven days, and is forgotten after three weeks', () => {
    expect(retentionOf(life(), 7 * DAY_MS, settings)).toBeCloseTo(Math.exp(-1), 10);
    expect(Math.floor(fadesAt(life(), settings)! / DAY_MS)).toBe(20);
    expect(Math.floor(fadesAt(life({ tier: 'long' }), settings)! / DAY_MS)).toBe(269);
  });

  test('retention falls with time, and rises with use and importance', () => {
    fc.assert(
      fc.property(anyLife, fc.nat(1000), fc.integer({ min: 1, max: 1000 }), (one, days, more) => {
        const at = days * DAY_MS;
        const now = retentionOf(one, at, settings);
        expect(now).toBeGreaterThanOrEqual(0);
        expect(now).toBeLessThanOrEqual(1);
        expect(retentionOf(one, at + more * DAY_MS, settings)).toBeLessThanOrEqual(now);
        expect(retentionOf({ ...one, uses: one.uses + 1 }, at, settings)).toBeGreaterThanOrEqual(now);
        const weightier = { ...one, importance: (one.importance + 1) / 2 };
        expect(retentionOf(weightier, at, settings)).toBeGreaterThanOrEqual(now);
      }),
    );
  });

  test('it fades just when its retention falls below the threshold', () => {
    fc.assert(
      fc.property(anyLife, (one) => {
        const at = fadesAt(one, settings)!;
        expect(retentionOf(one, at + 1, settings)).toBeLessThanOrEqual(settings.forgetBelow);
        expect(retentionOf(one, at - 2, settings)).toBeGreaterThanOrEqual(settings.forgetBelow * 0.999);
      }),
    );
  });

  test('what matters most is never forgotten, but ends when it must', () => {
    expect(fadesAt(life({ importance: 1 }), settings)).toBeUndefined();
    expect(retentionOf(life({ importance: 1 }), 1e15, settings)).toBe(1);
    expect(fadesAt(life({ importance: 1, expiresAt: 5 }), settings)).toBe(5);
  });
});

test('enough uses make a medium-term memory a long-term one', () => {
  expect(used(life(), 2, 5, settings)).toMatchObject({ tier: 'medium', uses: 2, usedAt: 5 });
  expect(used(life({ uses: 2 }), 1, 5, settings).tier).toBe('long');
});

test('a faded long-term memory begins anew as a medium-term one, and a medium-term one goes', () => {
  expect(faded(life({ tier: 'long', uses: 9 }), 7)).toEqual(life({ usedAt: 7 }));
  expect(faded(life(), 7)).toBeUndefined();
  expect(faded(life({ tier: 'long', expiresAt: 7 }), 7)).toBeUndefined();
});
