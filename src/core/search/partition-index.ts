import { setImmediate as soon } from 'node:timers/promises';
import { isConflict } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { channelOfLog, kinds, MEMORIES } from '../partitions.ts';
import type { Operation, Partition, Store, Stored } from '../store.ts';
import type { Dirt, LogDirt } from './dirt.ts';
import { byStretch, indexMemory, indexStretch } from './documents.ts';
import { type EmbeddedByModel, logChanged, memoriesChanged } from './embedded.ts';
import { STRETCH, stretchOf } from './stretch.ts';

/** So many documents are committed at once: neither who writes nor the event loop must be held up by them for long. */
const STRETCHES = 8;
const MEMORIES_AT_ONCE = 32;
const PAGE = 1000;
/** The partition is changed while it is indexed: how often to begin anew, in vain, before the next search may go on with it. */
const ATTEMPTS = 16;

/** What of a partition is in the index. Kept beside what it tells of, and written with each commit to the index. */
export interface IndexState {
  /** Which building of the index it belongs to; that of another one counts for nothing. */
  build: string;
  /** Stretches and seqs of logs that are indexed. */
  logs: Record<string, { first: number; last: number; lastSeq: number }>;
  /**
   * The first indexing has not come to its end: who comes next goes on from here. What is in `logs` is in; of memories,
   * which are gone through by id, those up to `after`.
   */
  unfinished?: { after?: string };
  /** What of it has its vectors, by model: whoever indexes it anew says so here, with an embedder or without. */
  embedded?: EmbeddedByModel;
}

/** What a partition has for the index to go by. */
interface Found {
  state: IndexState;
  /** Of the state's record. */
  version: number | 'absent';
  /** What must not change meanwhile. */
  session: Operation[];
  userId: string;
  /** Nothing of it was indexed in this building: what is read from now on is as it is after all changes. */
  fresh: boolean;
}

/** So many stretches of a log as are committed at once. */
interface Chunk {
  log: string;
  stretches: readonly number[];
  /** Then nothing before this stretch is left in the index. */
  first?: number;
}

/** Brings what the index has of one partition up to date. */
export class PartitionIndex {
  readonly #store: Store;
  readonly #build: string;
  readonly #partition: Partition;
  /** Something was indexed. */
  #written = false;

  /** @param build the index's building */
  constructor(store: Store, build: string, partition: Partition) {
    this.#store = store;
    this.#build = build;
    this.#partition = partition;
  }

