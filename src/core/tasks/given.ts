/** What a task is opened with. */
import { z } from 'zod';
import { ConflictError, quote } from '../errors.ts';
import { idSchema, objectSchema, userIdSchema } from '../input.ts';
import type { Json } from '../json.ts';
import { copyOf, mergedMetadata } from '../metadata.ts';
import type { LoadedTask, TaskState } from './storage.ts';

/** What a task is, as it is opened. */
export interface TaskData {
  /** A task of that id goes on where it was. A fresh one where absent. */
  id?: string | undefined;
  /** `anonymous` where absent. */
  userId?: string | undefined;
  /** The conversation that it belongs to; `none` where absent. */
  chatId?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  /** `false` switches a field of the metadata off. */
  metadataToggles?: Record<string, boolean> | undefined;
  /** Put into the metadata under this name. */
  aiPreference?: Json | undefined;
}

export const taskDataShape = {
  id: idSchema.optional(),
  userId: userIdSchema.optional(),
  chatId: idSchema.optional(),
  metadata: objectSchema.optional(),
  metadataToggles: z
    .custom<Record<string, boolean>>(
      (value) =>
        value === undefined ||
        (objectSchema.safeParse(value).success &&
          Object.values(value as object).every((on) => typeof on === 'boolean')),
      'expected an object of booleans',
    )
    .optional(),
  aiPreference: z.unknown().optional(),
};

export const NO_CHAT = 'none';
const ANONYMOUS = 'anonymous';

/** A task that is new. */
export function newState(
  given: TaskData,
  { id, createdAt, sessionId }: { id: string; createdAt: number; sessionId?: string | undefined },
): TaskState {
  const { userId = ANONYMOUS, chatId = sessionId ?? NO_CHAT } = given;
  return {
    id,
    userId,
    chatId,
    ...(sessionId !== undefined && { sessionId }),
    metadata: metadataOf(given),
    metadataToggles: { ...given.metadataToggles },
    createdAt,
  };
}

/** What a new task starts from. */
export function begun(state: TaskState): LoadedTask {
  return { state, history: [], told: 0, files: {}, models: [], usage: {}, n: 0, durationMs: 0 };
}

/** A task that goes on: what is given is merged into what it was. @throws ConflictError when it is another user's or chat's */
export function continued(before: TaskState, given: TaskData): TaskState {
  for (const field of ['userId', 'chatId'] as const) {
    if (given[field] === undefined || given[field] === before[field]) continue;
    throw new ConflictError(`task ${quote(before.id)} exists with another ${field}`, undefined, {
      hint: 'Open it as what it is, or give the new task an id of its own.',
    });
  }
  return {
    ...before,
    metadata: copyOf(mergedMetadata(before.metadata, metadataOf(given))),
    metadataToggles: { ...before.metadataToggles, ...given.metadataToggles },
  };
}

function metadataOf({ metadata = {}, aiPreference }: TaskData) {
  return copyOf(aiPreference === undefined ? metadata : { ...metadata, aiPreference });
}
