import { ConflictError, isConflict, isCursorExpired } from '../errors.ts';
import { newId } from '../ids.ts';
import { encodeJson } from '../json.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import { Records, type Versioned } from '../records.ts';
import { type Cursor, type Operation, PARTITION_INDEX, type Store } from '../store.ts';
import { journalEnd, journalPages } from './journal.ts';
import type { CopyCounts, Stores } from './partition.ts';
import { isSystem } from './records.ts';
import { countsApart } from './versions.ts';

/** How far a copy is. Kept in the target; whoever goes on finds it there. */
export interface Place {
  /** Which store is copied. */
  readonly source: string;
  /** What is under way: all partitions, when they expire, what was changed since; or nothing any more. */
  phase: 'partitions' | 'expiry' | 'changes' | 'done';
  /** Where the page under way begins, in the listing of its phase. */
  after?: string | undefined;
  /** The source's journal up to here needs no look. */
  cursor: Cursor;
  counts: CopyCounts;
  /** The greatest version that is known of the source. */
  version: number;
  /** The target counts versions apart in different partitions: each has to be told of that one. Absent: to be found out. */
  apart?: boolean;
  /** Where the target's journal was when the copy was done: nobody but us may have written before it goes on. */
  end?: Cursor | undefined;
}

/** The place of a copy, saved as it moves on. Of two copies into one store, the one that began first ends with a conflict. */
export class SavedPlace {
  readonly place: Place;
  readonly resumed: boolean;
  readonly #to: Store;
  #version: number | undefined;

  private constructor(to: Store, place: Place, known: Versioned<Place> | undefined) {
    this.#to = to;
    this.place = place;
    this.resumed = known !== undefined;
    this.#version = known?.version;
  }

  /**
   * Finds where a copy is to go on, or begins one.
   * @throws ConflictError, and nothing is written to the target, when it holds anything else
   */
  static async open({ from, to }: Stores): Promise<SavedPlace> {
    const identity = await identify(from);
    const records = new Records(to);
    const own = await records.get<{ id: string }>(SYSTEM_PARTITION, kinds.identity);
    if (from === to || own?.value.id === identity.id)
      throw refused('is the store itself', 'Name another target.');
    const known = await records.get<Place>(SYSTEM_PARTITION, kinds.copy);
    const place = known
      ? await goOn({ from, to }, known.value, identity.id)
      : await begin({ from, to }, identity.id);
    place.version = Math.max(place.version, identity.version);
    const saved = new SavedPlace(to, place, known);
    // Writing it anew ends another copy that is under way.
    await saved.#put(known ? {} : { version: place.version });
    if (place.apart === undefined) await saved.save({ apart: await countsApart(to, saved.#version!) });
    return saved;
  }

  /** @throws ConflictError when another copy goes on from here */
  async save(moved: Partial<Place>): Promise<void> {
    Object.assign(this.place, moved);
    await this.#put({});
  }

  /** Notes that the copy is done. The target's later versions are beyond all of the source's from then on. */
  async finish(cursor: Cursor): Promise<void> {
    const end = await journalEnd(this.#to);
    Object.assign(this.place, { phase: 'done', cursor, end, after: undefined });
    await this.#put({ version: Math.max(this.place.version, this.#version!) });
  }

  async #put(how: { version?: number }): Promise<void> {
    const put: Operation = {
      op: 'put',
      kind: kinds.copy,
      id: kinds.copy,
      value: encodeJson(this.place, 'copy'),
      ifVersion: this.#version ?? 'absent',
      ...how,
    };
    try {
      const { results } = await this.#to.commit({ partition: SYSTEM_PARTITION, operations: [put] });
      this.#version = results[0]!.version!;
    } catch (error) {
      if (!isConflict(error)) throw error;
      throw refused('is being written by another copy', 'Let one of them end.', error);
    }
  }
}

/** @throws ConflictError when the target holds anything */
async function begin({ from, to }: Stores, source: string): Promise<Place> {
  await checkEmpty(to);
  const { cursor } = await from.readChanges('newest', 0);
  const counts = { partitions: 0, records: 0, entries: 0, bytes: 0 };
  return { source, phase: 'partitions', cursor, counts, version: 0 };
}

/** @throws ConflictError when it is not for this copy to go on */
async function goOn({ from, to }: Stores, place: Place, source: string): Promise<Place> {
  if (place.source !== source) throw refused('holds a copy of another store', emptyHint);
  if (place.phase === 'done') await checkUntouched(to, place.end!);
  await checkJournal(from, place.cursor);
  return place.phase === 'done' ? { ...place, phase: 'changes' } : place;
}

/** What tells a store from every other; made when it is first copied. Its version is beyond all that were given before. */
async function identify(store: Store): Promise<{ id: string; version: number }> {
  const { value, version } = await new Records(store).update<{ id: string }>(
    SYSTEM_PARTITION,
    kinds.identity,
    (current) => ({ value: current?.value ?? { id: newId() } }),
  );
  return { id: value.id, version };
}

async function checkEmpty(store: Store): Promise<void> {
  for (let after: string | undefined; ; ) {
    const range = { index: PARTITION_INDEX, key: '', limit: 100, ...(after !== undefined && { after }) };
    const { items, next } = await store.queryIndex(range);
    if (items.some(({ partition }) => !isSystem(partition)))
      throw refused('holds data already, which is not from a copy of this one', emptyHint);
    if (next === undefined) return;
    after = next;
  }
}

/** @throws ConflictError when somebody has written to a finished copy: its data is its own now */
async function checkUntouched(store: Store, end: Cursor): Promise<void> {
  try {
    for await (const { changes } of journalPages(store, end)) {
      if (changes.some(({ partition }) => !isSystem(partition)))
        throw refused('was written to since it was copied', emptyHint);
    }
  } catch (error) {
    throw isCursorExpired(error) ? refused('was in use since it was copied', emptyHint, error) : error;
  }
}

/** @throws ConflictError when the source no longer knows what was changed since */
async function checkJournal(store: Store, cursor: Cursor): Promise<void> {
  await store.readChanges(cursor, 0).catch((error: unknown) => {
    throw isCursorExpired(error) ? expired(error) : error;
  });
}

/** For a journal that was trimmed while it was needed. */
export function expired(cause: unknown): ConflictError {
  return new ConflictError('the source has forgotten what was changed since the copy began', undefined, {
    cause,
    hint: 'Copy into an empty store; a longer journalKeepMs of the source leaves more time.',
  });
}

const emptyHint = 'Copy into an empty store.';

function refused(what: string, hint: string, cause?: unknown): ConflictError {
  return new ConflictError(`the target ${what}`, undefined, { hint, cause });
}