  /**
   * Indexes what was changed, or all, where the partition was not indexed in this building.
   * @param dirt what was changed since; none where nothing is known of changes
   * @returns whether there was anything to do: somebody else may have done it
   */
  async update(dirt: Dirt | undefined): Promise<boolean> {
    for (let attempt = 1, seen: Found['version'] | undefined; ; attempt++) {
      try {
        const found = await this.#find();
        if (!found) return this.#written;
        // A first indexing that has come further, by whoever's work, was not begun anew in vain.
        if (found.state.unfinished && found.version !== seen) attempt = 1;
        seen = found.version;
        const isSession = this.#partition.type === 'session';
        if (found.state.unfinished) await (isSession ? this.#finishLogs(found) : this.#finishMemories(found));
        if (dirt && !found.fresh)
          await (isSession ? this.#updateLogs(found, dirt) : this.#updateMemories(found, dirt));
        return this.#written;
      } catch (error) {
        // Somebody else has indexed it, or it was changed under our hands.
        if (!isConflict(error) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Goes on with the first indexing: each commit brings it further, however many are at it. */
  async #finishLogs(found: Found): Promise<void> {
    const rest = new Map<string, number[]>();
    for (const log of await this.#messageLogs()) {
      const { firstSeq, lastSeq, count } = await this.#store.readLog(this.#partition, log, { limit: 0 });
      const known = found.state.logs[log];
      if (known || count > 0)
        rest.set(log, range(known ? known.last + 1 : stretchOf(firstSeq), stretchOf(lastSeq)));
    }
    const work = [...rest].flatMap(([log, stretches]) => chunksOf(log, stretches));
    for (const [i, chunk] of work.entries()) {
      const { operations, state } = await this.#readStretches(chunk, found);
      await this.#commit(found, operations, i === work.length - 1 ? finished(state) : state);
    }
    if (work.length === 0) await this.#commit(found, [], finished(found.state));
  }

  async #updateLogs(found: Found, dirt: Dirt): Promise<void> {
    for (const [log, dirtOfLog] of dirt.logs) {
      const { stretches, first } = await this.#stretchesToDo(log, found, dirtOfLog);
      for (const chunk of chunksOf(log, stretches, first)) {
        const { operations, state } = await this.#readStretches(chunk, found);
        await this.#commit(found, operations, state);
      }
    }
  }

  async #messageLogs(): Promise<string[]> {
    const logs = await this.#store.listLogs(this.#partition);
    return logs.map(({ log }) => log).filter((log) => channelOfLog(log) !== undefined);
  }

  /** The stretches of a log that the index does not have, or has as they were; in order. */
  async #stretchesToDo(
    log: string,
    { state }: Found,
    dirt: LogDirt,
  ): Promise<{ stretches: number[]; first?: number }> {
    const { firstSeq, lastSeq, count } = await this.#store.readLog(this.#partition, log, { limit: 0 });
    const known = state.logs[log];
    const todo = new Set(dirt.stretches);
    const addAll = (from: number, to: number) => {
      for (const stretch of range(from, to)) todo.add(stretch);
    };
    const end = stretchOf(lastSeq);
    if (!known) {
      if (count > 0) addAll(stretchOf(firstSeq), end);
      return { stretches: inOrder(todo) };
    }
    if (dirt.appended && dirt.upTo > known.lastSeq) addAll(stretchOf(known.lastSeq + 1), end);
    if (dirt.endedAt === undefined) return { stretches: inOrder(todo) };
    addAll(stretchOf(Math.max(0, dirt.endedAt)), Math.max(known.last, end));
    // What the log no longer begins with goes; what it begins with now has lost its beginning.
    const first = stretchOf(firstSeq);
    addAll(known.first, Math.min(first, known.last));
    return { stretches: inOrder(todo), first };
  }

  async #readStretches(
    { log, stretches, first: begins = 0 }: Chunk,
    found: Found,
  ): Promise<{ operations: Operation[]; state: IndexState }> {
    const operations: Operation[] = [];
    let { first = stretches[0]!, last: end = 0, lastSeq = 0 } = found.state.logs[log] ?? {};
    for (const run of runsOf(stretches)) {
      const entries = await this.#entries(log, run);
      for (const [stretch, held] of byStretch(entries, run)) {
        operations.push(indexStretch(log, stretch, held, found.userId));
        lastSeq = Math.max(lastSeq, held.at(-1)?.seq ?? 0);
        await soon();
      }
      first = Math.min(first, run[0]!);
      end = Math.max(end, run.at(-1)!);
    }
    first = Math.max(first, begins);
    const embedded = logChanged(found.state.embedded, log, stretches);
    const logs = { ...found.state.logs, [log]: { first, last: end, lastSeq } };
    return { operations, state: { ...found.state, logs, ...(embedded && { embedded }) } };
  }

  async #entries(log: string, run: readonly number[]) {
    const before = (run.at(-1)! + 1) * STRETCH;
    const page = { after: run[0]! * STRETCH - 1, before, limit: run.length * STRETCH };
    return (await this.#store.readLog(this.#partition, log, page)).entries;
  }

  async #finishMemories(found: Found): Promise<void> {
    for (let { unfinished } = found.state; unfinished; { unfinished } = found.state) {
      const page = { ...unfinished, limit: MEMORIES_AT_ONCE };
      const { items, next } = await this.#store.listRecords(this.#partition, kinds.memory, page);
      const ids = items.map(({ id }) => id);
      await this.#indexMemories(ids, items, found, next === undefined ? undefined : { after: next });
    }
  }

