/** Updates: what happened in a task, as programs see it and as a log keeps it. */
import { z } from 'zod';
import { newId } from '../ids.ts';
import { idSchema, objectSchema, timeSchema } from '../input.ts';
import { decodeJson, encodeJson, type Json, type JsonObject } from '../json.ts';
import type { AppendEntry, Entry } from '../store.ts';

/** The types that the library itself writes; any other name will do as well. */
export type KnownUpdateType =
  | 'message'
  | 'metadata'
  | 'resource'
  | 'file_operation'
  | 'model_usage'
  | 'tool_call'
  | 'error'
  /** What is left in a timeline of an update whose task was deleted: its time. */
  | 'deleted';
export type UpdateType = KnownUpdateType | (string & {});

/** One thing that happened in a task. */
export interface ContextUpdate {
  /** Epoch milliseconds. */
  readonly timestamp: number;
  readonly updateType: UpdateType;
  /** Any JSON value, 1 MiB at most. */
  readonly data: Json;
  /** About the update: where it came from, how long it took. `{}` where nothing was given. */
  readonly metadata: JsonObject;
}

/** An update in a session's timeline. */
export interface TimelineUpdate extends ContextUpdate {
  readonly id: string;
  /** Its place among the updates of the session. */
  readonly seq: number;
  /** The task that it is of, where it is of one. */
  readonly taskId?: string;
}

/** What an update is made of. */
export interface UpdateInput {
  updateType: UpdateType;
  /** Any JSON value; null where absent. */
  data?: unknown;
  metadata?: Record<string, unknown> | undefined;
  /** Epoch milliseconds; now where absent. */
  timestamp?: number | undefined;
}

export const updateShape = {
  updateType: idSchema,
  data: z.unknown().optional(),
  metadata: objectSchema.optional(),
  timestamp: timeSchema.optional(),
};

/** How an update stands in a log. Its own id and task are the entry's. */
interface StoredUpdate {
  at: number;
  type: string;
  data: Json;
  metadata?: JsonObject;
}

/** @param path the update's name in errors @throws InvalidInputError for what is no JSON, or too large */
export function updateEntry(
  update: ContextUpdate,
  path = 'update',
  id = newId(),
  taskId?: string,
): AppendEntry {
  const { timestamp: at, updateType: type, data, metadata } = update;
  const stored: StoredUpdate = { at, type, data };
  if (Object.keys(metadata).length > 0) stored.metadata = metadata;
  return { id, value: encodeJson(stored, path, LIMITS), ...(taskId !== undefined && { mark: taskId }) };
}

/** Data and metadata together: each has its own limit where it comes in. */
const LIMITS = { maxBytes: 3 * 1024 * 1024, maxDepth: 34 };

export function toUpdate({ value }: Pick<Entry, 'value'>): ContextUpdate {
  const { at, type, data, metadata = {} } = decodeJson<StoredUpdate>(value);
  return { timestamp: at, updateType: type, data, metadata };
}

export function toTimelineUpdate(entry: Entry): TimelineUpdate {
  const { seq, id = String(seq), mark } = entry;
  return { id, seq, ...(mark !== undefined && { taskId: mark }), ...toUpdate(entry) };
}
