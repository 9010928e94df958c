/** The record of what has vectors: it must never forget what lacks them, and it must stay small. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type EmbeddedByModel,
  type EmbeddedLog,
  logChanged,
  logEmbedded,
  logLacks,
  memoriesChanged,
  nothingEmbedded,
} from '../../../src/core/search/embedded.ts';

const steps = fc.array(
  fc.oneof(
    fc.record({ changed: fc.uniqueArray(fc.nat({ max: 600 }), { maxLength: 300 }) }),
    fc.record({ embed: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ grow: fc.integer({ min: 1, max: 200 }) }),
  ),
  { maxLength: 30 },
);

test('whatever was changed is embedded again', () => {
  fc.assert(
    fc.property(steps, (history) => {
      let models: EmbeddedByModel | undefined = { m: nothingEmbedded };
      let last = -1;
      const lacking = new Set<number>();
      for (const step of history) {
        if ('embed' in step) {
          const log: EmbeddedLog | undefined = models!.m!.logs.l;
          const some = logLacks(log, 0, last).slice(0, step.embed);
          for (const stretch of some) lacking.delete(stretch);
          models = { m: { ...models!.m!, logs: { l: logEmbedded(log ?? { upTo: 0, again: [] }, some) } } };
        } else {
          const grown = 'grow' in step ? Array.from({ length: step.grow }, (_, i) => last + 1 + i) : [];
          const changed = 'changed' in step ? step.changed.filter((stretch) => stretch <= last) : grown;
          last += grown.length;
          for (const stretch of changed) lacking.add(stretch);
          models = logChanged(models, 'l', changed);
        }
        const log = models!.m!.logs.l;
        const listed = logLacks(log, 0, last);
        expect(listed).toEqual(listed.toSorted((a, b) => a - b));
        expect(listed).toEqual(expect.arrayContaining([...lacking]));
        expect(new Set(listed).size).toBe(listed.length);
        expect(log?.again.length ?? 0).toBeLessThanOrEqual(256);
      }
    }),
  );
});

test('a log that grows at its end has nothing to remember', () => {
  let log = { upTo: 0, again: [] as number[] };
  for (let last = 0; last < 50; last++) {
    const models = logChanged({ m: { logs: { l: log }, memories: { again: [] } } }, 'l', [
      Math.max(0, last - 1),
      last,
    ]);
    const now = models!.m!.logs.l!;
    expect(now.again).toEqual([]);
    log = logEmbedded(now, logLacks(now, 0, last));
    expect(logLacks(log, 0, last)).toEqual([]);
  }
});

test('of memories so many may change that all are gone through again', () => {
  const before: EmbeddedByModel = { m: { logs: {}, memories: { done: true, again: [] } } };
  const few = memoriesChanged(before, ['a', 'b', 'a']);
  expect(few!.m!.memories).toEqual({ done: true, again: ['a', 'b'] });
  const many = memoriesChanged(
    few,
    Array.from({ length: 300 }, (_, i) => `${i}`),
  );
  expect(many!.m!.memories).toEqual({ again: [] });
  expect(memoriesChanged(undefined, ['a'])).toBeUndefined();
});
