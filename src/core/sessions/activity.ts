import { ignoreConflict, isUnavailable } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import type { SessionRecord } from '../model/session.ts';
import { indexes, kinds } from '../partitions.ts';
import { missingSession, noSession, partitionOf, type ServiceContext } from '../services.ts';
import type { Operation, RecordKey, Stored } from '../store.ts';

/** The operations that say that a session was used now, and until when that need not be said again. */
export interface Touch {
  operations: readonly Operation[];
  freshUntil: number;
}

/** How old the stored time of last use may be, at most. */
const PRECISION_MS = 1000;
const MAX_REMEMBERED = 50_000;
/** For a session that can't be looked at now: nothing is written along, and the next write looks again. */
const UNKNOWN: Touch = { operations: [], freshUntil: 0 };

/**
 * When sessions were last used, and whether they have expired. A busy session would rewrite its time and two indexes
 * with every message; this writes them once a second, together with a message that is written anyway.
 */
export class Activity {
  readonly #context: ServiceContext;
  /** Until when a session needs no look: it was seen alive, and its time was written. */
  readonly #fresh = new Map<string, number>();
  /** Looks that are under way. Writes that wait for the same one go on together, in order, before any later write. */
  readonly #looks = new Map<string, Promise<Touch>>();

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /**
   * What a write to a session has to write along; undefined, most of the time, for nothing.
   * To be {@link remember}ed once the write is on its way. @throws NotFoundError
   */
  touch(id: string): Promise<Touch> | undefined {
    const until = this.#fresh.get(id);
    return until !== undefined && this.#context.clock.now() < until ? undefined : this.#look(id);
  }

  /** Not before the write is on its way: a later write must not overtake it. */
  remember(id: string, { freshUntil }: Touch): void {
    if (this.#fresh.size >= MAX_REMEMBERED) this.#fresh.clear();
    this.#fresh.set(id, freshUntil);
  }

  /** The session's version. @throws NotFoundError when the session is not there, or has expired */
  async check(id: string): Promise<number> {
    return (await this.#find(id)).version;
  }

  /**
   * The same, for a read. Gives 0, which is no session's version, while the store is away: what it has by then, the read
   * itself has to tell. @throws NotFoundError
   */
  async checkForRead(id: string): Promise<number> {
    try {
      return await this.check(id);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return 0;
    }
  }

  forget(id: string): void {
    this.#fresh.delete(id);
  }

  /** The operations that say: used now. */
  operations(now: number, ttlMs: number | undefined): Operation[] {
    const value = encodeJson({ at: now }, 'activity');
    const entry = { index: indexes.sessionsByActivity, key: '', order: now };
    return [
      { op: 'put', kind: kinds.activity, id: kinds.activity, value, indexes: [entry] },
      { op: 'expire', at: ttlMs === undefined ? null : now + ttlMs },
    ];
  }

  /**
   * Runs a write that is given what says that the session was used. For writes that are not as frequent as messages.
   * @throws NotFoundError
   */
  async using<T>(id: string, write: (also: readonly Operation[]) => Promise<T>): Promise<T> {
    const touch = await this.touch(id);
    try {
      const result = await write(touch?.operations ?? []);
      if (touch) this.remember(id, touch);
      return result;
    } catch (error) {
      this.forget(id);
      throw missingSession(error, id);
    }
  }

  /** Frees an id where no session lives: one has expired but was not swept yet, or a copy was cut off. */
  async clear(id: string): Promise<void> {
    if (await this.#alive(id)) return;
    this.forget(id);
    const { store, clock } = this.#context;
    const partition = partitionOf(this.#context, id);
    const now = clock.now();
    const absent: Operation = { op: 'check', kind: kinds.session, id: kinds.session, ifVersion: 'absent' };
    // Without a session it may not have expired yet. Whoever makes one meanwhile sets the expiry anew.
    await store.commit({ partition, operations: [absent, { op: 'expire', at: now }] }).catch(ignoreConflict);
    await store.commit({ partition, operations: [{ op: 'drop', ifExpiredAt: now }] }).catch(ignoreConflict);
  }

  #look(id: string): Promise<Touch> {
    const underWay = this.#looks.get(id);
    // A session that was not there may have been made meanwhile.
    if (underWay) return underWay.catch(() => this.#touch(id));
    const look = this.#touch(id);
    this.#looks.set(id, look);
    const done = () => this.#looks.delete(id);
    look.then(done, done);
    return look;
  }

  /** While the store is away a write goes on without: its own condition says that the session must be there. */
  async #touch(id: string): Promise<Touch> {
    const found = await this.#find(id).catch((error: unknown) => {
      if (!isUnavailable(error)) throw error;
    });
    if (!found) return UNKNOWN;
    const { ttlMs } = found;
    const now = this.#context.clock.now();
    const freshUntil = now + Math.min(PRECISION_MS, (ttlMs ?? Number.POSITIVE_INFINITY) / 10);
    return { operations: this.operations(now, ttlMs), freshUntil };
  }

  async #find(id: string): Promise<Alive> {
    const session = await this.#alive(id);
    if (!session) throw noSession(id);
    return session;
  }

  async #alive(id: string): Promise<Alive | undefined> {
    const { store, clock } = this.#context;
    const [session, activity] = await store.getRecords(lifeKeys(this.#context, id));
    return session && aliveAt(clock.now(), session, activity);
  }
}

/** Those of some sessions that have expired and were not swept yet; none while the store is away, which can't tell. */
export async function expiredAmong(
  context: ServiceContext,
  ids: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  if (ids.size === 0) return ids;
  const now = context.clock.now();
  try {
    const records = await context.store.getRecords([...ids].flatMap((id) => lifeKeys(context, id)));
    const lives = [...ids].map((id, i) => ({ id, session: records[2 * i], activity: records[2 * i + 1] }));
    return new Set(
      lives.flatMap(({ id, session, activity }) => (session && !aliveAt(now, session, activity) ? id : [])),
    );
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return new Set();
  }
}

function lifeKeys(context: ServiceContext, id: string): RecordKey[] {
  const partition = partitionOf(context, id);
  return [kinds.session, kinds.activity].map((kind) => ({ partition, kind, id: kind }));
}

function aliveAt(now: number, session: Stored, activity: Stored | undefined): Alive | undefined {
  const { ttlMs, createdAt } = decodeJson<SessionRecord>(session.value);
  const at = activity ? decodeJson<{ at: number }>(activity.value).at : createdAt;
  return ttlMs !== undefined && at + ttlMs <= now ? undefined : { version: session.version, ttlMs };
}

/** What is known of a session that is there and has not expired. */
interface Alive {
  version: number;
  ttlMs: number | undefined;
}
