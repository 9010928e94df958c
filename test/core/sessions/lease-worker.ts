/** A process that takes leases of the session `s` and writes under them, as it is told. */
import { ContextEngine, isHoldfastError } from '../../../src/index.ts';

export type LeaseOrder = { do: 'race'; times: number } | { do: 'take'; ttlMs: number } | { do: 'write' };

const engine = await ContextEngine.open(process.argv[2]!, { durability: 'normal', maintenanceIntervalMs: 0 });
let lease: Awaited<ReturnType<typeof engine.sessions.lease>> | undefined;

/** Says in the session when a run begins and ends; nobody else's words must come in between. */
async function race(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await using held = await engine.sessions.lease('s', { waitMs: 60_000 });
    for (const content of [`begin ${held.token}`, `end ${held.token}`])
      await engine.messages.append('s', { role: 'user', content }, { lease: held });
  }
}

async function obey(order: LeaseOrder): Promise<unknown> {
  if (order.do === 'race') return race(order.times);
  if (order.do === 'write') {
    await engine.messages.append('s', { role: 'user', content: 'late' }, { lease: lease! });
    return 'written';
  }
  lease = await engine.sessions.lease('s', { ttlMs: order.ttlMs });
  lease.signal.addEventListener('abort', () => process.send!({ lost: true }));
  return lease.token;
}

process.on('message', (order: LeaseOrder) => {
  obey(order).then(
    (ok) => process.send!({ ok: ok ?? true }),
    (error: unknown) => process.send!({ error: isHoldfastError(error) ? error.code : String(error) }),
  );
});
process.send!({ ok: 'ready' });
