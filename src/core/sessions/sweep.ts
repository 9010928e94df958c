import { isConflict } from '../errors.ts';
import { decodeJson } from '../json.ts';
import { indexes, kinds } from '../partitions.ts';
import type { ServiceContext } from '../services.ts';
import { EXPIRY_INDEX, type Partition, type Store } from '../store.ts';

export interface Sweep {
  /** Sessions deleted because their time to live was over. */
  expired: number;
  /** Sessions deleted because they were not used for `maxIdleMs`. */
  idle: number;
}

const PAGE = 200;

/** Deletes what has expired, by index: the work is in proportion to what goes, not to what there is. */
export async function sweepSessions(
  { store, tenant, clock }: ServiceContext,
  maxIdleMs: number | undefined,
): Promise<Sweep> {
  const expired = await sweepExpired(store, tenant, clock.now());
  let idle = 0;
  if (maxIdleMs !== undefined) {
    const before = clock.now() - maxIdleMs;
    const range = { tenant, index: indexes.sessionsByActivity, key: '', to: before };
    for await (const partition of partitions(store, range)) {
      if (await dropIdle(store, partition, before, clock.now())) idle++;
    }
  }
  return { expired, idle };
}

/** Drops expired partitions of a tenant, or of all. One that was used again meanwhile stays. */
export async function sweepExpired(store: Store, tenant: string | undefined, now: number): Promise<number> {
  let count = 0;
  const whose = tenant === undefined ? {} : { tenant };
  for await (const partition of partitions(store, { ...whose, index: EXPIRY_INDEX, key: '', to: now })) {
    if (await dropExpired(store, partition, now)) count++;
  }
  return count;
}

/**
 * An idle session is first given an expiry, which any use of it takes away again, and then dropped as expired. It must
 * still be idle when it is given that: the index told of a moment that has passed.
 */
async function dropIdle(store: Store, partition: Partition, before: number, now: number): Promise<boolean> {
  const once = { kind: kinds.activity, id: kinds.activity };
  const [activity] = await store.getRecords([{ partition, ...once }]);
  if (!activity || decodeJson<{ at: number }>(activity.value).at > before) return false;
  try {
    await store.commit({
      partition,
      operations: [
        { op: 'check', ...once, ifVersion: activity.version },
        { op: 'expire', at: now },
      ],
    });
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
  return dropExpired(store, partition, now);
}

async function dropExpired(store: Store, partition: Partition, now: number): Promise<boolean> {
  try {
    const receipt = await store.commit({ partition, operations: [{ op: 'drop', ifExpiredAt: now }] });
    return receipt.results[0]!.count === 1;
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
}

/** All partitions that an index range names. */
async function* partitions(
  store: Store,
  range: { tenant?: string; index: string; key: string; to: number },
): AsyncGenerator<Partition> {
  let after: string | undefined;
  do {
    const page = await store.queryIndex({ ...range, limit: PAGE, ...(after !== undefined && { after }) });
    for (const hit of page.items) yield hit.partition;
    after = page.next;
  } while (after !== undefined);
}
