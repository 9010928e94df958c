/**
 * Versions of the target that are still to come must be beyond all that the source has given out, those of deleted
 * records included: a version that was seen once must not come back.
 */
import { newId } from '../ids.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import type { Operation, Partition, Store } from '../store.ts';

const PROBES = 8;
const key = { kind: kinds.copy, id: kinds.copy };

/** Lets all later versions in a partition be beyond this one. */
export async function raiseVersions(store: Store, partition: Partition, version: number): Promise<void> {
  const put: Operation = { op: 'put', ...key, value: 'null', version };
  await store.commit({ partition, operations: [put] });
  await store.commit({ partition, operations: [{ op: 'delete', ...key }] });
}

/**
 * Whether a store counts versions apart in different partitions (Redis, by shard), so that a version given in the system
 * partition says nothing to others.
 * @param given a version that was given there
 */
export async function countsApart(store: Store, given: number): Promise<boolean> {
  const probes = Array.from({ length: PROBES }, () => ({ ...SYSTEM_PARTITION, type: 'copy', id: newId() }));
  const versions = await Promise.all(probes.map((partition) => nextVersion(store, partition)));
  return versions.some((version) => version <= given);
}

async function nextVersion(store: Store, partition: Partition): Promise<number> {
  const { results } = await store.commit({ partition, operations: [{ op: 'put', ...key, value: 'null' }] });
  await store.commit({ partition, operations: [{ op: 'drop' }] });
  return results[0]!.version!;
}
