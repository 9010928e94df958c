import { decodeJson, encodeJson } from '../json.ts';
import type { SessionRecord } from '../model/session.ts';
import { indexes, kinds } from '../partitions.ts';
import { noSession, partitionOf, type ServiceContext } from '../services.ts';
import type { Operation } from '../store.ts';

/** How old the stored time of last use may be, at most. */
const PRECISION_MS = 1000;
const MAX_REMEMBERED = 50_000;

/**
 * When sessions were last used, and whether they have expired. A busy session would rewrite its time and two indexes
 * with every message; this writes them once a second, together with a message that is written anyway.
 */
export class Activity {
  readonly #context: ServiceContext;
  /** Until when a session needs no look: it was seen alive, and its time was written. */
  readonly #fresh = new Map<string, number>();

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** What a write to a session has to write along. Nothing, most of the time. @throws NotFoundError */
  touch(id: string): readonly Operation[] | Promise<readonly Operation[]> {
    const until = this.#fresh.get(id);
    return until !== undefined && this.#context.clock.now() < until ? nothing : this.#touch(id);
  }

  /** @throws NotFoundError when the session is not there, or has expired */
  async check(id: string): Promise<void> {
    const ttlMs = await this.#alive(id);
    if (ttlMs === 'gone') throw noSession(id);
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

  /** Deletes a session that has expired but was not swept yet, so that its id is free. */
  async removeExpired(id: string): Promise<void> {
    if ((await this.#alive(id)) !== 'gone') return;
    const { store, clock } = this.#context;
    await store
      .commit({
        partition: partitionOf(this.#context, id),
        operations: [{ op: 'drop', ifExpiredAt: clock.now() }],
      })
      .catch(() => undefined);
    this.forget(id);
  }

  async #touch(id: string): Promise<readonly Operation[]> {
    const ttlMs = await this.#alive(id);
    if (ttlMs === 'gone') throw noSession(id);
    const now = this.#context.clock.now();
    if (this.#fresh.size >= MAX_REMEMBERED) this.#fresh.clear();
    this.#fresh.set(id, now + Math.min(PRECISION_MS, (ttlMs ?? Number.POSITIVE_INFINITY) / 10));
    return this.operations(now, ttlMs);
  }

  /** The session's time to live, or that it is gone. */
  async #alive(id: string): Promise<number | undefined | 'gone'> {
    const partition = partitionOf(this.#context, id);
    const { store, clock } = this.#context;
    const [session, activity] = await store.getRecords([
      { partition, kind: kinds.session, id: kinds.session },
      { partition, kind: kinds.activity, id: kinds.activity },
    ]);
    if (!session) return 'gone';
    const { ttlMs, createdAt } = decodeJson<SessionRecord>(session.value);
    const at = activity ? decodeJson<{ at: number }>(activity.value).at : createdAt;
    return ttlMs !== undefined && at + ttlMs <= clock.now() ? 'gone' : ttlMs;
  }
}

const nothing: readonly Operation[] = [];
