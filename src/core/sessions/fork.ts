import { forkedHead, within } from '../compaction/fork-head.ts';
import { ConflictError, isConflict, quote } from '../errors.ts';
import { encodeJson, type JsonObject } from '../json.ts';
import {
  channelOfCompactions,
  compactionLog,
  kinds,
  messageLog,
  TIMELINE_LOG,
  WINDOW_LOG,
} from '../partitions.ts';
import { noSession, partitionOf, type ServiceContext } from '../services.ts';
import type { AppendEntry, Entry, LogInfo, Operation, Partition, Store } from '../store.ts';

const PAGE = 500;
/** A copy that was left unfinished is swept after this time. */
const UNFINISHED_MS = 60 * 60 * 1000;
/** What a copy starts without, or makes anew. */
const notCopied: readonly string[] = [
  kinds.session,
  kinds.activity,
  kinds.fork,
  kinds.lease,
  kinds.leaseExpiry,
  kinds.counters,
  kinds.usage,
  // A copy's entries start at version 1 again, which counts go by.
  kinds.tokens,
  // A copy may end earlier.
  kinds.lastUser,
  kinds.memoryExtraction,
  kinds.compaction,
  // What was done and used in the source stays its own, as the timeline does.
  kinds.task,
  kinds.taskEnd,
  kinds.taskTrim,
  kinds.taskCounters,
  kinds.taskTotals,
  // Tells of the index's documents, which a fork has none of yet.
  kinds.textIndex,
];

export interface Fork {
  fromId: string;
  toId: string;
  /** The last message that is copied; all where absent. */
  atSeq: number | undefined;
}

/**
 * Copies a session's partition. The session's own record comes last, with `finish`: until then the copy can't be seen,
 * and a copy that a crash cut off expires. Everything that is copied is written under the condition that the copy is
 * still ours: whoever needs its id meanwhile takes it, and the copy ends with `ConflictError`.
 * @param finish the operations that make the copy a session; told what to note in its metadata
 */
export async function forkSession(
  context: ServiceContext,
  { fromId, toId, atSeq }: Fork,
  finish: (metadata: JsonObject) => Operation[],
): Promise<void> {
  const { store } = context;
  const from = partitionOf(context, fromId);
  const to = partitionOf(context, toId);
  // Before the messages: the state that is copied is not one from after them.
  const [logs, records] = await Promise.all([store.listLogs(from), recordsOf(store, from)]);
  const last = logs.find(({ log }) => log === messageLog())?.lastSeq ?? 0;
  const end = Math.min(atSeq ?? last, last);
  try {
    const copy = await Copy.begin(store, to, context.clock.now());
    for (let i = 0; i < records.length; i += PAGE) await copy.write(records.slice(i, i + PAGE));
    for (const { log, lastSeq } of logs) {
      if (log === WINDOW_LOG || log === TIMELINE_LOG) continue;
      const upTo = log === messageLog() ? end : lastSeq;
      await copyLog(store, from, copy, { log, upTo, keep: log === compactionLog() ? within(end) : all });
    }
    // After all else: what was changed meanwhile no longer counts.
    for (const { log, lastSeq } of logs) {
      const channel = channelOfCompactions(log);
      if (channel === undefined) continue;
      const upToSeq = channel === null ? end : Number.POSITIVE_INFINITY;
      const source = { sessionId: fromId, ...(channel !== null && { channel }) };
      const head = await forkedHead(context, source, { lastId: lastSeq, upToSeq });
      if (head) await copy.write([head]);
    }
    await checkUnchanged(context, fromId, logs);
    await copy.end(finish({ forkedFrom: fromId, forkedAtSeq: end }));
  } catch (error) {
    if (!isConflict(error) || error.details?.kind === undefined) throw error;
    throw new ConflictError(`session ${quote(toId)} was made meanwhile`, undefined, {
      cause: error,
      hint: 'Fork to another id.',
    });
  }
}

