import { expect, onTestFinished, test } from 'vitest';
import { InvalidInputError, StoreUnavailableError } from '../../src/index.ts';
import { Breaker } from '../../src/stores/shared/breaker.ts';

function breaker(probe: () => Promise<unknown>): Breaker {
  const made = new Breaker(probe);
  onTestFinished(() => made.close());
  return made;
}

test('calls fail at once after one found the server away, until it answers', async () => {
  let away = true;
  const guard = breaker(async () => {
    if (away) throw new Error('still away');
  });
  guard.check();
  const found = new StoreUnavailableError('no answer');
  guard.failed(found);
  expect(() => guard.check()).toThrow(StoreUnavailableError);
  expect(() => guard.check()).toThrow(expect.objectContaining({ cause: found }));
  away = false;
  await expect.poll(() => guard.check()).toBeUndefined();
});

test('errors that say nothing of the server change nothing', () => {
  const guard = breaker(async () => {});
  guard.failed(new InvalidInputError('bad batch', []));
  guard.failed(new Error('whatever'));
  guard.check();
});

test('a closed one asks no more', async () => {
  let asked = 0;
  const guard = breaker(async () => {
    asked++;
    throw new Error('away');
  });
  guard.failed(new StoreUnavailableError('no answer'));
  await expect.poll(() => asked).toBeGreaterThan(0);
  guard.close();
  const before = asked;
  guard.failed(new StoreUnavailableError('no answer'));
  expect(asked).toBe(before);
});
