import { z } from 'zod';
import { ConflictError, isConflict, isUnavailable, quote } from '../errors.ts';
import { newId } from '../ids.ts';
import {
  durationSchema,
  idSchema,
  limitSchema,
  objectSchema,
  parseInput,
  timeSchema,
  userIdSchema,
} from '../input.ts';
import { decodeJson, encodeJson, type JsonText } from '../json.ts';
import { copyOf, mergedMetadata } from '../metadata.ts';
import type { Session, SessionCounters, SessionRecord, SessionStatus } from '../model/session.ts';
import { indexes, kinds, messageLog, noFork, sessionExists } from '../partitions.ts';
import { noSession, partitionOf, type ServiceContext } from '../services.ts';
import type { IndexEntry, Operation } from '../store.ts';
import { Activity } from './activity.ts';
import { forkSession } from './fork.ts';
import type { Lease } from './lease.ts';
import { type LeaseOptions, Leases } from './leases.ts';
import { type Sweep, sweepSessions } from './sweep.ts';

const statusSchema = z.enum(['active', 'completed', 'failed', 'expired']);
const createSchema = z.strictObject({
  id: idSchema.optional(),
  userId: userIdSchema,
  metadata: objectSchema.optional(),
  ttlMs: durationSchema.optional(),
  createdAt: timeSchema.optional(),
});
const updateSchema = z.strictObject({
  metadata: objectSchema.optional(),
  status: statusSchema.optional(),
  incrementRequests: z.union([z.boolean(), z.int().min(0)]).optional(),
  addProcessingTimeMs: z.number().min(0).optional(),
  markError: z.boolean().optional(),
});
const ifVersionSchema = z.strictObject({ ifVersion: z.int().optional() });
const listSchema = z.strictObject({
  userId: idSchema.optional(),
  status: statusSchema.optional(),
  after: z.string().optional(),
  limit: limitSchema.optional(),
});
const forkSchema = z.strictObject({ id: idSchema.optional(), atSeq: z.int().min(0).optional() });
const sweepSchema = z.strictObject({ maxIdleMs: z.int().min(2000).optional() });

export interface CreateSession {
  /** A fresh one where absent. */
  id?: string | undefined;
  userId: string;
  metadata?: Record<string, unknown> | undefined;
  /** The session expires when it was not used for so long (milliseconds). Absent: as the engine's `sessionTtlMs` says. */
  ttlMs?: number | undefined;
  /** Epoch milliseconds; for sessions that come from elsewhere. Now where absent. */
  createdAt?: number | undefined;
}

export interface UpdateSession {
  /** Merged into the metadata, field by field; null removes a field. */
  metadata?: Record<string, unknown>;
  status?: SessionStatus;
  /** `true` adds one. */
  incrementRequests?: boolean | number;
  addProcessingTimeMs?: number;
  /** Adds one to the session's errors. */
  markError?: boolean;
}

export interface ListSessions {
  userId?: string | undefined;
  status?: SessionStatus | undefined;
  /** The `next` of the page before. */
  after?: string | undefined;
  /** 1 to 1000; 50 where absent. */
  limit?: number | undefined;
}

/** A session as it was read; as text, so that no caller can change it. */
interface Seen {
  value: JsonText;
  version: number;
  live: { lastActivityAt: number; messageCount: number } & SessionCounters;
}

const MAX_SEEN = 1000;

/** Sessions: making, finding, updating, forking, ending and sweeping them. */
export class SessionService {
  readonly #context: ServiceContext;
  readonly activity: Activity;
  /** Sessions as they were last seen: what an update gives back while the store is away. */
  readonly #seen = new Map<string, Seen>();
  /** Leases by their tokens, for those who hold no `Lease`. */
  readonly leases: Leases;

  constructor(context: ServiceContext) {
    this.#context = context;
    this.activity = new Activity(context);
    this.leases = new Leases(context, this.activity);
  }

