import { InvalidInputError } from '../../core/errors.ts';
import { EXPIRY_INDEX, type IndexRange, PARTITION_INDEX, type Partition } from '../../core/store.ts';

/** The most items of one page. */
export const MAX_PAGE = 10_000;

/** Packs where a listing stopped into an opaque, URL-safe token. */
export function encodePageToken(position: readonly (string | number)[]): string {
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

/** @throws InvalidInputError unless `limit` is a whole number from 0 to {@link MAX_PAGE} */
export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 0 && limit <= MAX_PAGE) return;
  throw new InvalidInputError('bad range', [
    { path: 'limit', message: `expected a whole number from 0 to ${MAX_PAGE}, got ${String(limit)}` },
  ]);
}

/** A partition as one string. NUL can't be in an id, so no two partitions share a key. */
export function partitionKey(partition: Partition): string {
  return `${partition.tenant}\0${partition.type}\0${partition.id}`;
}

/** @throws InvalidInputError, UnsupportedError for a range that no store answers */
export function checkIndexRange(range: IndexRange): void {
  checkLimit(range.limit);
  const kept = range.index === EXPIRY_INDEX || range.index === PARTITION_INDEX;
  if (!kept && range.tenant === undefined) {
    throw new InvalidInputError('bad range', [
      { path: 'tenant', message: 'an index is read one tenant at a time' },
    ]);
  }
}

/** The order of ids in every store: that of their UTF-8 bytes. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
