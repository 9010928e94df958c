import { InvalidInputError } from '../errors.ts';
import { SHARED_USER, userPartition } from '../partitions.ts';
import type { Partition } from '../store.ts';

/** Whose memories: a user's, or the tenant's as a whole. */
export interface Owner {
  readonly userId?: string;
  readonly partition: Partition;
  /** In indexes. */
  readonly key: string;
}

/** @throws InvalidInputError for the one name that no user may have */
export function ownerOf(tenant: string, userId: string | undefined, what: string): Owner {
  if (userId === SHARED_USER)
    throw new InvalidInputError(what, [{ path: 'userId', message: `${SHARED_USER} is reserved` }]);
  const key = userId ?? SHARED_USER;
  return { ...(userId !== undefined && { userId }), partition: userPartition(tenant, key), key };
}

export function ownerOfPartition(partition: Partition): Owner {
  const shared = partition.id === SHARED_USER;
  return { ...(!shared && { userId: partition.id }), partition, key: partition.id };
}
