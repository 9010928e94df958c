/** What is wanted of a shard: so many items after the last one that was read of it. */
export interface Wanted<T> {
  readonly shard: number;
  readonly last: T | undefined;
  readonly count: number;
}

/** Reads of several shards at once; fewer items than wanted means that a shard has no more. */
export type ReadShards<T> = (wanted: readonly Wanted<T>[]) => Promise<readonly (readonly T[])[]>;

interface Source<T> {
  items: readonly T[];
  next: number;
  more: boolean;
}

/** The first `limit` items of all shards, each of which is sorted: a part of each is read, and more of it if need be. */
export async function mergeShards<T>(
  shards: number,
  limit: number,
  compare: (a: T, b: T) => number,
  read: ReadShards<T>,
): Promise<T[]> {
  const sources = Array.from({ length: shards }, (): Source<T> => ({ items: [], next: 0, more: true }));
  const count = Math.min(limit, Math.ceil((limit * 2) / shards) + 8);
  const merged: T[] = [];
  while (merged.length < limit) {
    await refill(sources, count, read);
    // As long as every shard that has more shows its next item, the least of them is the next of all.
    while (merged.length < limit) {
      const source = least(sources, compare);
      if (!source) return merged;
      merged.push(source.items[source.next++]!);
      if (source.next === source.items.length && source.more) break;
    }
  }
  return merged;
}

async function refill<T>(sources: readonly Source<T>[], count: number, read: ReadShards<T>): Promise<void> {
  const wanted: Wanted<T>[] = [];
  for (const [shard, { items, next, more }] of sources.entries()) {
    if (more && next === items.length) wanted.push({ shard, last: items.at(-1), count });
  }
  const found = await read(wanted);
  for (const [i, { shard }] of wanted.entries()) {
    const items = found[i]!;
    Object.assign(sources[shard]!, { items, next: 0, more: items.length === count });
  }
}

function least<T>(sources: readonly Source<T>[], compare: (a: T, b: T) => number): Source<T> | undefined {
  let best: Source<T> | undefined;
  for (const source of sources) {
    if (source.next === source.items.length) continue;
    if (!best || compare(source.items[source.next]!, best.items[best.next]!) < 0) best = source;
  }
  return best;
}