  /** @throws ConflictError when a session of that id exists */
  async create(input: CreateSession): Promise<Session> {
    const {
      id = newId(),
      userId,
      metadata = {},
      ttlMs = this.#context.defaults.sessionTtlMs,
      createdAt,
    } = parseInput(createSchema, input, 'sessions.create');
    const now = this.#context.clock.now();
    const record: SessionRecord = {
      userId,
      status: 'active',
      metadata: copyOf(metadata),
      createdAt: createdAt ?? now,
      updatedAt: now,
      ...(ttlMs !== undefined && { ttlMs }),
    };
    const operations = [this.#put(record, 'absent'), noFork, ...this.activity.operations(now, ttlMs)];
    const fresh = input.id === undefined;
    const commit = () =>
      this.#context.store.commit({ partition: partitionOf(this.#context, id), operations, fresh });
    // Seldom is there something in the way, and more seldom something that may go.
    const receipt = await commit().catch(async (error: unknown) => {
      if (!isConflict(error)) throw error;
      await this.activity.clear(id);
      return commit().catch((again: unknown) => {
        throw isConflict(again) ? taken(id, again) : again;
      });
    });
    const { version } = receipt.results[0]!;
    const live = { lastActivityAt: now, messageCount: 0 };
    this.#context.log.info({ sessionId: id, userId }, 'session created');
    return toSession(id, { value: encodeJson(record, 'session'), version: version!, live });
  }

  /** The session of that id, made if it is not there. An existing one is given back as it is. */
  async getOrCreate(input: CreateSession & { id: string }): Promise<Session> {
    const { id } = parseInput(createSchema.required({ id: true }), input, 'sessions.getOrCreate');
    for (;;) {
      const found = await this.#find(id);
      if (found) return found;
      try {
        return await this.create(input);
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }

  /** @throws NotFoundError */
  async get(sessionId: string): Promise<Session> {
    const id = parseInput(idSchema, sessionId, 'sessions.get: id');
    const session = await this.#find(id);
    if (!session) throw noSession(id);
    return session;
  }

  /** Changes fields and adds to counters. Counters need no version: concurrent calls all count. */
  async update(
    sessionId: string,
    changes: UpdateSession,
    options: { ifVersion?: number } = {},
  ): Promise<Session> {
    const id = parseInput(idSchema, sessionId, 'sessions.update: id');
    const { metadata, status, ...counting } = parseInput(updateSchema, changes, 'sessions.update');
    const { ifVersion } = parseInput(ifVersionSchema, options, 'sessions.update');
    const deltas = countersOf(counting);
    const add: Operation[] = deltas ? [{ op: 'add', kind: kinds.counters, id: kinds.counters, deltas }] : [];
    const merged = metadata && copyOf(metadata);
    const partition = partitionOf(this.#context, id);
    const counts = merged === undefined && status === undefined && ifVersion === undefined;
    // Counters can be added to while the store is away, but not read: nothing is added that could not be answered.
    const before = counts ? (this.#seen.get(id) ?? (await this.#look(id))) : undefined;
    await this.activity.using(id, async (used) => {
      if (counts) {
        return this.#context.store.commit({ partition, operations: [sessionExists, ...add, ...used] });
      }
      return this.#context.records.update<SessionRecord>(
        partition,
        kinds.session,
        (current) => {
          if (!current) throw noSession(id);
          const value = { ...current.value, updatedAt: this.#context.clock.now() };
          if (merged) value.metadata = mergedMetadata(value.metadata, merged);
          if (status) value.status = status;
          return { value, indexes: indexEntries(value), also: [...add, ...used] };
        },
        ifVersion === undefined ? {} : { ifVersion },
      );
    });
    return this.get(id).catch((error: unknown) => {
      if (!before || !isUnavailable(error)) throw error;
      const now = withCounts(this.#seen.get(id) ?? before, deltas ?? {});
      this.#remember(id, now);
      return toSession(id, now);
    });
  }

  /** Ends a session; everything in it stays readable. */
  async end(sessionId: string, status: SessionStatus = 'completed'): Promise<Session> {
    return this.update(sessionId, { status });
  }

  /** Sessions, newest first. */
  async list(options: ListSessions = {}): Promise<{ sessions: Session[]; next?: string }> {
    const { userId, status, after, limit = 50 } = parseInput(listSchema, options, 'sessions.list');
    const { store, tenant } = this.#context;
    const range =
      userId !== undefined
        ? { index: indexes.sessionsByUser, key: userId }
        : status !== undefined
          ? { index: indexes.sessionsByStatus, key: status }
          : { index: indexes.sessions, key: '' };
    const sessions: Session[] = [];
    let next = after;
    do {
      const page = await store.queryIndex({
        tenant,
        ...range,
        ...(next !== undefined && { after: next }),
        limit: limit - sessions.length,
        reverse: true,
      });
      const found = await Promise.all(page.items.map((hit) => this.#find(hit.partition.id)));
      sessions.push(
        ...(found.filter(
          (session) => session !== undefined && (!status || session.status === status),
        ) as Session[]),
      );
      next = page.next;
    } while (next !== undefined && sessions.length < limit);
    return { sessions, ...(next !== undefined && { next }) };
  }

  /**
   * Copies a session: its messages up to and with `atSeq` (all where absent), state, channels and compactions. The
   * copy goes its own way from there; seqs and ids are kept.
   */
  async fork(sessionId: string, options: { id?: string; atSeq?: number } = {}): Promise<Session> {
    const from = parseInput(idSchema, sessionId, 'sessions.fork: id');
    const { id = newId(), atSeq } = parseInput(forkSchema, options, 'sessions.fork');
    const source = await this.get(from);
    if (await this.#find(id)) throw taken(id, undefined);
    await this.activity.clear(id);
    await forkSession(this.#context, { fromId: from, toId: id, atSeq }, (metadata) => {
      const now = this.#context.clock.now();
      const record: SessionRecord = {
        userId: source.userId,
        status: 'active',
        metadata: { ...source.metadata, ...metadata },
        createdAt: now,
        updatedAt: now,
        ...(source.ttlMs !== undefined && { ttlMs: source.ttlMs }),
      };
      return [this.#put(record, 'absent'), ...this.activity.operations(now, source.ttlMs)];
    });
    return this.get(id);
  }

  /**
   * Takes the lease of a session, for whoever runs it: one holder at a time, over all processes. It is renewed in the
   * background until it is released. A write that is given the lease goes ahead only while it is the current one.
   * @throws ConflictError when somebody has it, and still has it after `waitMs`; NotFoundError
   */
  lease(sessionId: string, options: LeaseOptions = {}): Promise<Lease> {
    return this.leases.take(sessionId, options);
  }

  /** Deletes a session and everything in it. @returns false when there was none */
  async delete(sessionId: string): Promise<boolean> {
    const id = parseInput(idSchema, sessionId, 'sessions.delete: id');
    const receipt = await this.#context.store.commit({
      partition: partitionOf(this.#context, id),
      operations: [{ op: 'drop' }],
    });
    this.activity.forget(id);
    return receipt.results[0]!.count === 1;
  }

  /**
   * Deletes expired sessions, and with `maxIdleMs` (2000 at least) those not used for so long.
   * @returns how many of each
   */
  async sweep(options: { maxIdleMs?: number } = {}): Promise<Sweep> {
    return sweepSessions(this.#context, parseInput(sweepSchema, options, 'sessions.sweep').maxIdleMs);
  }

  async #find(id: string): Promise<Session | undefined> {
    const seen = await this.#look(id);
    return seen && toSession(id, seen);
  }

  #remember(id: string, seen: Seen): void {
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.set(id, seen);
  }

  async #look(id: string): Promise<Seen | undefined> {
    const partition = partitionOf(this.#context, id);
    const once = (kind: string) => ({ partition, kind, id: kind });
    const { store, clock } = this.#context;
    const [[session, activity, counters], log] = await Promise.all([
      store.getRecords([once(kinds.session), once(kinds.activity), once(kinds.counters)]),
      store.readLog(partition, messageLog(), { limit: 0 }),
    ]);
    if (!session) return undefined;
    const record = decodeJson<SessionRecord>(session.value);
    const lastActivityAt = activity ? decodeJson<{ at: number }>(activity.value).at : record.createdAt;
    if (record.ttlMs !== undefined && lastActivityAt + record.ttlMs <= clock.now()) return undefined;
    const counts = counters ? decodeJson<SessionCounters>(counters.value) : {};
    const live = { lastActivityAt, messageCount: log.count, ...counts };
    const seen: Seen = { value: session.value, version: session.version, live };
    this.#remember(id, seen);
    return seen;
  }

  #put(record: SessionRecord, ifVersion: 'absent'): Operation {
    const value = encodeJson(record, 'session');
    return {
      op: 'put',
      kind: kinds.session,
      id: kinds.session,
      value,
      ifVersion,
      indexes: indexEntries(record),
    };
  }
}

function taken(id: string, cause: unknown): ConflictError {
  const version = cause instanceof ConflictError ? cause.currentVersion : undefined;
  return new ConflictError(`session ${quote(id)} exists already`, version, {
    hint: 'Use sessions.getOrCreate, or another id.',
    cause,
  });
}

function indexEntries({ userId, status, createdAt }: SessionRecord): IndexEntry[] {
  return [
    { index: indexes.sessions, key: '', order: createdAt },
    { index: indexes.sessionsByUser, key: userId, order: createdAt },
    { index: indexes.sessionsByStatus, key: status, order: createdAt },
  ];
}

function countersOf(counting: {
  incrementRequests?: boolean | number | undefined;
  addProcessingTimeMs?: number | undefined;
  markError?: boolean | undefined;
}): Record<string, number> | undefined {
  const deltas = {
    requests: Number(counting.incrementRequests ?? 0),
    processingTimeMs: counting.addProcessingTimeMs ?? 0,
    errors: counting.markError ? 1 : 0,
  };
  const changed = Object.entries(deltas).filter(([, delta]) => delta !== 0);
  return changed.length > 0 ? Object.fromEntries(changed) : undefined;
}

function toSession(id: string, { value, version, live }: Seen): Session {
  const { requests = 0, errors = 0, processingTimeMs = 0, lastActivityAt, messageCount } = live;
  const record = decodeJson<SessionRecord>(value);
  return { id, ...record, lastActivityAt, messageCount, requests, errors, processingTimeMs, version };
}

/** What was seen, and what has been added to its counters since. */
function withCounts(seen: Seen, deltas: Record<string, number>): Seen {
  const live: Seen['live'] & Record<string, number> = { ...seen.live };
  for (const [field, delta] of Object.entries(deltas)) live[field] = (live[field] ?? 0) + delta;
  return { ...seen, live };
}
