import { expect, test } from 'vitest';
import { recommend, type Situation } from '../../../src/core/monitor/recommendations.ts';
import { type HealthFacts, scoreOf } from '../../../src/core/monitor/score.ts';

const well: Situation = {
  storeReadable: true,
  calls: 1000,
  faults: 0,
  commitP50Ms: 1,
  commitP99Ms: 5,
  queued: 0,
  lagMs: 0,
  indexMs: 0,
  memoryShare: 0.3,
  heapShare: 0.3,
  eventLoopDelayMs: 2,
  utilization: 0.2,
  store: 'sqlite',
  hasFallback: false,
  durability: 'full',
  unavailable: 0,
  jobs: { queued: 0, running: 0, refused: 0 },
  maxConcurrent: 8,
  maintenanceIntervalMs: 60_000,
};

test('a healthy engine has 100, and nothing is recommended', () => {
  const { score, parts } = scoreOf(well);
  expect(score).toBe(100);
  expect(parts.reduce((sum, { weight }) => sum + weight, 0)).toBe(100);
  expect(recommend(well)).toEqual([]);
});

test.for<[string, Partial<HealthFacts>, number]>([
  ['errors', { faults: 25 }, 51],
  ['latency', { commitP99Ms: 1050 }, 50],
  ['queue', { queued: 5500 }, 50],
  ['lag', { lagMs: 1_860_000 }, 50],
  ['memory', { memoryShare: 0.825 }, 50],
  ['eventLoop', { eventLoopDelayMs: 525 }, 50],
])('the part %s falls evenly between its two bounds', ([name, facts, expected]) => {
  const { score, parts } = scoreOf({ ...well, ...facts });
  const part = parts.find((one) => one.name === name)!;
  expect(part.score).toBe(expected);
  expect(score).toBe(Math.round(100 - (part.weight * (100 - expected)) / 100));
});

test('a part that has failed leaves 50 at most', () => {
  expect(scoreOf({ ...well, storeReadable: false }).score).toBe(50);
  expect(scoreOf({ ...well, eventLoopDelayMs: 5000 }).score).toBe(50);
});

test('an engine that nobody calls has no errors', () => {
  expect(scoreOf({ ...well, calls: 0 }).score).toBe(100);
});

const settings = (changes: Partial<Situation>) =>
  recommend({ ...well, ...changes }).map(({ setting }) => setting);

test('recommends lockTimeoutMs where the file was locked', () => {
  expect(settings({ unavailable: 3 })).toEqual(['lockTimeoutMs']);
});

test('recommends a fallback where a server was away and there is none', () => {
  expect(settings({ store: 'redis', unavailable: 3 })).toEqual(['fallback']);
  expect(settings({ store: 'redis', unavailable: 3, hasFallback: true })).toEqual([]);
});

test('recommends another durability where commits wait for the disk', () => {
  expect(settings({ commitP50Ms: 40 })).toEqual(['durability']);
  expect(settings({ commitP50Ms: 40, durability: 'normal' })).toEqual([]);
  expect(settings({ commitP50Ms: 40, store: 'postgres' })).toEqual([]);
});

test('recommends maintenanceIntervalMs where the index is behind', () => {
  const [switchedOff] = recommend({ ...well, indexMs: 600_000, maintenanceIntervalMs: 0 });
  expect(switchedOff).toMatchObject({
    setting: 'maintenanceIntervalMs',
    advice: expect.stringMatching(/^It is 0/),
  });
  expect(settings({ indexMs: 600_000 })).toEqual(['maintenanceIntervalMs']);
  expect(settings({ indexMs: 600_000, maintenanceIntervalMs: 3_600_000 })).toEqual([]);
});

test('names a consumer that keeps the journal from being trimmed', () => {
  const [found] = recommend({ ...well, slowest: { name: 'billing', lagMs: 3 * 3_600_000 } });
  expect(found).toMatchObject({
    setting: 'journalKeepMs',
    reason: 'the consumer "billing" is 3 hours behind',
  });
  expect(settings({ slowest: { name: 'billing', lagMs: 60_000 } })).toEqual([]);
});

test('recommends more jobs at a time only where the event loop has time for them', () => {
  const jobs = { queued: 20, running: 8, refused: 0 };
  expect(settings({ jobs })).toEqual(['concurrency.maxConcurrent']);
  expect(settings({ jobs, utilization: 0.95 })).toEqual([]);
  expect(settings({ jobs: { ...jobs, queued: 2 } })).toEqual([]);
});

test('recommends a larger heap where it is nearly full', () => {
  expect(settings({ heapShare: 0.9 })).toEqual(['--max-old-space-size']);
});
