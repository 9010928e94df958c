/** A process that searches a store for the first time, and stops for good when a part is in the index. */
import { ContextEngine, openStore } from '../../../src/index.ts';

const [url, what] = process.argv.slice(2);
const store = await openStore(url!, { durability: 'normal' });
const commit = store.commit.bind(store);
let left = 2;
store.commit = async (batch) => {
  if (batch.operations.some(({ op }) => op === 'index') && left-- === 0) {
    process.send!('a part is in');
    await new Promise(() => undefined);
  }
  return commit(batch);
};
const engine = new ContextEngine(store, { maintenanceIntervalMs: 0 });
if (what === 'messages') await engine.messages.search('needle', { sessionId: 's' });
else await engine.memory.search('needle', { userId: 'u' });
