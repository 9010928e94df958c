import { createHash } from 'node:crypto';
import type { LogInfo, Partition, Store } from '../store.ts';
import {
  bytesOf,
  countPartitions,
  entryPages,
  expiryPages,
  partitionPages,
  wholeRecords,
} from './listing.ts';
import type { CopyCounts, Stores } from './partition.ts';
import { fingerprint, isCopied } from './records.ts';
import { sideBySide } from './side-by-side.ts';

/** What a store has of a partition. Two that hold the same have the same hash. */
export interface Digest {
  readonly records: number;
  readonly entries: number;
  /** SHA-256 over all records and logs, with their versions, counters, places in indexes, bounds, seqs, ids and marks. */
  readonly hash: string;
}

/** A partition that differs, or (without `partition`) the times at which partitions expire. */
export interface Mismatch {
  readonly partition?: Partition;
  readonly source: Digest;
  readonly target: Digest;
}

export interface Verification {
  readonly counts: CopyCounts;
  readonly mismatches: Mismatch[];
}

export interface Verifying {
  readonly width: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (counts: CopyCounts) => void;
}

/** Compares two stores, partition by partition. */
export async function verifyCopy(stores: Stores, options: Verifying): Promise<Verification> {
  const counts: CopyCounts = { partitions: 0, records: 0, entries: 0, bytes: 0 };
  const mismatches: Mismatch[] = [];
  const { width, signal, onProgress } = options;
  for await (const { items } of partitionPages(stores.from)) {
    await sideBySide(items, width, async ({ partition }) => {
      signal?.throwIfAborted();
      const mismatch = await comparePartition(stores, partition, counts);
      if (mismatch) mismatches.push(mismatch);
      counts.partitions++;
      onProgress(counts);
    });
  }
  if ((await countPartitions(stores.to)) !== counts.partitions)
    mismatches.push(...(await surplus(stores, width)));
  const expiry = await compareExpiry(stores);
  return { counts, mismatches: expiry ? [...mismatches, expiry] : mismatches };
}

/** @returns how the two differ, if they do */
export async function comparePartition(
  { from, to }: Stores,
  partition: Partition,
  counts: CopyCounts = { partitions: 0, records: 0, entries: 0, bytes: 0 },
): Promise<Mismatch | undefined> {
  const [source, target] = await Promise.all([
    digest(from, partition, counts),
    digest(to, partition, { partitions: 0, records: 0, entries: 0, bytes: 0 }),
  ]);
  return source.hash === target.hash ? undefined : { partition, source, target };
}

/** @returns how the times at which partitions expire differ, if they do */
export async function compareExpiry({ from, to }: Stores): Promise<Mismatch | undefined> {
  const [source, target] = await Promise.all([digestExpiry(from), digestExpiry(to)]);
  return source.hash === target.hash && source.records === target.records ? undefined : { source, target };
}

async function digest(store: Store, partition: Partition, counts: CopyCounts): Promise<Digest> {
  const hash = createHash('sha256');
  let records = 0;
  let entries = 0;
  for await (const record of wholeRecords(store, partition)) {
    if (!isCopied(record)) continue;
    hash.update(`${fingerprint(record)}\n`);
    records++;
    counts.bytes += Buffer.byteLength(record.value);
  }
  const logs = await store.listLogs(partition);
  for (const { log, firstSeq, lastSeq, count } of logs.toSorted(byName)) {
    hash.update(`${JSON.stringify([log, firstSeq, lastSeq, count])}\n`);
    for await (const page of entryPages(store, partition, log, { after: 0, before: lastSeq + 1 })) {
      for (const { seq, id = null, mark = null, version, value } of page)
        hash.update(`${JSON.stringify([seq, id, mark, version, value])}\n`);
      entries += page.length;
      counts.bytes += bytesOf(page);
    }
  }
  counts.records += records;
  counts.entries += entries;
  return { records, entries, hash: hash.digest('hex') };
}

/** Indexes of different stores break ties differently: the hash takes hits in any order. */
async function digestExpiry(store: Store): Promise<Digest> {
  let records = 0;
  let sum = 0n;
  for await (const { items } of expiryPages(store)) {
    for (const { partition, order } of items) {
      const { tenant, type, id } = partition;
      const hash = createHash('sha256').update(JSON.stringify([tenant, type, id, order]));
      sum ^= hash.digest().readBigUInt64BE();
      records++;
    }
  }
  return { records, entries: 0, hash: sum.toString(16) };
}

/** Partitions of the target that the source knows nothing of. */
async function surplus({ from, to }: Stores, width: number): Promise<Mismatch[]> {
  const found: Mismatch[] = [];
  for await (const { items } of partitionPages(to)) {
    await sideBySide(items, width, async ({ partition }) => {
      const [records, logs] = await Promise.all([
        from.listRecords(partition, undefined, { limit: 1 }),
        from.listLogs(partition),
      ]);
      if (records.items.length + logs.length > 0) return;
      const mismatch = await comparePartition({ from, to }, partition);
      if (mismatch) found.push(mismatch);
    });
  }
  return found;
}

function byName(a: LogInfo, b: LogInfo): number {
  return a.log < b.log ? -1 : 1;
}
