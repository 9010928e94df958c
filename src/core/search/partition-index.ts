import { isConflict } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { channelOfLog, kinds, MEMORIES } from '../partitions.ts';
import type { Operation, Partition, Store, Stored } from '../store.ts';
import type { Dirt, LogDirt } from './dirt.ts';
import { byStretch, indexMemory, indexStretch } from './documents.ts';
import { type EmbeddedByModel, logChanged, memoriesChanged } from './embedded.ts';
import { STRETCH, stretchOf } from './stretch.ts';

/** So many documents are committed at once: half a second of reading must not hold up who writes. */
const DOCUMENTS = 32;
const PAGE = 1000;
/** Somebody else indexes the same partition: how often to begin anew before the next search may go on with it. */
const ATTEMPTS = 16;

/** What of a partition is in the index. Kept beside what it tells of, and written with each commit to the index. */
export interface IndexState {
  /** Which building of the index it belongs to; that of another one counts for nothing. */
  build: string;
  /** Stretches and seqs of logs that are indexed. */
  logs: Record<string, { first: number; last: number; lastSeq: number }>;
  /** What of it has its vectors, by model: whoever indexes it anew says so here, with an embedder or without. */
  embedded?: EmbeddedByModel;
}

/** What a partition has for the index to go by. */
interface Found {
  /** What must not change meanwhile. */
  conditions: Operation[];
  state: IndexState;
  userId: string;
  /** It was never indexed in this building: all of it is to be. */
  fresh: boolean;
  /** Something was indexed. */
  written: boolean;
}

