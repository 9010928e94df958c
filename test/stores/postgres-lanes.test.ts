import { expect, test, vi } from 'vitest';
import { StoreUnavailableError } from '../../src/core/errors.ts';
import type { Batch } from '../../src/core/store.ts';
import { Lanes } from '../../src/stores/postgres/lanes.ts';
import type { Outcome } from '../../src/stores/shared/group-commit.ts';

const receipt = (id: string): Outcome => ({ cursor: id, replayed: false, results: [] });
const batch = (id: string, partition: string): Batch => {
  return { id, partition: { tenant: 't', type: 'session', id: partition }, operations: [] };
};

test('fails what waits of a partition that the server was not there for, and sends what waits of others', async () => {
  const sent: string[][] = [];
  const { promise: held, reject: lose } = Promise.withResolvers<Outcome[]>();
  const lanes = new Lanes((_, batches) => {
    sent.push(batches.map(({ id }) => id!));
    return sent.length === 1 ? held : Promise.resolve(batches.map(({ id }) => receipt(id!)));
  });
  const first = lanes.commit(batch('a', 'x'));
  await vi.waitFor(() => expect(sent).toEqual([['a']]));
  const outcomes = Promise.allSettled([first, lanes.commit(batch('b', 'x')), lanes.commit(batch('c', 'y'))]);
  const away = new StoreUnavailableError('nobody is there', { details: { inDoubt: true } });
  lose(away);
  const [one, behind, other] = await outcomes;
  expect(one).toHaveProperty('reason', away);
  expect(behind).toHaveProperty('reason.code', 'store-unavailable');
  expect(behind).toHaveProperty('reason.details', undefined);
  expect(other).toHaveProperty('value.cursor', 'c');
  expect((await lanes.commit(batch('d', 'x'))).cursor).toBe('d');
  expect(sent).toEqual([['a'], ['c'], ['d']]);
  await lanes.close();
});
