/**
 * A process that writes with a fallback: `node fallback-worker.ts ORDER`. Its lanes each append `LANE NUMBER` to a log
 * and add to a counter, and say so in a line when it was acknowledged; at the end it says `normal`.
 */
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { StoreUnavailableError } from '../../src/core/errors.ts';
import { withFallback } from '../../src/stores/fallback/index.ts';
import { SqliteStore } from '../../src/stores/sqlite/index.ts';
import { appendOf, session, Wire, write } from './outages.ts';

export interface Order {
  store: string;
  spool: string;
  name: string;
  /** The store is away, for good. */
  away?: boolean;
  /** How many entries each of the four lanes writes. */
  count: number;
  /** Kills itself right after this many commits were done in the store, before it hears of the last. */
  dieAfter?: number;
}

const order: Order = JSON.parse(process.argv[2]!);
const wire = new Wire();
if (order.dieAfter !== undefined) {
  wire.afterCommit = () => {
    if (wire.commits >= order.dieAfter!) process.kill(process.pid, 'SIGKILL');
  };
}
const source = async () => {
  if (order.away) throw new StoreUnavailableError('away');
  return wire.before(await SqliteStore.open(order.store, { durability: 'normal' }));
};
const spool = await SqliteStore.open(order.spool, { durability: 'normal' });
const store = await withFallback(source, spool, { probeMs: 20 });
await Promise.all(
  Array.from({ length: 4 }, async (_, lane) => {
    for (let i = 0; i < order.count; i++) {
      const entry = `${order.name}.${lane} ${i}`;
      const add = { op: 'add' as const, kind: 'count', id: 'count', deltas: { n: 1 } };
      await write(store, session(`s${lane % 2}`), appendOf(entry), add);
      writeSync(1, `${entry}\n`);
    }
  }),
);
while (!order.away && store.state !== 'normal') await delay(10);
writeSync(1, 'normal\n');
await store.close();
