import type { AppendEntry, Entry, LogInfo, Partition, Store } from '../store.ts';
import { bytesOf, entryPages } from './listing.ts';
import type { Writer } from './writer.ts';

/** A partition in two stores, and what writes to the second one. */
export interface Pair {
  readonly from: Store;
  readonly to: Store;
  readonly partition: Partition;
  readonly writer: Writer;
}

/** A log of the source, as it was listed, and what the target has of it. */
export interface LogCopy {
  readonly log: LogInfo;
  readonly there: LogInfo | undefined;
  /** The target has the entries before this seq as they are, but for those that the source has truncated. */
  readonly differsFrom: number;
  /** Hears of entries that were read in the source. */
  readonly seen: (entries: readonly Entry[]) => void;
}

/**
 * Makes the target's log that of the source. What the target has is an earlier state of it, or the beginning of one.
 * @returns false when it is not: the source's partition was dropped and made anew since
 */
export async function copyLog(pair: Pair, { log, there, differsFrom, seen }: LogCopy): Promise<boolean> {
  const { writer } = pair;
  const name = log.log;
  let last = there?.lastSeq ?? 0;
  if (last > log.lastSeq) return false;
  if (there && there.firstSeq < log.firstSeq && there.count > 0) {
    await writer.add({ op: 'truncate', log: name, before: log.firstSeq });
    await writer.flush();
  }
  if (differsFrom <= last && !(await mend(pair, name, { from: differsFrom, to: last, seen }))) return false;
  for await (const entries of pages(pair.from, pair.partition, name, last, log.lastSeq)) {
    seen(entries);
    for (const run of runsOf(entries)) {
      await writer.add({ op: 'append', log: name, ...run }, bytesOf(run.entries));
      last = run.startSeq + run.entries.length - 1;
    }
  }
  // The last seqs that were given out are of entries that were truncated: they must not be given out again.
  if (last < log.lastSeq) {
    await writer.add({ op: 'append', log: name, entries: [{ value: 'null' }], startSeq: log.lastSeq });
    await writer.add({ op: 'truncate', log: name, after: log.lastSeq - 1 });
  }
  return true;
}

/** Rewrites what was rewritten since, and takes away what was truncated at the end. Seqs are inclusive. */
async function mend(
  { from, to, partition, writer }: Pair,
  log: string,
  range: { from: number; to: number; seen: (entries: readonly Entry[]) => void },
): Promise<boolean> {
  const theirs = each(pages(to, partition, log, range.from - 1, range.to));
  let there = await theirs.next();
  for await (const entries of pages(from, partition, log, range.from - 1, range.to)) {
    range.seen(entries);
    for (const entry of entries) {
      if (there.done || there.value.seq !== entry.seq) return false;
      if (!(await rewrite(writer, log, there.value, entry))) return false;
      there = await theirs.next();
    }
  }
  // A log loses entries at its ends only, and seqs are not given out twice: nothing that is kept comes after this one.
  if (!there.done) await writer.add({ op: 'truncate', log, after: there.value.seq - 1 });
  return true;
}

/** Brings an entry to the version it has in the source. @returns false when it is another entry */
async function rewrite(writer: Writer, log: string, there: Entry, entry: Entry): Promise<boolean> {
  const { seq, value, mark = null, version } = entry;
  if (there.id !== entry.id || there.version > version) return false;
  if (there.version === version) return there.value === value && there.mark === entry.mark;
  for (let at = there.version; at < version; at++) {
    await writer.add({ op: 'rewrite', log, seq, value, mark }, Buffer.byteLength(value));
  }
  return true;
}

/** Entries with `after < seq <= last`. */
function pages(store: Store, partition: Partition, log: string, after: number, last: number) {
  return entryPages(store, partition, log, { after, before: last + 1 });
}

async function* each(source: AsyncIterable<readonly Entry[]>): AsyncGenerator<Entry> {
  for await (const entries of source) yield* entries;
}

/** Entries that follow one another go in together; a hole in the seqs ends the run. */
function runsOf(entries: readonly Entry[]): { startSeq: number; entries: AppendEntry[] }[] {
  const runs: { startSeq: number; entries: AppendEntry[] }[] = [];
  let next = -1;
  for (const { seq, ...entry } of entries) {
    if (seq === next) runs.at(-1)!.entries.push(entry);
    else runs.push({ startSeq: seq, entries: [entry] });
    next = seq + 1;
  }
  return runs;
}
