/** Keys of texts, from and to, inclusive. */
export interface KeyRange {
  readonly from: number;
  readonly to: number;
}

/** How many texts a partition may have, as a power of two. */
const KEY_BITS = 20;

/** The keys that texts of a partition have. They follow one another: a search within it is one in a range of keys. */
export function keysOf(partition: number): KeyRange {
  const from = partition * 2 ** KEY_BITS;
  return { from, to: from + 2 ** KEY_BITS - 1 };
}

export const ALL_KEYS: KeyRange = { from: 0, to: Number.MAX_SAFE_INTEGER };