/** A partition that is being filled, and is no session yet. */
class Copy {
  readonly #store: Store;
  readonly #partition: Partition;
  readonly #version: number;

  private constructor(store: Store, partition: Partition, version: number) {
    this.#store = store;
    this.#partition = partition;
    this.#version = version;
  }

  static async begin(store: Store, partition: Partition, now: number): Promise<Copy> {
    const key = { kind: kinds.fork, id: kinds.fork };
    const { results } = await store.commit({
      partition,
      operations: [
        { op: 'check', kind: kinds.session, id: kinds.session, ifVersion: 'absent' },
        { op: 'put', ...key, value: encodeJson({ at: now }, 'fork'), ifVersion: 'absent' },
        { op: 'expire', at: now + UNFINISHED_MS },
      ],
    });
    return new Copy(store, partition, results[1]!.version!);
  }

  async write(operations: readonly Operation[]): Promise<void> {
    const check: Operation = { op: 'check', kind: kinds.fork, id: kinds.fork, ifVersion: this.#version };
    await this.#store.commit({ partition: this.#partition, operations: [check, ...operations] });
  }

  async end(operations: readonly Operation[]): Promise<void> {
    const done: Operation = { op: 'delete', kind: kinds.fork, id: kinds.fork, ifVersion: this.#version };
    await this.#store.commit({ partition: this.#partition, operations: [...operations, done] });
  }
}

/** What of a log is copied. */
interface LogCopy {
  log: string;
  upTo: number;
  keep: (entry: Entry) => boolean;
}

const all = () => true;

async function copyLog(
  store: Store,
  from: Partition,
  copy: Copy,
  { log, upTo, keep }: LogCopy,
): Promise<void> {
  for (let after = 0; after < upTo; ) {
    const page = await store.readLog(from, log, { after, before: upTo + 1, limit: PAGE });
    if (page.entries.length === 0) return;
    const entries = page.entries.filter(keep);
    if (entries.length === 0) {
      after = page.entries.at(-1)!.seq;
      continue;
    }
    // Entries that follow one another keep their seqs; a hole, left by a truncation, ends the run.
    const hole = entries.findIndex((entry, i) => i > 0 && entry.seq !== entries[i - 1]!.seq + 1);
    const run = hole < 0 ? entries : entries.slice(0, hole);
    const copies: AppendEntry[] = run.map(({ id, value, mark }) => ({
      value,
      ...(id && { id }),
      ...(mark && { mark }),
    }));
    await copy.write([{ op: 'append', log, entries: copies, startSeq: run[0]!.seq }]);
    after = run.at(-1)!.seq;
  }
}

/** @throws NotFoundError, ConflictError when the source has lost messages since the copy began: the copy lacks some, too */
async function checkUnchanged(
  context: ServiceContext,
  fromId: string,
  before: readonly LogInfo[],
): Promise<void> {
  const from = partitionOf(context, fromId);
  const [session] = await context.store.getRecords([
    { partition: from, kind: kinds.session, id: kinds.session },
  ]);
  if (!session) throw noSession(fromId);
  const now = new Map((await context.store.listLogs(from)).map((info) => [info.log, info]));
  for (const { log, lastSeq, count } of before) {
    const info = now.get(log);
    if (info && info.count - (info.lastSeq - lastSeq) === count) continue;
    throw new ConflictError(`session ${quote(fromId)} lost messages while it was copied`, undefined, {
      hint: 'Fork it again.',
      details: { log },
    });
  }
}

/** What a copy takes over, as the operations that write it. */
async function recordsOf(store: Store, from: Partition): Promise<Operation[]> {
  const operations: Operation[] = [];
  let after: string | undefined;
  do {
    const range = { limit: PAGE, ...(after !== undefined && { after }) };
    const page = await store.listRecords(from, undefined, range);
    for (const { kind, id, value } of page.items) {
      if (!notCopied.includes(kind)) operations.push({ op: 'put', kind, id, value });
    }
    after = page.next;
  } while (after !== undefined);
  return operations;
}
