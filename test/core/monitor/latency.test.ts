import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BUCKETS, Latency, RecentLatency } from '../../../src/core/monitor/latency.ts';
import { Rates } from '../../../src/core/monitor/rates.ts';

test('tells percentiles within two percent, the count, the mean and the longest', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.001, max: 1e5, noNaN: true }), { minLength: 1 }), (times) => {
      const latency = new Latency();
      for (const ms of times) latency.record(ms);
      const sorted = times.toSorted((a, b) => a - b);
      const { count, meanMs, p50Ms, p99Ms, maxMs } = latency.summary();
      expect(count).toBe(times.length);
      expect(meanMs).toBeCloseTo(times.reduce((sum, ms) => sum + ms, 0) / times.length, 3);
      expect(maxMs).toBe(sorted.at(-1));
      for (const [percent, told] of [
        [50, p50Ms],
        [99, p99Ms],
      ] as const) {
        const exact = sorted[Math.ceil((percent / 100) * sorted.length) - 1]!;
        expect(Math.abs(told - exact)).toBeLessThanOrEqual(exact * 0.02);
      }
    }),
  );
});

test('counts one that stands for several as that many', () => {
  const latency = new Latency();
  latency.record(1, 8);
  latency.record(100, 1);
  expect(latency.summary()).toMatchObject({ count: 9, meanMs: 12, maxMs: 100 });
  expect(latency.percentile(50)).toBeCloseTo(1, 1);
});

test('gives buckets that only grow, the last of them with all that is below it', () => {
  const latency = new Latency();
  for (let ms = 1; ms <= 1000; ms++) latency.record(ms);
  const counts = latency.cumulative();
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  expect(counts.at(-1)).toBe(1000);
  expect(Math.abs(counts[BUCKETS.indexOf(0.1)]! - 100)).toBeLessThanOrEqual(2);
});

test('takes what is longer than a quarter of an hour for that', () => {
  const latency = new Latency();
  latency.record(1e9);
  expect(latency.summary()).toMatchObject({ count: 1, maxMs: 1e9 });
});

test('forgets what is recent after two turns', () => {
  const recent = new RecentLatency();
  recent.record(50);
  recent.turn();
  expect(recent.percentile(99)).toBeCloseTo(50, 0);
  recent.turn();
  expect(recent.percentile(99)).toBe(0);
});

test('tells how fast a counter went up in the last minute', () => {
  let count = 0;
  const rates = new Rates(() => ({ count }), 0);
  for (let second = 5; second <= 300; second += 5) {
    count += 10;
    rates.turn(second * 1000);
  }
  expect(rates.perSecond('count', 300_000)).toBeCloseTo(2, 5);
  for (let second = 305; second <= 400; second += 5) rates.turn(second * 1000);
  expect(rates.perSecond('count', 400_000)).toBe(0);
});
