import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { isConflict, NotFoundError } from '../errors.ts';
import { newId } from '../ids.ts';
import { idSchema, parseId, parseInput } from '../input.ts';
import { decodeJson, encodeJson, type Json } from '../json.ts';
import { copyOf } from '../metadata.ts';
import { kinds, sessionExists, TIMELINE_LOG } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { Operation } from '../store.ts';
import {
  type ContextUpdate,
  type TimelineUpdate,
  type UpdateInput,
  updateEntry,
  updateShape,
} from './update.ts';

const recordSchema = z.strictObject({ ...updateShape, taskId: idSchema.optional() });

export interface RecordUpdate extends UpdateInput {
  /** The task in whose history it belongs as well. */
  taskId?: string | undefined;
}

/**
 * A session's timeline: what its tasks did, which files and models they used, which tools were called. One log a
 * session, whose entries are marked with their task: the history of one task is read without touching the others.
 */
export class Timeline {
  readonly #context: ServiceContext;
  readonly #activity: Activity;

  constructor(context: ServiceContext, activity: Activity) {
    this.#context = context;
    this.#activity = activity;
  }

  /**
   * Adds an update to a session's timeline; durable when it resolves.
   * @throws InvalidInputError, NotFoundError when the session, or the task in it, is not there
   */
  async record(sessionId: string, input: RecordUpdate): Promise<TimelineUpdate> {
    const session = parseId(sessionId, 'tasks.record: sessionId');
    const given = parseInput(recordSchema, input, 'tasks.record');
    const { taskId } = given;
    const update = newUpdate(given, this.#context.clock);
    const id = newId();
    const append: Operation = {
      op: 'append',
      log: TIMELINE_LOG,
      entries: [updateEntry(update, 'update', id, taskId)],
    };
    const operations = [sessionExists, append];
    if (taskId !== undefined) operations.push(taskExists(taskId), counted(taskId, { updates: 1 }));
    const partition = partitionOf(this.#context, session);
    const receipt = await this.#activity
      .using(session, (used) =>
        this.#context.store.commit({ partition, operations: [...operations, ...used] }),
      )
      .catch((error: unknown) => {
        throw taskId === undefined ? error : missingTask(error, taskId);
      });
    return { id, seq: receipt.results[1]!.seqs![0]!, ...(taskId !== undefined && { taskId }), ...update };
  }
}

/** Copies of what was given: the caller may change its objects while we wait. */
export function newUpdate(
  { updateType, data = null, metadata = {}, timestamp }: UpdateInput,
  clock: Clock,
): ContextUpdate {
  return {
    timestamp: timestamp ?? clock.now(),
    updateType,
    data: decodeJson<Json>(encodeJson(data, 'data')),
    metadata: copyOf(metadata),
  };
}

/** A batch with this goes ahead only where the task is in that partition. */
export function taskExists(taskId: string): Operation {
  return { op: 'check', kind: kinds.task, id: taskId, ifVersion: 'present' };
}

/** Adds to a task's counters. */
export function counted(taskId: string, deltas: Record<string, number>): Operation {
  return { op: 'add', kind: kinds.taskCounters, id: taskId, deltas };
}

export function noTask(taskId: string): NotFoundError {
  return new NotFoundError('task', taskId, { hint: 'Open it first: engine.tasks.open({ id, … }).' });
}

/** The store's conflict on the check that a task exists, as what it means; other errors as they are. */
export function missingTask(error: unknown, taskId: string): unknown {
  return isConflict(error) && error.details?.kind === kinds.task ? noTask(taskId) : error;
}
