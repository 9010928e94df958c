import { ConflictError, isHoldfastError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { kinds, messageLog } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { AppendEntry, Operation, Partition, Store } from '../store.ts';

const PAGE = 500;
/** A copy that was left unfinished is swept after this time. */
const UNFINISHED_MS = 60 * 60 * 1000;
/** What a copy starts without, or makes anew. */
const notCopied: readonly string[] = [
  kinds.session,
  kinds.activity,
  kinds.counters,
  kinds.usage,
  // A copy's entries start at version 1 again, which counts go by.
  kinds.tokens,
];

/**
 * Copies a session's partition. The session's own record comes last, with `finish`: until then the copy can't be seen,
 * and a copy that a crash cut off expires.
 * @param finish the operations that make the copy a session; told what to note in its metadata
 */
export async function forkSession(
  { store, clock, tenant }: ServiceContext,
  fromId: string,
  toId: string,
  atSeq: number | undefined,
  finish: (metadata: JsonObject) => Promise<Operation[]>,
): Promise<void> {
  const from = partitionOf({ tenant } as ServiceContext, fromId);
  const to = partitionOf({ tenant } as ServiceContext, toId);
  const [taken] = await store.getRecords([{ partition: to, kind: kinds.session, id: kinds.session }]);
  if (taken)
    throw new ConflictError(`session ${JSON.stringify(toId)} exists already`, taken.version, {
      hint: 'Fork to another id.',
    });
  await store.commit({ partition: to, operations: [{ op: 'drop' }] });
  await store.commit({ partition: to, operations: [{ op: 'expire', at: clock.now() + UNFINISHED_MS }] });
  const bounds = await store.listLogs(from);
  const end = Math.min(
    atSeq ?? Number.POSITIVE_INFINITY,
    bounds.find(({ log }) => log === messageLog())?.lastSeq ?? 0,
  );
  for (const { log, lastSeq } of bounds)
    await copyLog(store, from, to, log, log === messageLog() ? end : lastSeq);
  await copyRecords(store, from, to);
  try {
    await store.commit({ partition: to, operations: await finish({ forkedFrom: fromId, forkedAtSeq: end }) });
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'conflict') {
      throw new ConflictError(`session ${JSON.stringify(toId)} was made meanwhile`, undefined, {
        cause: error,
      });
    }
    throw error;
  }
}

async function copyLog(
  store: Store,
  from: Partition,
  to: Partition,
  log: string,
  upTo: number,
): Promise<void> {
  for (let after = 0; after < upTo; ) {
    const { entries } = await store.readLog(from, log, { after, before: upTo + 1, limit: PAGE });
    if (entries.length === 0) return;
    // Entries that follow one another keep their seqs; a hole, left by a truncation, ends the run.
    const hole = entries.findIndex((entry, i) => i > 0 && entry.seq !== entries[i - 1]!.seq + 1);
    const run = hole < 0 ? entries : entries.slice(0, hole);
    const copies: AppendEntry[] = run.map(({ id, value, mark }) => ({
      value,
      ...(id && { id }),
      ...(mark && { mark }),
    }));
    const startSeq = run[0]!.seq;
    await store.commit({ partition: to, operations: [{ op: 'append', log, entries: copies, startSeq }] });
    after = run.at(-1)!.seq;
  }
}

async function copyRecords(store: Store, from: Partition, to: Partition): Promise<void> {
  let after: string | undefined;
  do {
    const page = await store.listRecords(from, undefined, {
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    const operations = page.items
      .filter((record) => !notCopied.includes(record.kind))
      .map(({ kind, id, value }): Operation => ({ op: 'put', kind, id, value }));
    if (operations.length > 0) await store.commit({ partition: to, operations });
    after = page.next;
  } while (after !== undefined);
}
