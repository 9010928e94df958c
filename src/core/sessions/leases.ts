import { hostname } from 'node:os';
import { z } from 'zod';
import { ConflictError, isConflict, isCursorExpired, quote, StoreUnavailableError } from '../errors.ts';
import { durationSchema, idSchema, parseInput } from '../input.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { kinds, sessionExists } from '../partitions.ts';
import type { Versioned } from '../records.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import { type Change, type Cursor, type Operation, type Partition, PROVISIONAL } from '../store.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import type { Activity } from './activity.ts';
import { type Fence, Lease, overError } from './lease.ts';

const ttlSchema = durationSchema.min(100).max(MAX_TIMER_MS);
const leaseSchema = z.strictObject({
  ttlMs: ttlSchema.optional(),
  waitMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
  owner: idSchema.optional(),
  autoRenew: z.boolean().optional(),
  signal: z.instanceof(AbortSignal).optional(),
});
const tokenSchema = z.int().min(0);

/** The input that fences a write. */
export const fenceSchema = z.custom<Fence>(
  (value) => tokenSchema.safeParse((value as Fence | null)?.token).success,
  'expected a lease, or { token }',
);

const DEFAULT_TTL_MS = 30_000;
const PAGE = 1000;

export interface LeaseOptions {
  /** How long it is held without a renewal (milliseconds, 100 at least; 30 000). */
  ttlMs?: number | undefined;
  /** How long to wait for a lease that somebody else holds (milliseconds; 0: not at all). */
  waitMs?: number | undefined;
  /** Who holds it, for those who find it taken. The process and its machine where absent. */
  owner?: string | undefined;
  /** Renews it in the background, each third of `ttlMs`, until it is released. True unless false. */
  autoRenew?: boolean | undefined;
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
}

/** Two records make a lease: this one is written when it is taken, and its version is the token. */
interface LeaseRecord {
  owner: string;
}

/** The other one is written by every renewal. It must not change the token. */
interface LeaseExpiry {
  /** Epoch milliseconds. */
  at: number;
}

interface Found {
  lease: Versioned<LeaseRecord> | undefined;
  expiry: Versioned<LeaseExpiry> | undefined;
}

/** Leases of sessions: who may run one. */
export class Leases {
  readonly #context: ServiceContext;
  readonly #activity: Activity;

  constructor(context: ServiceContext, activity: Activity) {
    this.#context = context;
    this.#activity = activity;
  }

  /**
   * Takes a session's lease, which one holder has at a time, over all processes.
   * @throws ConflictError when somebody has it, and still has it after `waitMs`; NotFoundError; StoreUnavailableError,
   * also while a session is only in a fallback's spool
   */
  async take(sessionId: string, options: LeaseOptions = {}): Promise<Lease> {
    const id = parseInput(idSchema, sessionId, 'sessions.lease: id');
    const { waitMs = 0, signal, ...terms } = parseInput(leaseSchema, options, 'sessions.lease');
    signal?.throwIfAborted();
    // A token of the spool would be no lease's any more once the store has the session.
    if ((await this.#activity.check(id)) >= PROVISIONAL) throw notYetStored(id);
    const { store, clock } = this.#context;
    const giveUpAt = performance.now() + waitMs;
    // Taken before the first look: what is released from then on is not missed.
    let cursor = waitMs > 0 ? (await store.readChanges('newest', 0)).cursor : '';
    for (;;) {
      const lease = await this.#tryTake(id, terms);
      if (lease instanceof Lease) return lease;
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0) throw takenError(id, lease);
      const expiresInMs = Math.max(1, lease.expiresAt - clock.now());
      cursor = await this.#released(id, cursor, { ms: Math.min(leftMs, expiresInMs), signal });
    }
  }

  /** Holds a lease for another `ttlMs`. @returns until when (epoch milliseconds). @throws ConflictError, NotFoundError */
  async renew(sessionId: string, token: number, options: { ttlMs?: number } = {}): Promise<number> {
    const id = parseInput(idSchema, sessionId, 'leases.renew: id');
    const given = parseInput(tokenSchema, token, 'leases.renew: token');
    const { ttlMs = DEFAULT_TTL_MS } = parseInput(leaseSchema.pick({ ttlMs: true }), options, 'leases.renew');
    const expiresAt = this.#context.clock.now() + ttlMs;
    try {
      // A run that goes on uses its session.
      await this.#activity.using(id, (used) =>
        this.#commit(id, [...fenced({ token: given }), putExpiry(expiresAt), ...used]),
      );
    } catch (error) {
      throw lostLease(error, id);
    }
    return expiresAt;
  }

