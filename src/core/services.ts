import type { Clock } from './clock.ts';
import type { BackgroundWork } from './concurrency/background.ts';
import { isConflict, NotFoundError } from './errors.ts';
import type { EngineLog } from './logger.ts';
import { sessionPartition } from './partitions.ts';
import type { Records } from './records.ts';
import type { Partition, Store } from './store.ts';

/** What every service is given: the store, whose tenant it works in, the time, and where work in the background starts. */
export interface ServiceContext {
  readonly store: Store;
  readonly records: Records;
  readonly tenant: string;
  readonly clock: Clock;
  readonly background: BackgroundWork;
  readonly log: EngineLog;
  readonly defaults: ServiceDefaults;
}

/** What holds where a call says nothing else. */
export interface ServiceDefaults {
  /** After how long without use a session expires (milliseconds). Absent: never. */
  readonly sessionTtlMs?: number | undefined;
  /** What a window may hold (tokens). Absent: each one has to say it. */
  readonly maxTokens?: number | undefined;
  /** What a task's history may hold once it is optimised (characters of data). Absent: 1000. */
  readonly taskMaxSize?: number | undefined;
  readonly concurrency?: { readonly graceMs?: number | undefined } | undefined;
}

/** The error for a session that is not there. */
export function noSession(id: string): NotFoundError {
  return new NotFoundError('session', id, {
    hint: `Create it first: engine.sessions.create({ id, userId }).`,
  });
}

/** The store's conflict on the check that a session exists, as what it means; other errors as they are. */
export function missingSession(error: unknown, id: string): unknown {
  const conflict = isConflict(error);
  return conflict && error.details?.kind === 'session' ? noSession(id) : error;
}

export function partitionOf(context: ServiceContext, sessionId: string): Partition {
  return sessionPartition(context.tenant, sessionId);
}
