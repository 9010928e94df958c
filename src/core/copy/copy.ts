import { z } from 'zod';
import { isCursorExpired } from '../errors.ts';
import { parseInput } from '../input.ts';
import type { Change, Partition, Store } from '../store.ts';
import { changedPartitions, newestVersion } from './changed.ts';
import { News } from './journal.ts';
import { countPartitions, expiryPages, partitionPages } from './listing.ts';
import { type CopyCounts, type CopyPartition, copyPartition, type Stores } from './partition.ts';
import { expired, SavedPlace } from './place.ts';
import { sideBySide } from './side-by-side.ts';
import { compareExpiry, comparePartition, type Mismatch, verifyCopy } from './verify.ts';

/** So many partitions are copied at once: enough for a store to commit them in groups. */
const WIDTH = 16;

const optionsSchema = z.strictObject({
  onProgress: z
    .custom<(progress: CopyProgress) => void>((value) => typeof value === 'function', 'expected a function')
    .optional(),
  signal: z.instanceof(AbortSignal).optional(),
  verify: z.boolean().optional(),
});

export interface CopyOptions {
  /** Hears how far it is, after each partition. */
  onProgress?: ((progress: CopyProgress) => void) | undefined;
  /** Stops it; another copy goes on from there. */
  signal?: AbortSignal | undefined;
  /** Read everything back from both stores and compare. */
  verify?: boolean | undefined;
}

export interface CopyProgress extends CopyCounts {
  /** `copying` all there is, `following` what was changed meanwhile, `verifying`. */
  readonly phase: 'copying' | 'following' | 'verifying';
  /** How many partitions there were at the start. */
  readonly totalPartitions: number;
}

/** What was copied. With `verify` the counts are what the source held then, else what was found while copying. */
export interface CopyResult extends CopyCounts {
  /** It went on with an earlier copy into this target. */
  readonly resumed: boolean;
  /** How many commits to the source were followed. */
  readonly followed: number;
  readonly verified: boolean;
  /** What differs; empty unless verified. */
  readonly mismatches: readonly Mismatch[];
}

/** Copies everything of one store into another, empty one. */
export async function copyStore(from: Store, to: Store, options: CopyOptions = {}): Promise<CopyResult> {
  const given = parseInput(optionsSchema, options, 'copyTo');
  return new Copy({ from, to }, given).run();
}

class Copy {
  readonly #stores: Stores;
  readonly #options: CopyOptions;
  readonly #news: News;
  #saved!: SavedPlace;
  #totalPartitions = 0;
  #followed = 0;

  constructor(stores: Stores, options: CopyOptions) {
    this.#stores = stores;
    this.#options = options;
    this.#news = new News(stores.from);
  }

  async run(): Promise<CopyResult> {
    this.#saved = await SavedPlace.open(this.#stores);
    const { place, resumed } = this.#saved;
    if (place.phase === 'partitions') await this.#copyPartitions();
    if (place.phase === 'expiry') await this.#copyExpiry();
    await this.#follow();
    const mismatches = this.#options.verify ? await this.#verify() : undefined;
    await this.#saved.finish(place.cursor);
    return {
      ...place.counts,
      resumed,
      followed: this.#followed,
      verified: mismatches !== undefined,
      mismatches: mismatches ?? [],
    };
  }

