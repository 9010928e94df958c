/** Everything that a store holds, page by page. Pages grow and shrink so that they stay a few MiB. */
import {
  type Entry,
  EXPIRY_INDEX,
  type IndexHit,
  PARTITION_INDEX,
  type Page,
  type Partition,
  type Store,
  type Stored,
} from '../store.ts';

const FIRST_PAGE = 16;
const MAX_PAGE = 1024;
const PAGE_BYTES = 1024 * 1024;
const INDEX_PAGE = 256;

/** Partitions of all tenants and types, in an order that stays the same. `next` goes on after a page, later as well. */
export async function* partitionPages(store: Store, after?: string): AsyncGenerator<Page<IndexHit>> {
  yield* indexPages(store, PARTITION_INDEX, after);
}

export async function countPartitions(store: Store): Promise<number> {
  let count = 0;
  for await (const { items } of partitionPages(store)) count += items.length;
  return count;
}

/** Partitions that expire; `order` is when. */
export async function* expiryPages(store: Store, after?: string): AsyncGenerator<Page<IndexHit>> {
  yield* indexPages(store, EXPIRY_INDEX, after);
}

/** The records of a partition, or of one kind, with all that makes them up; by kind and id. */
export async function* wholeRecords(
  store: Store,
  partition: Partition,
  kind?: string,
): AsyncGenerator<Stored> {
  let limit = FIRST_PAGE;
  let after: string | undefined;
  do {
    const range = { limit, whole: true, ...(after !== undefined && { after }) };
    const page = await store.listRecords(partition, kind, range);
    yield* page.items;
    after = page.next;
    limit = nextLimit(page.items);
  } while (after !== undefined);
}

/** The entries of a log with `after < seq < before`, page by page. */
export async function* entryPages(
  store: Store,
  partition: Partition,
  log: string,
  { after, before }: { after: number; before: number },
): AsyncGenerator<readonly Entry[]> {
  let limit = FIRST_PAGE;
  for (let last = after; last < before - 1; ) {
    const { entries } = await store.readLog(partition, log, { after: last, before, limit });
    if (entries.length === 0) return;
    yield entries;
    last = entries.at(-1)!.seq;
    limit = nextLimit(entries);
  }
}

/** As much as one page held, in bytes. */
export function bytesOf(items: readonly { readonly value: string }[]): number {
  return items.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
}

async function* indexPages(store: Store, index: string, start?: string): AsyncGenerator<Page<IndexHit>> {
  let after = start;
  do {
    const range = { index, key: '', limit: INDEX_PAGE, ...(after !== undefined && { after }) };
    const page = await store.queryIndex(range);
    yield page;
    after = page.next;
  } while (after !== undefined);
}

function nextLimit(items: readonly { readonly value: string }[]): number {
  const bytesEach = bytesOf(items) / Math.max(1, items.length);
  return Math.min(MAX_PAGE, Math.max(1, Math.floor(PAGE_BYTES / Math.max(1, bytesEach))));
}
