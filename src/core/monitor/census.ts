import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { isCursorExpired } from '../errors.ts';
import { decodeJson } from '../json.ts';
import type { SessionRecord } from '../model/session.ts';
import { channelOfLog, indexes, kinds } from '../partitions.ts';
import {
  type ChangePage,
  type Cursor,
  type LogInfo,
  PARTITION_INDEX,
  type Partition,
  type Store,
} from '../store.ts';

const PAGE = 500;
/** Partitions that are read at a time. */
const AT_ONCE = 8;
/** Of so many sessions and users it is known what was counted in them: some hundred bytes each. */
const MOST_PARTITIONS = 2_000_000;

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
  /** Whether everything was counted: not where there are more than 2 000 000 sessions and users together. */
  complete: boolean;
}

/** What was counted in a session: its messages twice, and one more where it is active. A number needs no object. */
type SessionCount = number;

/**
 * Counts a tenant: all of it once, and from then on what the journal says has changed. Nothing is kept in
 * the store for it, so no write pays for it.
 */
export class Census {
  readonly #store: Store;
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #most: number;
  readonly #sessions = new Map<string, SessionCount>();
  /** Memories of those users that have any. */
  readonly #users = new Map<string, number>();
  #sum = { activeSessions: 0, messages: 0, memories: 0 };
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
      if (!isCursorExpired(error)) throw error;
      await this.#countAll();
      await this.#follow();
    }
  }

  async #countAll(): Promise<void> {
    // What changes from here on is counted again.
    const { cursor } = await this.#store.readChanges('newest', 0);
    this.#sessions.clear();
    this.#users.clear();
    this.#sum = { activeSessions: 0, messages: 0, memories: 0 };
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
    const { changed, cursor } = await this.#changed();
    await this.#recount(changed);
    if (this.#closed) return;
    // Only now: where something failed on the way, all of it is counted again.
    this.#cursor = cursor;
    this.#totals = { sessions: this.#sessions.size, ...this.#sum, asOf, complete: this.#all };
  }

  /** The tenant's partitions that the journal tells of, up to its end. */
  async #changed(): Promise<{ changed: Partition[]; cursor: Cursor }> {
    const changed = new Map<string, Partition>();
    let cursor = this.#cursor!;
    const note = ({ changes }: ChangePage) => {
      for (const { partition } of changes) {
        const counts = partition.type === 'session' || partition.type === 'user';
        if (partition.tenant === this.#tenant && counts) changed.set(keyOf(partition), partition);
      }
    };
    for (;;) {
      const page: ChangePage = await this.#store.readChanges(cursor, PAGE);
      note(page);
      cursor = page.cursor;
      // Changes that the store holds back: they come again in their places, and are then counted again.
      for (let { ahead } = page; ahead !== undefined; ) {
        const more: ChangePage = await this.#store.readChanges(ahead, PAGE);
        note(more);
        ahead = more.changes.length < PAGE ? undefined : more.cursor;
      }
      if (page.changes.length < PAGE || this.#closed) return { changed: [...changed.values()], cursor };
    }
  }

  async #recount(partitions: readonly Partition[]): Promise<void> {
    for (let i = 0; i < partitions.length && !this.#closed; i += AT_ONCE) {
      const some = partitions.slice(i, i + AT_ONCE);
      await Promise.all([
        this.#recountSessions(some.filter(({ type }) => type === 'session')),
        ...some.filter(({ type }) => type === 'user').map((partition) => this.#recountUser(partition)),
      ]);
      // A store in the process answers at once: others have their turn all the same.
      await nextTurn();
    }
  }

  async #recountSessions(partitions: readonly Partition[]): Promise<void> {
    if (partitions.length === 0) return;
    const keys = partitions.map((partition) => ({ partition, kind: kinds.session, id: kinds.session }));
    const [records, logs] = await Promise.all([
      this.#store.getRecords(keys),
      Promise.all(partitions.map((partition) => this.#store.listLogs(partition))),
    ]);
    for (const [i, { id }] of partitions.entries()) {
      const record = records[i];
      // A fork under way is no session yet.
      this.#note(this.#sessions, id, record && countOf(decodeJson<SessionRecord>(record.value), logs[i]!));
    }
  }

  async #recountUser(partition: Partition): Promise<void> {
    this.#note(this.#users, partition.id, (await this.#memoriesOf(partition)) || undefined);
  }

  /** @param now undefined where there is nothing to count any more */
  #note(counted: Map<string, number>, id: string, now: number | undefined): void {
    const before = counted.get(id);
    if (now === undefined) counted.delete(id);
    else if (before === undefined && this.#sessions.size + this.#users.size >= this.#most) {
      this.#all = false;
      return;
    } else counted.set(id, now);
    if (counted === this.#users) this.#sum.memories += (now ?? 0) - (before ?? 0);
    else {
      this.#sum.activeSessions += isActive(now) - isActive(before);
      this.#sum.messages += messagesOf(now) - messagesOf(before);
    }
  }

  async #memoriesOf(partition: Partition): Promise<number> {
    let memories = 0;
    let after: string | undefined;
    do {
      const range = { tenant: this.#tenant, index: indexes.memories, key: partition.id, limit: 1000 };
      const page = await this.#store.queryIndex({ ...range, ...(after !== undefined && { after }) });
      memories += page.items.length;
      after = page.next;
    } while (after !== undefined);
    return memories;
  }
}

function countOf({ status }: SessionRecord, logs: readonly LogInfo[]): SessionCount {
  let messages = 0;
  for (const { log, count } of logs) if (channelOfLog(log) !== undefined) messages += count;
  return messages * 2 + (status === 'active' ? 1 : 0);
}

function isActive(count: SessionCount = 0): number {
  return count % 2;
}

function messagesOf(count: SessionCount = 0): number {
  return Math.floor(count / 2);
}

function keyOf({ type, id }: Partition): string {
  return `${type}\0${id}`;
}