/** Brings what the index has of one partition up to date. */
export class PartitionIndex {
  readonly #store: Store;
  readonly #build: string;
  readonly #partition: Partition;

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
    for (let attempt = 1; ; attempt++) {
      try {
        const found = await this.#find();
        if (!found) return false;
        if (this.#partition.type === 'session') await this.#updateLogs(found, dirt);
        else await this.#updateMemories(found, dirt);
        return found.written;
      } catch (error) {
        // Somebody else has indexed it, or it was changed under our hands.
        if (!isConflict(error) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #updateLogs(found: Found, dirt: Dirt | undefined): Promise<void> {
    const logs = found.fresh ? await this.#messageLogs() : [...(dirt?.logs.keys() ?? [])];
    for (const log of logs) {
      const stretches = await this.#stretchesToDo(log, found, found.fresh ? undefined : dirt?.logs.get(log));
      for (let start = 0; start < stretches.length; start += DOCUMENTS) {
        const some = stretches.slice(start, start + DOCUMENTS);
        await this.#indexStretches(log, some, found, start + some.length === stretches.length);
      }
    }
    if (found.fresh && logs.length === 0) await this.#commit(found, []);
  }

  async #messageLogs(): Promise<string[]> {
    const logs = await this.#store.listLogs(this.#partition);
    return logs.map(({ log }) => log).filter((log) => channelOfLog(log) !== undefined);
  }

  /** The stretches of a log that the index does not have, or has as they were; in order. */
  async #stretchesToDo(log: string, { state }: Found, dirt: LogDirt | undefined): Promise<number[]> {
    const { firstSeq, lastSeq, count } = await this.#store.readLog(this.#partition, log, { limit: 0 });
    const known = state.logs[log];
    const todo = new Set(dirt?.stretches);
    const addAll = (from: number, to: number) => {
      for (let stretch = from; stretch <= to; stretch++) todo.add(stretch);
    };
    const end = stretchOf(lastSeq);
    if (!known) {
      if (count > 0) addAll(stretchOf(firstSeq), end);
      return [...todo].sort((a, b) => a - b);
    }
    if (!dirt || (dirt.appended && dirt.upTo > known.lastSeq)) addAll(stretchOf(known.lastSeq + 1), end);
    if (dirt?.endedAt !== undefined) {
      addAll(stretchOf(Math.max(0, dirt.endedAt)), Math.max(known.last, end));
      // What the log no longer begins with goes; what it begins with now has lost its beginning.
      addAll(known.first, Math.min(stretchOf(firstSeq), known.last));
    }
    return [...todo].sort((a, b) => a - b);
  }

  /** @param last nothing of the log is left to do then */
  async #indexStretches(
    log: string,
    stretches: readonly number[],
    found: Found,
    last: boolean,
  ): Promise<void> {
    const operations: Operation[] = [];
    let { first = stretches[0]!, last: end = 0, lastSeq = 0 } = found.state.logs[log] ?? {};
    for (const run of runsOf(stretches)) {
      const entries = await this.#entries(log, run);
      for (const [stretch, held] of byStretch(entries, run)) {
        operations.push(indexStretch(log, stretch, held, found.userId));
        lastSeq = Math.max(lastSeq, held.at(-1)?.seq ?? 0);
      }
      first = Math.min(first, run[0]!);
      end = Math.max(end, run.at(-1)!);
    }
    if (last) {
      const bounds = await this.#store.readLog(this.#partition, log, { limit: 0 });
      first = Math.max(first, stretchOf(bounds.firstSeq));
    }
    const embedded = logChanged(found.state.embedded, log, stretches);
    await this.#commit(found, operations, {
      ...found.state,
      logs: { ...found.state.logs, [log]: { first, last: end, lastSeq } },
      ...(embedded && { embedded }),
    });
  }

  async #entries(log: string, run: readonly number[]) {
    const before = (run.at(-1)! + 1) * STRETCH;
    const range = { after: run[0]! * STRETCH - 1, before, limit: run.length * STRETCH };
    return (await this.#store.readLog(this.#partition, log, range)).entries;
  }

  async #updateMemories(found: Found, dirt: Dirt | undefined): Promise<void> {
    if (!found.fresh) {
      const keys = [...(dirt?.memories ?? [])].map((id) => ({
        partition: this.#partition,
        kind: kinds.memory,
        id,
      }));
      for (let start = 0; start < keys.length; start += DOCUMENTS) {
        const some = keys.slice(start, start + DOCUMENTS);
        const stored = await this.#store.getRecords(some);
        const ids = some.map(({ id }) => id);
        await this.#indexMemories(ids, stored, found);
      }
      return;
    }
    for (let after: string | undefined; ; ) {
      const range = { limit: DOCUMENTS, ...(after !== undefined && { after }) };
      const { items, next } = await this.#store.listRecords(this.#partition, kinds.memory, range);
      const ids = items.map(({ id }) => id);
      await this.#indexMemories(ids, items, found);
      if (next === undefined) return;
      after = next;
    }
  }

  async #indexMemories(
    ids: readonly string[],
    stored: readonly (Stored | undefined)[],
    found: Found,
  ): Promise<void> {
    const embedded = memoriesChanged(found.state.embedded, ids);
    await this.#commit(
      found,
      ids.map((id, i) => indexMemory(id, stored[i], found.userId)),
      { ...found.state, ...(embedded && { embedded }) },
    );
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
      conditions: [
        { op: 'check', kind: kinds.textIndex, id: kinds.textIndex, ifVersion: stored?.version ?? 'absent' },
        ...(session ? [check(session)] : []),
      ],
      state: fresh ? { build: this.#build, logs: {} } : before,
      userId: session ? decodeJson<{ userId: string }>(session.value).userId : partition.id,
      fresh,
      written: false,
    };
    if (before && fresh) await this.#clear(found, before);
    return found;
  }

  async #clear({ conditions }: Found, before: IndexState): Promise<void> {
    const collections = this.#partition.type === 'user' ? [MEMORIES] : Object.keys(before.logs);
    if (collections.length === 0) return;
    const operations = collections.map((collection): Operation => ({ op: 'unindex', collection }));
    await this.#store.commit({ partition: this.#partition, operations: [...conditions, ...operations] });
  }

  /** Commits documents with the state that then holds, unless something has changed under our hands. */
  async #commit(found: Found, documents: readonly Operation[], state = found.state): Promise<void> {
    const [own, ...others] = found.conditions as [Operation & { op: 'check' }, ...Operation[]];
    const put: Operation = {
      op: 'put',
      kind: kinds.textIndex,
      id: kinds.textIndex,
      value: encodeJson(state, 'text index'),
      ifVersion: own.ifVersion,
    };
    const { results } = await this.#store.commit({
      partition: this.#partition,
      operations: [put, ...others, ...documents],
    });
    found.state = state;
    found.written = true;
    found.conditions = [{ ...own, ifVersion: results[0]!.version! }, ...others];
  }
}

function check({ kind, id, version }: Stored): Operation {
  return { op: 'check', kind, id, ifVersion: version };
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
