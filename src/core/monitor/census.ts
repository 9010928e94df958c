import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { isHoldfastError } from '../errors.ts';
import { decodeJson } from '../json.ts';
import type { SessionRecord } from '../model/session.ts';
import { channelOfLog, indexes, kinds } from '../partitions.ts';
import { type ChangePage, type Cursor, PARTITION_INDEX, type Partition, type Store } from '../store.ts';

const PAGE = 500;
/** Partitions that are read at a time. */
const AT_ONCE = 16;
/** Of so many partitions it is known what was counted in them: some dozens of megabytes. */
const MOST_PARTITIONS = 250_000;

/** What there is in a tenant. */
export interface Totals {
  sessions: number;
  /** Those with the status `active`. */
  activeSessions: number;
  /** Of conversations and channels. */
  messages: number;
  /** Durable ones that hold. */
  memories: number;
  /**
   * What was committed up to then is counted (epoch milliseconds). What was committed while it was counted may be in it
   * already.
   */
  asOf: number;
  /** Whether everything was counted: not where there are more than 250 000 sessions and users together. */
  complete: boolean;
}

type Counted = readonly [sessions: number, active: number, messages: number, memories: number];

/**
 * Counts a tenant: all of it once, and from then on what the journal says has changed. Nothing is kept in
 * the store for it, so no write pays for it.
 */
export class Census {
  readonly #store: Store;
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #most: number;
  readonly #counted = new Map<string, Counted>();
  readonly #sum: [number, number, number, number] = [0, 0, 0, 0];
  #cursor: Cursor | undefined;
  #all = true;
  #totals: Totals | undefined;
  #counting: Promise<void> | undefined;
  #closed = false;

  /** @param options.most of so many partitions it is kept what was counted in them */
  constructor(
    store: Store,
    { tenant, clock, most = MOST_PARTITIONS }: { tenant: string; clock: Clock; most?: number },
  ) {
    this.#store = store;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#most = most;
  }

  /** As they were last counted. */
  get totals(): Totals | undefined {
    return this.#totals;
  }

  /** Counts what has changed since; at most one count at a time. */
  count(): Promise<void> {
    this.#counting ??= this.#count().finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#counting?.catch(() => undefined);
  }

  async #count(): Promise<void> {
    try {
      if (this.#cursor === undefined) await this.#countAll();
      await this.#follow();
    } catch (error) {
      // The journal no longer tells what has changed.
      if (!isHoldfastError(error) || error.code !== 'cursor-expired') throw error;
      await this.#countAll();
      await this.#follow();
    }
  }

  async #countAll(): Promise<void> {
    // What changes from here on is counted again.
    const { cursor } = await this.#store.readChanges('newest', 0);
    this.#counted.clear();
    this.#sum.fill(0);
    this.#all = true;
    for (const type of ['session', 'user']) {
      let after: string | undefined;
      do {
        const range = { tenant: this.#tenant, index: PARTITION_INDEX, key: type, limit: PAGE };
        const page = await this.#store.queryIndex({ ...range, ...(after !== undefined && { after }) });
        await this.#recount(page.items.map(({ partition }) => partition));
        after = page.next;
      } while (after !== undefined && !this.#closed && this.#all);
    }
    this.#cursor = cursor;
  }

  async #follow(): Promise<void> {
    const asOf = this.#clock.now();
    const changed = await this.#changed();
    await this.#recount([...changed.values()]);
    if (this.#closed) return;
    const [sessions, activeSessions, messages, memories] = this.#sum;
    this.#totals = { sessions, activeSessions, messages, memories, asOf, complete: this.#all };
  }

  /** The tenant's partitions that the journal tells of, up to its end. */
  async #changed(): Promise<Map<string, Partition>> {
    const changed = new Map<string, Partition>();
    const note = ({ changes }: ChangePage) => {
      for (const { partition } of changes) {
        const counts = partition.type === 'session' || partition.type === 'user';
        if (partition.tenant === this.#tenant && counts) changed.set(keyOf(partition), partition);
      }
    };
    for (;;) {
      const page: ChangePage = await this.#store.readChanges(this.#cursor!, PAGE);
      note(page);
      this.#cursor = page.cursor;
      // Changes that the store holds back: they come again in their places, and are then counted again.
      for (let { ahead } = page; ahead !== undefined; ) {
        const more: ChangePage = await this.#store.readChanges(ahead, PAGE);
        note(more);
        ahead = more.changes.length < PAGE ? undefined : more.cursor;
      }
      if (page.changes.length < PAGE || this.#closed) return changed;
    }
  }

  async #recount(partitions: readonly Partition[]): Promise<void> {
    for (let i = 0; i < partitions.length && !this.#closed; i += AT_ONCE) {
      const some = partitions.slice(i, i + AT_ONCE);
      const counts = await Promise.all(some.map((partition) => this.#look(partition)));
      for (const [at, partition] of some.entries()) this.#note(keyOf(partition), counts[at]!);
      // A store in the process answers at once: others have their turn all the same.
      await nextTurn();
    }
  }

  #note(key: string, now: Counted): void {
    const before = this.#counted.get(key);
    const isThere = now.some((count) => count !== 0);
    if (!before && isThere && this.#counted.size >= this.#most) {
      this.#all = false;
      return;
    }
    for (const i of [0, 1, 2, 3] as const) this.#sum[i] += now[i] - (before?.[i] ?? 0);
    if (isThere) this.#counted.set(key, now);
    else this.#counted.delete(key);
  }

  #look(partition: Partition): Promise<Counted> {
    return partition.type === 'session' ? this.#session(partition) : this.#user(partition);
  }

  async #session(partition: Partition): Promise<Counted> {
    const [records, logs] = await Promise.all([
      this.#store.getRecords([{ partition, kind: kinds.session, id: kinds.session }]),
      this.#store.listLogs(partition),
    ]);
    // A fork under way is no session yet.
    if (!records[0]) return [0, 0, 0, 0];
    const { status } = decodeJson<SessionRecord>(records[0].value);
    const messages = logs
      .filter(({ log }) => channelOfLog(log) !== undefined)
      .reduce((sum, { count }) => sum + count, 0);
    return [1, status === 'active' ? 1 : 0, messages, 0];
  }

  async #user(partition: Partition): Promise<Counted> {
    let memories = 0;
    let after: string | undefined;
    do {
      const range = { tenant: this.#tenant, index: indexes.memories, key: partition.id, limit: 1000 };
      const page = await this.#store.queryIndex({ ...range, ...(after !== undefined && { after }) });
      memories += page.items.length;
      after = page.next;
    } while (after !== undefined);
    return [0, 0, 0, memories];
  }
}

function keyOf({ type, id }: Partition): string {
  return `${type}\0${id}`;
}
