/**
 * A process of its own on a SQLite file: `fork(worker, [path])`. It says `ready`, then does what messages tell it to and
 * answers each with `{ok}` or `{error}`. While `append` is under way it tells each entry that was acknowledged.
 */
import { isHoldfastError } from '../../src/core/errors.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { type Answer, type Order, PLACE } from './workers.ts';

const path = process.argv[2]!;
let store: SqliteStore;

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'open':
      // Another process may hold the file while a slow disk syncs.
      store = await SqliteStore.open(path, { lockTimeoutMs: 60_000 });
      return true;
    case 'append':
      for (let i = order.from; i < order.from + order.count; i++) {
        const entries = [{ value: `${i}` }];
        await store.commit({ partition: PLACE, operations: [{ op: 'append', log: order.log, entries }] });
        tell({ acknowledged: i });
      }
      return true;
    case 'wait': {
      const { cursor } = await store.readChanges('newest', 1);
      tell({ acknowledged: 0 });
      await store.waitForChanges(cursor);
      return (await store.readChanges(cursor, 10)).changes.length;
    }
    case 'close':
      await store.close();
      process.disconnect();
      return true;
  }
}

function tell(answer: Answer): void {
  if (process.connected) process.send?.(answer);
}

process.on('message', (order: Order) => {
  obey(order).then(
    (ok) => tell({ ok }),
    (error: unknown) => tell({ error: isHoldfastError(error) ? error.code : String(error) }),
  );
});
tell({ ready: true });