  /** Gives a lease back; one that is over already is left as it is. */
  async release(sessionId: string, token: number): Promise<void> {
    const id = parseInput(idSchema, sessionId, 'leases.release: id');
    const ifVersion = parseInput(tokenSchema, token, 'leases.release: token');
    // Written anew, not deleted: the record keeps its version, and every later token is greater in a copy, too.
    await this.#commit(id, [
      { op: 'put', kind: kinds.lease, id: kinds.lease, value: encodeJson({}, 'lease'), ifVersion },
      { op: 'delete', kind: kinds.leaseExpiry, id: kinds.leaseExpiry },
    ]).catch((error: unknown) => {
      if (!isConflict(error)) throw error;
    });
  }

  /** @returns the lease, or who has it */
  async #tryTake(
    id: string,
    { ttlMs = DEFAULT_TTL_MS, owner = defaultOwner(), autoRenew = true }: LeaseOptions,
  ): Promise<Lease | { owner: string; expiresAt: number }> {
    for (;;) {
      const found = await this.#find(id);
      const now = this.#context.clock.now();
      const { lease, expiry } = found;
      if (lease && expiry && expiry.value.at > now) {
        return { owner: lease.value.owner, expiresAt: expiry.value.at };
      }
      const expiresAt = now + ttlMs;
      try {
        const token = await this.#put(id, found, { owner, expiresAt });
        return new Lease(
          { sessionId: id, token, owner, expiresAt, ttlMs, autoRenew },
          {
            clock: this.#context.clock,
            renew: () => this.renew(id, token, { ttlMs }),
            release: () => this.release(id, token),
            lost: () => this.#context.log.warn({ sessionId: id }, 'lease lost'),
          },
        );
      } catch (error) {
        // Somebody was quicker, or its holder renewed it after all.
        if (!isConflict(error)) throw error;
      }
    }
  }

  async #find(id: string): Promise<Found> {
    const partition = partitionOf(this.#context, id);
    const [lease, expiry] = await this.#context.store.getRecords([
      { partition, kind: kinds.lease, id: kinds.lease },
      { partition, kind: kinds.leaseExpiry, id: kinds.leaseExpiry },
    ]);
    return {
      lease: lease && { version: lease.version, value: decodeJson<LeaseRecord>(lease.value) },
      expiry: expiry && { version: expiry.version, value: decodeJson<LeaseExpiry>(expiry.value) },
    };
  }

  /** Takes a lease that nobody holds, unless that has changed. @returns its token */
  #put(
    id: string,
    found: Found,
    { owner, expiresAt }: { owner: string; expiresAt: number },
  ): Promise<number> {
    return this.#activity.using(id, async (used) => {
      const { results } = await this.#commit(id, [
        {
          op: 'put',
          kind: kinds.lease,
          id: kinds.lease,
          value: encodeJson({ owner }, 'lease'),
          ifVersion: found.lease?.version ?? 'absent',
        },
        { ...putExpiry(expiresAt), ifVersion: found.expiry?.version ?? 'absent' },
        sessionExists,
        ...used,
      ]);
      return results[0]!.version!;
    });
  }

  /** Resolves when the journal tells that the lease was released, and else after `ms`. @returns where to go on */
  async #released(
    id: string,
    after: Cursor,
    { ms, signal }: { ms: number; signal: AbortSignal | undefined },
  ): Promise<Cursor> {
    const { store } = this.#context;
    const partition = partitionOf(this.#context, id);
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), ms);
    const stop = AbortSignal.any([over.signal, ...(signal ? [signal] : [])]);
    let cursor = after;
    try {
      while (!stop.aborted) {
        const page = await store.readChanges(cursor, PAGE);
        cursor = page.cursor;
        if (page.changes.some((change) => frees(change, partition))) break;
        if (page.changes.length < PAGE) await store.waitForChanges(cursor, stop);
      }
    } catch (error) {
      if (isCursorExpired(error)) cursor = (await store.readChanges('newest', 0)).cursor;
      else if (!stop.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
    signal?.throwIfAborted();
    return cursor;
  }

  #commit(id: string, operations: readonly Operation[]) {
    return this.#context.store.commit({ partition: partitionOf(this.#context, id), operations });
  }
}

/** What makes a batch go ahead only while a lease is the session's current one; nothing where there is no lease. */
export function fenced(fence: Fence | undefined): Operation[] {
  if (!fence) return [];
  return [{ op: 'check', kind: kinds.lease, id: kinds.lease, ifVersion: fence.token }];
}

/** The store's conflict on a lease's record, as what it means; other errors as they are. */
export function lostLease(error: unknown, sessionId: string): unknown {
  const lost = isConflict(error) && error.details?.kind === kinds.lease;
  return lost ? overError(sessionId, 'is held by another run, or was released', error) : error;
}

function putExpiry(at: number): Operation & { op: 'put' } {
  return {
    op: 'put',
    kind: kinds.leaseExpiry,
    id: kinds.leaseExpiry,
    value: encodeJson({ at }, 'lease'),
  };
}

function frees({ partition: { tenant, type, id }, operations }: Change, of: Partition): boolean {
  if (id !== of.id || type !== of.type || tenant !== of.tenant) return false;
  return operations.some(({ op, ...what }) => op === 'drop' || (op === 'delete' && isExpiry(what)));
}

function isExpiry(what: object): boolean {
  return 'kind' in what && what.kind === kinds.leaseExpiry;
}

function notYetStored(id: string): StoreUnavailableError {
  return new StoreUnavailableError(`session ${quote(id)} can't be leased before the store has it`, {
    hint: 'It was made while the store was away. Try again when it is back.',
    details: { sessionId: id },
  });
}

function takenError(id: string, { owner, expiresAt }: { owner: string; expiresAt: number }): ConflictError {
  const until = new Date(expiresAt).toISOString();
  return new ConflictError(
    `session ${quote(id)} is leased by ${quote(owner)} until ${until}, unless it is renewed`,
    undefined,
    {
      hint: 'Wait for it with waitMs, or let its holder release it.',
      details: { sessionId: id, owner, expiresAt },
    },
  );
}

function defaultOwner(): string {
  return `process ${process.pid} on ${hostname()}`;
}
