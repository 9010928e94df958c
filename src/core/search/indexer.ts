import { setImmediate as soon } from 'node:timers/promises';
import { before } from '../before.ts';
import { BackgroundWork } from '../concurrency/background.ts';
import { isConflict, isCursorExpired, isUnavailable } from '../errors.ts';
import { newId } from '../ids.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { KeyedQueue } from '../keyed-queue.ts';
import { indexes, kinds, SYSTEM_PARTITION, sessionPartition, userPartition } from '../partitions.ts';
import {
  type Change,
  type Cursor,
  type Operation,
  PARTITION_INDEX,
  type Partition,
  type Store,
} from '../store.ts';
import { DirtyPartitions, keyOf } from './dirt.ts';
import { isBuilt, PartitionIndex } from './partition-index.ts';

const PAGE = 1000;
/** Where more partitions than these wait, they are indexed in the background: what is known of them takes memory. */
const MOST_DIRTY = 10_000;
/** So much of what the store holds back in its journal is looked at, each time: who knows of more says so. */
const MOST_AHEAD = 10_000;
/** The name under which the index's place in the journal is kept. Names of other consumers are JSON. */
const CONSUMER = '$search';
/** What is searched: the partitions of sessions, then those of users. */
const PARTITION_TYPES = ['session', 'user'] as const;

/** Where in a tenant is searched: one session, or all of a user. */
export type Place = { readonly partition: Partition } | { readonly tenant: string; readonly userId: string };

/** How far the index is. */
export interface IndexProgress {
  /** Everything that was committed before the search is in. */
  complete: boolean;
  /** How many partitions of the place, as far as is known, have something that is not in the index yet. */
  behind: number;
}

/** The index's place in the journal, in the system partition. */
interface SavedPlace {
  /** Everything up to here is in the index. */
  cursor: Cursor;
  /** A new one when the index was built from the beginning. */
  build: string;
  /** How far that is; absent when it is done. */
  building?: { type: (typeof PARTITION_TYPES)[number]; after?: string };
}

/**
 * Keeps the full-text index up to date with the journal. It works when somebody searches, and then on what is searched;
 * the rest follows in the background ({@link drain}). The first search of a store begins to build the index. Several processes may do all
 * this at once: what one has indexed another finds done.
 */
export class TextIndexer {
  readonly #store: Store;
  readonly #onError: (error: unknown) => void;
  readonly #onIndexed: (partition: Partition, isOurs: boolean) => void;
  readonly #background: BackgroundWork;
  readonly #queue = new KeyedQueue();
  readonly #dirty = new DirtyPartitions();
  readonly #closing = new AbortController();
  /** As it is saved, by whatever process; the version is that of its record. */
  #place: SavedPlace | undefined;
  #version: number | 'absent' = 'absent';
  /** How far the journal was read. */
  #cursor: Cursor = '';
  /** What was noted before the journal told it in its place. */
  #ahead: ReadonlySet<Cursor> = new Set();
  /** There was more of that than is looked at. */
  #isShort = false;
  /** How much has come since the place was saved: it is worth saving from {@link PAGE} on. Our own changes are little. */
  #passed = 0;
  #reading: Promise<void> | undefined;
  #readNext: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  /** Where texts were taken away or edited, and the index may still have them; and the work on that. */
  readonly #outdated = new Map<string, Partition>();
  #settling: Promise<void> | undefined;

  /**
   * @param on.error hears of failures in the background
   * @param on.indexed hears of each partition of which something was indexed, and whether not by somebody else
   * @param on.background where draining and settling start
   */
  constructor(
    store: Store,
    on: {
      error: (error: unknown) => void;
      indexed?: ((partition: Partition, isOurs: boolean) => void) | undefined;
      background?: BackgroundWork;
    },
  ) {
    this.#store = store;
    this.#onError = on.error;
    this.#onIndexed = on.indexed ?? ignore;
    this.#background = on.background ?? new BackgroundWork();
  }

