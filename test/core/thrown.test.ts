import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isHoldfastError } from '../../src/core/errors.ts';
import { kindOf, textIn } from '../../src/core/thrown.ts';
import { ContextEngine } from '../../src/index.ts';

/** Throws at whoever looks at it. */
function untouchable(): object {
  const refuse = (): never => {
    throw new Error('hands off');
  };
  return new Proxy(new Error('x'), { get: refuse, has: refuse, getPrototypeOf: refuse });
}

test('what was thrown can be looked at, whatever it is', () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (thrown) => {
      expect(isHoldfastError(thrown)).toBe(false);
      expect(typeof textIn(thrown, 'message', 10)).toBe('string');
      expect(typeof kindOf(thrown)).toBe('string');
    }),
  );
  expect(isHoldfastError(untouchable())).toBe(false);
  expect(textIn(untouchable(), 'message', 10)).toBe('');
  expect(kindOf(untouchable())).toBe('object');
  expect(kindOf(new TypeError('x'))).toBe('TypeError');
  expect(textIn(new Error('sixteen letters!'), 'message', 7)).toBe('sixteen');
});

test('a body that throws what nobody may look at fails its own call, is counted as a failure, and harms nothing else', async () => {
  await using engine = await ContextEngine.open('memory:');
  const thrown = untouchable();
  let caught: unknown;
  await engine.tasks
    .run({}, () => Promise.reject(thrown))
    .catch((error: unknown) => {
      caught = error;
    });
  expect(caught === thrown).toBe(true);
  const { calls } = await engine.monitor.snapshot();
  expect(calls['tasks.run']).toMatchObject({ outcomes: { internal: 1 } });
});

test('a check that throws what nobody may look at has failed, and is reported like the others', async () => {
  await using engine = await ContextEngine.open('memory:');
  engine.health.register('mine', () => {
    throw untouchable();
  });
  const { checks } = await engine.health.check();
  expect(checks.find(({ name }) => name === 'mine')).toMatchObject({ message: 'failed with object' });
});
