import { SHARED_USER, userPartition } from '../partitions.ts';
import type { Partition } from '../store.ts';

/** Whose memories: a user's, or the tenant's as a whole. */
export interface Owner {
  readonly userId?: string;
  readonly partition: Partition;
  /** In indexes. */
  readonly key: string;
}

export function ownerOf(tenant: string, userId: string | undefined): Owner {
  const key = userId ?? SHARED_USER;
  return { ...(userId !== undefined && { userId }), partition: userPartition(tenant, key), key };
}

export function ownerOfPartition(partition: Partition): Owner {
  const shared = partition.id === SHARED_USER;
  return { ...(!shared && { userId: partition.id }), partition, key: partition.id };
}