  /** All partitions, a page at a time. A page that was cut off is gone through again: what is there stays. */
  async #copyPartitions(): Promise<void> {
    const { from, to } = this.#stores;
    const { signal } = this.#options;
    const { place, resumed } = this.#saved;
    this.#totalPartitions = await countPartitions(from);
    let fresh = !resumed;
    for await (const { items, next } of partitionPages(from, place.after)) {
      const found: CopyCounts[] = [];
      await sideBySide(items, WIDTH, async ({ partition }) => {
        signal?.throwIfAborted();
        const counts = { partitions: 0, records: 0, entries: 0, bytes: 0 };
        found.push(counts);
        await copyPartition({ from, to }, partition, {
          counts,
          signal,
          fresh,
          ...this.#versions(),
        });
        counts.partitions++;
        this.#tell('copying', sum([place.counts, ...found]));
      });
      const moved = next === undefined ? ({ phase: 'expiry', after: undefined } as const) : { after: next };
      await this.#saved.save({ ...moved, counts: sum([place.counts, ...found]) });
      fresh = true;
    }
  }

  async #copyExpiry(): Promise<void> {
    const { from, to } = this.#stores;
    for await (const { items, next } of expiryPages(from, this.#saved.place.after)) {
      await sideBySide(items, WIDTH, async ({ partition, order }) => {
        this.#options.signal?.throwIfAborted();
        await to.commit({ partition, operations: [{ op: 'expire', at: order }] });
      });
      const moved = next === undefined ? ({ phase: 'changes', after: undefined } as const) : { after: next };
      await this.#saved.save(moved);
    }
  }

  /**
   * Copies again what the source's journal names since, until it names nothing more.
   * @returns whether there was anything
   */
  async #follow(): Promise<boolean> {
    const before = this.#followed;
    let known: number;
    do {
      known = this.#followed;
      await this.#followOnce();
    } while (this.#followed > known);
    return this.#followed > before;
  }

  async #followOnce(): Promise<void> {
    const { place } = this.#saved;
    try {
      for await (const { changes, cursor } of this.#news.after(place.cursor)) {
        if (changes.length > 0) await this.#copyChanges(changes);
        if (changes.length > 0 || cursor !== place.cursor) await this.#saved.save({ cursor });
      }
    } catch (error) {
      throw isCursorExpired(error) ? expired(error) : error;
    }
  }

  async #copyChanges(changes: readonly Change[]): Promise<void> {
    const { place } = this.#saved;
    const counts = { partitions: 0, records: 0, entries: 0, bytes: 0 };
    const { signal } = this.#options;
    place.version = Math.max(place.version, newestVersion(changes));
    const how = { counts, signal, ...this.#versions() };
    await sideBySide(changedPartitions(changes), WIDTH, (changed) =>
      copyPartition(this.#stores, changed.partition, { ...how, changed }),
    );
    this.#followed += changes.length;
    this.#tell('following', place.counts);
  }

  #versions(): Pick<CopyPartition, 'versionsBeyond' | 'seenVersion'> {
    const { place } = this.#saved;
    const seenVersion = (version: number) => {
      place.version = Math.max(place.version, version);
    };
    return { versionsBeyond: place.apart ? place.version : undefined, seenVersion };
  }

  /** What was changed while it was compared differs for a moment only: it is followed, and compared again. */
  async #verify(): Promise<Mismatch[]> {
    const { signal } = this.#options;
    const onProgress = (counts: CopyCounts) => this.#tell('verifying', counts);
    this.#totalPartitions = await countPartitions(this.#stores.from);
    const { counts, mismatches } = await verifyCopy(this.#stores, { width: WIDTH, signal, onProgress });
    this.#saved.place.counts = counts;
    let left = mismatches;
    // Where nothing was written since they were compared, they differ.
    while (left.length > 0 && (await this.#follow())) {
      const again = await Promise.all(left.map(({ partition }) => this.#compare(partition)));
      left = again.filter((mismatch) => mismatch !== undefined);
    }
    return left;
  }

  #compare(partition: Partition | undefined): Promise<Mismatch | undefined> {
    return partition ? comparePartition(this.#stores, partition) : compareExpiry(this.#stores);
  }

  #tell(phase: CopyProgress['phase'], counts: CopyCounts): void {
    const { onProgress } = this.#options;
    onProgress?.({ phase, totalPartitions: Math.max(this.#totalPartitions, counts.partitions), ...counts });
  }
}

function sum(all: readonly CopyCounts[]): CopyCounts {
  const total = { partitions: 0, records: 0, entries: 0, bytes: 0 };
  for (const { partitions, records, entries, bytes } of all) {
    total.partitions += partitions;
    total.records += records;
    total.entries += entries;
    total.bytes += bytes;
  }
  return total;
}
