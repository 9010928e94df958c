import { InvalidInputError } from '../../core/errors.ts';
import type { Batch, Page, Partition, Stored } from '../../core/store.ts';

/** Packs where a listing stopped into an opaque, URL-safe token. */
function encodePageToken(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** Unpacks {@link encodePageToken}; a token that was made up is an input error, not a crash. */
export function decodePageToken(token: string, length: number): (string | number)[] {
  try {
    const position: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    const ok = Array.isArray(position) && position.length === length;
    if (ok && position.every((part) => typeof part === 'string' || typeof part === 'number')) return position;
  } catch {
    // falls through to the error below
  }
  throw new InvalidInputError('bad page token', [
    { path: 'after', message: 'is not a token that a page gave as next' },
  ]);
}

/**
 * A page of what was read: one more than asked for, where there is one more, tells that another page follows.
 * @param position what tells where an item stands, for {@link decodePageToken}
 */
export function toPage<Row, T>(
  rows: readonly Row[],
  limit: number,
  position: (row: Row) => (string | number)[],
  item: (row: Row) => T,
): Page<T> {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items: page.map(item), ...(more && { next: encodePageToken(position(last)) }) };
}

export function toStored(
  partition: Partition,
  { kind, id, value, version }: Pick<Stored, 'kind' | 'id' | 'value' | 'version'>,
): Stored {
  return { partition: { ...partition }, kind, id, value, version };
}

/** A partition as one string. NUL can't be in an id, so no two partitions share a key. */
export function partitionKey(partition: Partition): string {
  return `${partition.tenant}\0${partition.type}\0${partition.id}`;
}

/** A batch's id as one string, apart from those of other partitions. */
export function batchKey(batch: Batch): string {
  return `${partitionKey(batch.partition)}\0${batch.id}`;
}

/** The error for a journal cursor that no store can have given. */
export function badCursor(): InvalidInputError {
  return new InvalidInputError('bad cursor', [
    { path: 'after', message: 'is not a cursor that this store gave' },
  ]);
}

/** The order of ids in every store: that of their UTF-8 bytes. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
