import type { Entry, LogInfo, Partition, Store, Stored } from '../store.ts';
import type { Changed } from './changed.ts';
import { bytesOf, wholeRecords } from './listing.ts';
import { copyLog, type Pair } from './logs.ts';
import { copyRecords, isSystem } from './records.ts';
import { raiseVersions } from './versions.ts';
import { Writer } from './writer.ts';

/** How much was found in the source. */
export interface CopyCounts {
  partitions: number;
  records: number;
  entries: number;
  /** Of the values, in UTF-8. */
  bytes: number;
}

export interface Stores {
  readonly from: Store;
  readonly to: Store;
}

export interface CopyPartition {
  /** What may differ; everything where absent. */
  readonly changed?: Changed | undefined;
  /** The target is known to have nothing of the partition. */
  readonly fresh?: boolean | undefined;
  /** What later versions are to be beyond; absent where the target knows. */
  readonly versionsBeyond?: number | undefined;
  /** Hears of the versions of the source's records. */
  readonly seenVersion: (version: number) => void;
  /** Counts what is found. */
  readonly counts: CopyCounts;
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes the target's partition that of the source, but for when it expires, which is told by the index or by `changed`.
 * What is there already stays; what was half copied is completed. Of one that holds nothing, nothing is copied.
 */
export async function copyPartition(stores: Stores, partition: Partition, how: CopyPartition): Promise<void> {
  const { changed, counts, signal, seenVersion } = how;
  const writer = new Writer(stores.to, partition, signal);
  const pair: Pair = { ...stores, partition, writer };
  const dropped = changed?.dropped ?? false;
  if (how.versionsBeyond !== undefined && !isSystem(partition))
    await raiseVersions(stores.to, partition, how.versionsBeyond);
  if (dropped) await drop(stores.to, partition);
  if (changed?.gone) return;
  const anew = { counts, signal, seenVersion, fresh: !isSystem(partition) };
  if (!(await copyContents(pair, dropped || how.fresh ? anew : how))) {
    // Not a state that the source ever had since it was made: it was dropped, and made again.
    writer.discard();
    await drop(stores.to, partition);
    await copyContents(pair, anew);
  }
  if (changed?.expiry !== undefined) await writer.add({ op: 'expire', at: changed.expiry });
  await writer.flush();
}

/** @returns false when the target has what was never in the source's logs */
async function copyContents(
  pair: Pair,
  { changed, fresh, counts, seenVersion }: CopyPartition,
): Promise<boolean> {
  const { from, to, partition, writer } = pair;
  const record = ({ value, version }: Stored) => {
    seenVersion(version);
    counts.records++;
    counts.bytes += Buffer.byteLength(value);
  };
  const entries = (seen: readonly Entry[]) => {
    counts.entries += seen.length;
    counts.bytes += bytesOf(seen);
  };
  for (const kind of changed ? changed.kinds : [undefined]) {
    const there = fresh ? nothing() : wholeRecords(to, partition, kind);
    await copyRecords(wholeRecords(from, partition, kind), there, writer, record);
  }
  if (changed?.logs.size === 0) return true;
  const [logs, known] = await Promise.all([from.listLogs(partition), fresh ? [] : to.listLogs(partition)]);
  const thereByName = new Map(known.map((log) => [log.log, log]));
  for (const log of logs) {
    if (changed && !changed.logs.has(log.log)) continue;
    const differsFrom = changed?.logs.get(log.log) ?? 1;
    const there = thereByName.get(log.log);
    if (!(await copyLog(pair, { log, there, differsFrom, seen: entries }))) return false;
  }
  return changed !== undefined || !hasMore(known, logs);
}

/** Logs go only with their partition. */
function hasMore(known: readonly LogInfo[], logs: readonly LogInfo[]): boolean {
  const names = new Set(logs.map(({ log }) => log));
  return known.some(({ log }) => !names.has(log));
}

async function drop(store: Store, partition: Partition): Promise<void> {
  if (isSystem(partition)) return;
  await store.commit({ partition, operations: [{ op: 'drop' }] });
}

async function* nothing(): AsyncGenerator<never> {}