  /**
   * Indexes what has been committed in a place until now.
   * @param deadline when to leave it at that (milliseconds of performance.now())
   */
  async catchUp(place: Place, deadline = Number.POSITIVE_INFINITY): Promise<IndexProgress> {
    const late = () => performance.now() >= deadline;
    const isRead = await before(deadline, this.#follow());
    if (!isRead) return { complete: false, behind: this.#dirty.size };
    if (this.#place!.building || this.#dirty.size > MOST_DIRTY) this.#drainSoon();
    const due = await this.#due(place);
    let done = 0;
    for (const partition of due) {
      if (late() || !(await before(deadline, this.#update(partition)))) break;
      done++;
    }
    return { complete: done === due.length && !this.#isShort, behind: due.length - done };
  }

  /** How many partitions have something that is not in the index yet, or no longer belongs there, as far as is known. */
  get waiting(): number {
    return this.#dirty.size + this.#outdated.size;
  }

  /** Indexes all there is to index, and remembers how far it is. Nothing where nobody has searched the store yet. */
  drain(): Promise<void> {
    this.#draining ??= this.#background
      .run('indexing', () => this.#drain())
      .finally(() => {
        this.#draining = undefined;
      });
    return this.#draining;
  }

  /**
   * Indexes everything anew, whatever the index says that it has. Searches go on meanwhile: each first brings in what it
   * searches, or says that it is not complete. Where another process begins anew as well, that is as good.
   */
  async rebuild(): Promise<void> {
    await this.#load();
    const old = this.#place?.build;
    while (this.#place?.build === old && !this.#closing.signal.aborted) await this.#begin();
    const build = this.#place?.build;
    while (this.#place?.building && this.#place.build === build && !this.#closing.signal.aborted)
      await this.drain();
  }

  /**
   * Takes what is no longer said in a partition out of the index, in the background: nobody has to search first. Nothing
   * where it was never indexed.
   */
  settle(partition: Partition): void {
    this.#outdated.set(keyOf(partition), partition);
    this.#settling ??= this.#background
      .run('indexing', () => this.#settle())
      .finally(() => {
        this.#settling = undefined;
      });
  }

  /** Stops; what is not indexed is indexed when somebody searches again. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#settling]);
    this.#closing.abort();
    await Promise.allSettled([this.#draining, this.#reading, this.#readNext]);
  }

  #drainSoon(): void {
    this.drain().catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#onError(error);
    });
  }

  async #settle(): Promise<void> {
    // What is added meanwhile comes after the others.
    for (const [key, partition] of this.#outdated) {
      this.#outdated.delete(key);
      try {
        const [state] = await this.#store.getRecords([
          { partition, kind: kinds.textIndex, id: kinds.textIndex },
        ]);
        if (!state) continue;
        await this.#follow();
        if (this.#dirty.has(partition)) await this.#update(partition);
      } catch (error) {
        // Without the store it is left to whoever searches next.
        if (isUnavailable(error)) continue;
        this.#background.failing('indexing', error);
        this.#onError(error);
      }
    }
  }

  async #drain(): Promise<void> {
    if (!(await this.#load())) return;
    await this.#follow();
    if (this.#place!.building) await this.#build(this.#place!);
    // What comes while this goes on is for the next time.
    const [cursor, passed] = [this.#cursor, this.#passed];
    const { build } = this.#place!;
    for (const { partition } of [...this.#dirty]) {
      if (this.#closing.signal.aborted) return;
      await this.#update(partition);
      await soon();
    }
    // Not where it was cut short, and not for our own writing of this.
    if (this.#closing.signal.aborted || this.#place!.building || passed < PAGE) return;
    this.#passed -= passed;
    await this.#save({ cursor, build });
  }

  /** Goes through all partitions once. Those that a search has brought in already are passed over. */
  async #build({ build, building }: SavedPlace): Promise<void> {
    for (let walk = building; walk; ) {
      const { type, after } = walk;
      const range = { index: PARTITION_INDEX, key: type, limit: PAGE, ...(after !== undefined && { after }) };
      const { items, next } = await this.#store.queryIndex(range);
      for (const partition of await this.#unbuilt(items.map((hit) => hit.partition))) {
        if (this.#closing.signal.aborted) return;
        await this.#update(partition);
        await soon();
      }
      const nextType = next === undefined ? PARTITION_TYPES[PARTITION_TYPES.indexOf(type) + 1] : type;
      walk = nextType && { type: nextType, ...(next !== undefined && { after: next }) };
      // Somebody else may have come to the end of it, or have begun another one.
      if (this.#place!.build !== build || !this.#place!.building) return;
      const { cursor } = this.#place!;
      await this.#save({ cursor, build, ...(walk && { building: walk }) });
    }
  }

  /** Indexes one partition; at most one such work a partition at a time. */
  #update(partition: Partition): Promise<void> {
    return this.#queue.run(keyOf(partition), async () => {
      const dirt = this.#dirty.begin(partition);
      try {
        const index = new PartitionIndex(this.#store, this.#place!.build, partition);
        const isOurs = await index.update(dirt);
        if (dirt) this.#dirty.done(partition);
        this.#onIndexed(partition, isOurs);
      } catch (error) {
        if (dirt) this.#dirty.failed(partition);
        throw error;
      }
    });
  }

  /** The partitions of a place that are not up to date in the index. */
  async #due(place: Place): Promise<Partition[]> {
    const { building } = this.#place!;
    if ('partition' in place) {
      if (this.#dirty.has(place.partition)) return [place.partition];
      return building ? this.#unbuilt([place.partition]) : [];
    }
    const due = new Map<string, Partition>();
    for (const partition of await this.#dirtyOf(place)) due.set(keyOf(partition), partition);
    if (building) {
      for await (const partitions of this.#allOf(place)) {
        for (const partition of await this.#unbuilt(partitions)) due.set(keyOf(partition), partition);
      }
    }
    return [...due.values()];
  }

  async #dirtyOf({ tenant, userId }: { tenant: string; userId: string }): Promise<Partition[]> {
    const own = [...this.#dirty].filter(({ partition }) => partition.tenant === tenant);
    const unknown = own.filter((dirt) => dirt.partition.type === 'session' && dirt.userId === undefined);
    for (let start = 0; start < unknown.length; start += PAGE) {
      const some = unknown.slice(start, start + PAGE);
      const keys = some.map(({ partition }) => ({ partition, kind: kinds.session, id: kinds.session }));
      for (const [i, record] of (await this.#store.getRecords(keys)).entries())
        if (record) some[i]!.userId = decodeJson<{ userId: string }>(record.value).userId;
    }
    return own
      .filter(({ partition: { type, id }, userId: owner }) => (type === 'user' ? id : owner) === userId)
      .map(({ partition }) => partition);
  }

  async *#allOf({ tenant, userId }: { tenant: string; userId: string }): AsyncGenerator<Partition[]> {
    yield [userPartition(tenant, userId)];
    for (let after: string | undefined; ; ) {
      const range = { tenant, index: indexes.sessionsByUser, key: userId, limit: PAGE };
      const { items, next } = await this.#store.queryIndex({
        ...range,
        ...(after !== undefined && { after }),
      });
      yield items.map(({ partition }) => sessionPartition(tenant, partition.id));
      if (next === undefined) return;
      after = next;
    }
  }

  /** Those of some partitions that this building has not had, or not to their end. */
  async #unbuilt(partitions: readonly Partition[]): Promise<Partition[]> {
    const keys = partitions.map((partition) => ({ partition, kind: kinds.textIndex, id: kinds.textIndex }));
    const states = await this.#store.getRecords(keys);
    const { build } = this.#place!;
    return partitions.filter((_, i) => !isBuilt(states[i], build));
  }

  /** Resolves when the journal was read up to what was committed before this call. */
  #follow(): Promise<void> {
    // A reading that is under way may have passed the end already; the next one has not begun.
    this.#readNext ??= (this.#reading ?? Promise.resolve()).then(ignore, ignore).then(() => {
      this.#reading = this.#readNext;
      this.#readNext = undefined;
      return this.#read();
    });
    return this.#readNext;
  }

  async #read(): Promise<void> {
    if (!(await this.#load())) await this.#begin();
    while (!this.#closing.signal.aborted) {
      try {
        const page = await this.#store.readChanges(this.#cursor, PAGE);
        for (const change of page.changes) {
          this.#note(change);
          this.#passed += change.partition.tenant === SYSTEM_PARTITION.tenant ? 1 : PAGE;
        }
        this.#cursor = page.cursor;
        if (page.changes.length < PAGE) return await this.#readAhead(page.ahead);
        await soon();
      } catch (error) {
        if (!isCursorExpired(error)) throw error;
        await this.#begin();
      }
    }
  }

  /** Notes what the store has and holds back: it will be told in its place, the place is not moved by it. */
  async #readAhead(from: Cursor | undefined): Promise<void> {
    const ahead = new Set<Cursor>();
    let next = from;
    while (next !== undefined && ahead.size < MOST_AHEAD && !this.#closing.signal.aborted) {
      const { changes, cursor } = await this.#store.readChanges(next, PAGE);
      for (const change of changes) {
        this.#note(change);
        ahead.add(change.cursor);
      }
      next = changes.length < PAGE ? undefined : cursor;
    }
    this.#ahead = ahead;
    this.#isShort = next !== undefined;
  }

  #note(change: Change): void {
    if (!this.#ahead.has(change.cursor)) this.#dirty.note(change);
  }

  /** Takes in where the index is, as any process has left it. @returns false where there is none yet */
  async #load(): Promise<boolean> {
    const [stored] = await this.#store.getRecords([
      { partition: SYSTEM_PARTITION, kind: kinds.consumer, id: CONSUMER },
    ]);
    const before = this.#version;
    this.#version = stored?.version ?? 'absent';
    if (!stored || stored.version === before) return stored !== undefined;
    const place = decodeJson<SavedPlace>(stored.value);
    const rebuilt = place.build !== this.#place?.build;
    this.#place = place;
    if (rebuilt) this.#startAt(place.cursor);
    return true;
  }

  #startAt(cursor: Cursor): void {
    this.#cursor = cursor;
    this.#ahead = new Set();
    this.#dirty.clear();
  }

  /** Begins a new building: what the journal tells from now on comes on top. */
  async #begin(): Promise<void> {
    const { cursor } = await this.#store.readChanges('newest', 0);
    if (await this.#put({ cursor, build: newId(), building: { type: PARTITION_TYPES[0] } }))
      this.#startAt(cursor);
  }

  /** Saves how far a building is, unless a new one has begun meanwhile. */
  async #save(place: SavedPlace): Promise<void> {
    if (place.build === this.#place?.build) await this.#put(place);
  }

  /** Where another was quicker, its place is as good: we go on with that. @returns whether it was ours */
  async #put(place: SavedPlace): Promise<boolean> {
    const put: Operation = {
      op: 'put',
      kind: kinds.consumer,
      id: CONSUMER,
      value: encodeJson(place, 'place of the text index'),
      ifVersion: this.#version,
    };
    try {
      const { results } = await this.#store.commit({ partition: SYSTEM_PARTITION, operations: [put] });
      this.#place = place;
      this.#version = results[0]!.version!;
      return true;
    } catch (error) {
      if (!isConflict(error)) throw error;
      await this.#load();
      return false;
    }
  }
}

function ignore(): void {}