  async #updateMemories(found: Found, dirt: Dirt): Promise<void> {
    const changed = [...dirt.memories];
    for (let start = 0; start < changed.length; start += MEMORIES_AT_ONCE) {
      const ids = changed.slice(start, start + MEMORIES_AT_ONCE);
      const keys = ids.map((id) => ({ partition: this.#partition, kind: kinds.memory, id }));
      await this.#indexMemories(ids, await this.#store.getRecords(keys), found);
    }
  }

  async #indexMemories(
    ids: readonly string[],
    stored: readonly (Stored | undefined)[],
    found: Found,
    unfinished?: IndexState['unfinished'],
  ): Promise<void> {
    const embedded = memoriesChanged(found.state.embedded, ids);
    const operations = ids.map((id, i) => indexMemory(id, stored[i], found.userId));
    await this.#commit(found, operations, {
      ...finished(found.state),
      ...(unfinished && { unfinished }),
      ...(embedded && { embedded }),
    });
    await soon();
  }

  /** What there is of the partition now; what an earlier building left is cleared away. */
  async #find(): Promise<Found | undefined> {
    const partition = this.#partition;
    const [stored, session] = await this.#store.getRecords([
      { partition, kind: kinds.textIndex, id: kinds.textIndex },
      { partition, kind: kinds.session, id: kinds.session },
    ]);
    if (partition.type === 'session' && !session) return undefined;
    const before = stored && decodeJson<IndexState>(stored.value);
    const fresh = before?.build !== this.#build;
    const found: Found = {
      state: fresh ? { build: this.#build, logs: {}, unfinished: {} } : before,
      version: stored?.version ?? 'absent',
      session: session ? [check(session)] : [],
      userId: session ? decodeJson<{ userId: string }>(session.value).userId : partition.id,
      fresh,
    };
    if (before && fresh) await this.#clear(found, before);
    return found;
  }

  async #clear({ version, session }: Found, before: IndexState): Promise<void> {
    const collections = this.#partition.type === 'user' ? [MEMORIES] : Object.keys(before.logs);
    if (collections.length === 0) return;
    const own: Operation = { op: 'check', kind: kinds.textIndex, id: kinds.textIndex, ifVersion: version };
    const operations = collections.map((collection): Operation => ({ op: 'unindex', collection }));
    await this.#store.commit({ partition: this.#partition, operations: [own, ...session, ...operations] });
  }

  /** Commits documents with the state that then holds, unless something has changed under our hands. */
  async #commit(found: Found, documents: readonly Operation[], state: IndexState): Promise<void> {
    const put: Operation = {
      op: 'put',
      kind: kinds.textIndex,
      id: kinds.textIndex,
      value: encodeJson(state, 'text index'),
      ifVersion: found.version,
    };
    const { results } = await this.#store.commit({
      partition: this.#partition,
      operations: [put, ...found.session, ...documents],
    });
    found.state = state;
    found.version = results[0]!.version!;
    this.#written = true;
  }
}

/** Whether all that a partition had when it was first indexed is in the index. */
export function isBuilt(stored: Stored | undefined, build: string): boolean {
  const state = stored && decodeJson<IndexState>(stored.value);
  return state?.build === build && !state.unfinished;
}

function finished({ unfinished: _, ...state }: IndexState): IndexState {
  return state;
}

function check({ kind, id, version }: Stored): Operation {
  return { op: 'check', kind, id, ifVersion: version };
}

/** @param first of what then is in the index, when all of them are done */
function chunksOf(log: string, stretches: readonly number[], first?: number): Chunk[] {
  const chunks: Chunk[] = [];
  for (let start = 0; start < stretches.length; start += STRETCHES) {
    const end = start + STRETCHES;
    const isLast = end >= stretches.length;
    chunks.push({
      log,
      stretches: stretches.slice(start, end),
      ...(isLast && first !== undefined && { first }),
    });
  }
  return chunks;
}

function inOrder(numbers: Iterable<number>): number[] {
  return [...numbers].sort((a, b) => a - b);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

/** Numbers that follow each other, together. They are read in one page: at most {@link PAGE} entries. */
function runsOf(stretches: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const stretch of stretches) {
    const run = runs.at(-1);
    if (run && run.at(-1) === stretch - 1 && (run.length + 1) * STRETCH <= PAGE) run.push(stretch);
    else runs.push([stretch]);
  }
  return runs;
}
