import { z } from 'zod';
import { idSchema, objectSchema, parseInput, timeSchema } from '../input.ts';
import { decodeJson, encodeJson, type Json, type JsonObject } from '../json.ts';
import { sizeOf, type Tracked } from './history.ts';
import type { LoadedTask, TaskEnd, TaskState } from './storage.ts';
import type { TrackedFile, TrackedModel } from './tracker.ts';
import type { ContextUpdate } from './update.ts';
import { type TaskUsage, UsageSums, usageDeltas } from './usage.ts';

/** A task as JSON. */
export interface TaskJson extends TaskState {
  /** Epoch milliseconds; only of a task that has ended. */
  closedAt?: number;
  /** Whether its body threw; only of a task that has ended. */
  failed?: boolean;
  durationMs: number;
  history: ContextUpdate[];
  fileTracker: Record<string, TrackedFile>;
  models: TrackedModel[];
  usage: TaskUsage;
}

interface TaskLike extends Omit<TaskState, 'sessionId'> {
  readonly sessionId: string | undefined;
  readonly history: readonly ContextUpdate[];
  readonly fileTracker: Record<string, TrackedFile>;
  readonly models: TrackedModel[];
  readonly usage: TaskUsage;
  readonly durationMs: number;
}

export function taskJsonOf(task: TaskLike, end: TaskEnd | undefined): TaskJson {
  const { id, userId, chatId, sessionId, createdAt, metadata, metadataToggles } = task;
  const { durationMs, history, fileTracker, models, usage } = task;
  return {
    id,
    userId,
    chatId,
    ...(sessionId !== undefined && { sessionId }),
    metadata: { ...metadata },
    metadataToggles: { ...metadataToggles },
    createdAt,
    ...(end && { closedAt: end.closedAt, failed: end.failed }),
    durationMs,
    history: [...history],
    fileTracker,
    models,
    usage,
  };
}

const text = z.string().max(1024);
const count = z.number().min(0);
const sum = { calls: count, inputTokens: count, cachedTokens: count, outputTokens: count, cost: count };
/** An object of such values: as pairs, so that no name is taken for more than data. */
const entriesOf = <T>(value: z.ZodType<T>) =>
  objectSchema
    .transform((object) => Object.entries(object))
    .pipe(z.array(z.tuple([text, value])) as z.ZodType<[string, T][], [string, unknown][]>);
const jsonSchema = z.strictObject({
  id: idSchema,
  userId: idSchema,
  chatId: idSchema,
  sessionId: idSchema.optional(),
  metadata: objectSchema,
  metadataToggles: entriesOf(z.boolean()),
  createdAt: timeSchema,
  closedAt: timeSchema.optional(),
  failed: z.boolean().optional(),
  durationMs: count,
  history: z.array(
    z.strictObject({
      timestamp: timeSchema,
      updateType: idSchema,
      data: z.unknown(),
      metadata: objectSchema,
    }),
  ),
  fileTracker: entriesOf(
    z.strictObject({
      operation: text,
      source: text,
      timestamp: timeSchema,
      state: z.enum(['active', 'deleted']),
    }),
  ),
  models: z.array(z.strictObject({ modelId: text, providerId: text, mode: text, timestamp: timeSchema })),
  usage: z.strictObject({
    ...sum,
    models: z.array(z.strictObject({ modelId: text, providerId: text, ...sum })),
  }),
});

/** @throws InvalidInputError with every problem */
export function readTaskJson(value: unknown): LoadedTask {
  const given = parseInput(jsonSchema, value, 'TaskContext.fromJSON');
  const { id, userId, chatId, sessionId, createdAt, metadata, metadataToggles } = given;
  const usage = new UsageSums();
  for (const { modelId, providerId, ...used } of given.usage.models) {
    usage.add(usageDeltas(modelId, providerId, used));
  }
  const history = given.history.map(({ timestamp, updateType, data, metadata }, i): Tracked => {
    const copy = copied(data, `history[${i}].data`) as Json;
    const own = copied(metadata, `history[${i}].metadata`) as JsonObject;
    const update: ContextUpdate = { timestamp, updateType, data: copy, metadata: own };
    return { n: i + 1, update, size: sizeOf(copy) };
  });
  const state: TaskState = {
    id,
    userId,
    chatId,
    ...(sessionId !== undefined && { sessionId }),
    metadata: copied(metadata, 'metadata') as JsonObject,
    metadataToggles: Object.fromEntries(metadataToggles),
    createdAt,
  };
  const files = Object.fromEntries(given.fileTracker);
  const { models, durationMs, closedAt, failed = false } = given;
  const end = closedAt === undefined ? undefined : { closedAt, failed, durationMs };
  const n = history.length;
  return { state, history, told: n, files, models, usage: usage.toJSON(), n, durationMs, end };
}

function copied(value: unknown, path: string): unknown {
  return decodeJson(encodeJson(value, path));
}
