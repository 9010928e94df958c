import { ConflictError, isHoldfastError, quote } from '../errors.ts';
import { encodeJson, type JsonObject } from '../json.ts';
import { kinds, messageLog, noFork, WINDOW_LOG } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { AppendEntry, Operation, Partition, Store } from '../store.ts';

const PAGE = 500;
/** A copy that was left unfinished is swept after this time. */
const UNFINISHED_MS = 60 * 60 * 1000;
/** What a copy starts without, or makes anew. */
const notCopied: readonly string[] = [
  kinds.session,
  kinds.activity,
  kinds.fork,
  kinds.counters,
  kinds.usage,
  // A copy's entries start at version 1 again, which counts go by.
  kinds.tokens,
  // A copy may end earlier.
  kinds.lastUser,
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
  const logs = await store.listLogs(from);
  const last = logs.find(({ log }) => log === messageLog())?.lastSeq ?? 0;
  const end = Math.min(atSeq ?? last, last);
  try {
    const copy = await Copy.begin(store, to, context.clock.now());
    for (const { log, lastSeq } of logs) {
      if (log !== WINDOW_LOG) await copyLog(store, from, copy, log, log === messageLog() ? end : lastSeq);
    }
    await copyRecords(store, from, copy);
    await copy.end(finish({ forkedFrom: fromId, forkedAtSeq: end }));
  } catch (error) {
    if (!isHoldfastError(error) || error.code !== 'conflict') throw error;
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
    const check: Operation = { ...noFork, ifVersion: this.#version } as Operation;
    await this.#store.commit({ partition: this.#partition, operations: [check, ...operations] });
  }

  async end(operations: readonly Operation[]): Promise<void> {
    const done: Operation = { op: 'delete', kind: kinds.fork, id: kinds.fork, ifVersion: this.#version };
    await this.#store.commit({ partition: this.#partition, operations: [...operations, done] });
  }
}

async function copyLog(store: Store, from: Partition, copy: Copy, log: string, upTo: number): Promise<void> {
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
    await copy.write([{ op: 'append', log, entries: copies, startSeq: run[0]!.seq }]);
    after = run.at(-1)!.seq;
  }
}

async function copyRecords(store: Store, from: Partition, copy: Copy): Promise<void> {
  let after: string | undefined;
  do {
    const page = await store.listRecords(from, undefined, {
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    const operations = page.items
      .filter((record) => !notCopied.includes(record.kind))
      .map(({ kind, id, value }): Operation => ({ op: 'put', kind, id, value }));
    if (operations.length > 0) await copy.write(operations);
    after = page.next;
  } while (after !== undefined);
}
