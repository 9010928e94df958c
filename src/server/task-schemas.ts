/** The wire schemas of tasks: see schemas.ts. */
import { z } from '@hono/zod-openapi';
import { idSchema } from '../core/input.ts';
import type { TimelineOptions } from '../core/tasks/read-timeline.ts';
import type { TaskJson } from '../core/tasks/task-json.ts';
import type { ListTasks, OpenTask, Task } from '../core/tasks/tasks.ts';
import type { RecordUpdate } from '../core/tasks/timeline.ts';
import type { TrackedFile, TrackedModel } from '../core/tasks/tracker.ts';
import type { ContextUpdate, TimelineUpdate, UpdateInput } from '../core/tasks/update.ts';
import type { CallUsage, ModelUsage, TaskUsage, UsageSum } from '../core/tasks/usage.ts';
import { count, type Fields, id, limit, MessageAnswer, object, time } from './schemas.ts';

const toggles = z.record(z.string(), z.boolean());
const duration = z.number().min(0).openapi({ description: 'Milliseconds' });
const after = z.string().optional().openapi({ description: 'The `next` of the page before' });

const sum = {
  calls: count,
  inputTokens: count,
  cachedTokens: count,
  outputTokens: count,
  cost: z.number().min(0),
} satisfies Fields<UsageSum>;
const modelUsage = z.object({ modelId: id, providerId: id, ...sum } satisfies Fields<ModelUsage>);
export const TaskUsageAnswer = z
  .object({ ...sum, models: z.array(modelUsage) } satisfies Fields<TaskUsage>)
  .openapi('TaskUsage');

const state = {
  id,
  userId: id,
  chatId: id,
  sessionId: id.optional(),
  metadata: object,
  metadataToggles: toggles,
  createdAt: time,
  closedAt: time.optional(),
};
const task = {
  ...state,
  status: z.enum(['open', 'completed', 'failed']),
  durationMs: duration.optional(),
  updates: count,
  usage: TaskUsageAnswer,
} satisfies Fields<Task>;
export const TaskList = z.object({
  tasks: z.array(z.object(task).openapi('Task')),
  next: z.string().optional(),
});

const update = {
  timestamp: time,
  updateType: id,
  data: z.unknown(),
  metadata: object,
} satisfies Fields<ContextUpdate>;
const file = z.object({
  operation: z.string(),
  source: z.string(),
  timestamp: time,
  state: z.enum(['active', 'deleted']),
} satisfies Fields<TrackedFile>);
const model = z.object({
  modelId: id,
  providerId: id,
  mode: id,
  timestamp: time,
} satisfies Fields<TrackedModel>);
export const TaskAnswer = z
  .object({
    ...state,
    failed: z.boolean().optional(),
    durationMs: duration,
    history: z.array(z.object(update)),
    fileTracker: z.record(z.string(), file),
    models: z.array(model),
    usage: TaskUsageAnswer,
  } satisfies Fields<TaskJson>)
  .openapi('TaskContext');

export const NewTask = z
  .object({
    id: id.optional(),
    userId: id.optional(),
    chatId: id.optional(),
    sessionId: id.optional(),
    metadata: object.optional(),
    metadataToggles: toggles.optional(),
    aiPreference: z.unknown().optional(),
  } satisfies Fields<Omit<OpenTask, 'autoOptimize' | 'maxSize' | 'releaseTimeoutMs' | 'releaseOnSignals'>>)
  .openapi('NewTask');

export const EndOfTask = z
  .strictObject({
    failed: z.boolean().optional(),
    error: z
      .strictObject({
        name: z.string().optional(),
        message: z.string().optional(),
        code: z.string().optional(),
      })
      .optional()
      .openapi({ description: 'What made it fail: told by an update of type `error`' }),
  })
  .openapi('EndOfTask');

const newUpdate = {
  updateType: id,
  data: z.unknown().optional(),
  metadata: object.optional(),
};
export const NewUpdate = z
  .object({ ...newUpdate, timestamp: time.optional() } satisfies Fields<UpdateInput>)
  .openapi('NewUpdate');
export const NewModelCall = z
  .object({
    modelId: id,
    providerId: id,
    mode: id,
    usage: z
      .object({
        inputTokens: count.optional(),
        cachedTokens: count.optional(),
        outputTokens: count.optional(),
        cost: z.number().min(0).optional(),
      } satisfies Fields<CallUsage>)
      .optional(),
  })
  .openapi('NewModelCall');
export const Optimize = z
  .strictObject({
    maxSize: count.optional().openapi({ description: 'Characters of data; `taskMaxSize` where absent' }),
  })
  .openapi('OptimizeTask');
export const Optimized = z.object({
  optimized: z.boolean().openapi({ description: 'Whether anything was removed' }),
  updates: count,
  size: count.openapi({ description: 'Characters of data in the history' }),
});
export const NewRecord = z
  .object({ ...newUpdate, timestamp: time.optional(), taskId: id.optional() } satisfies Fields<RecordUpdate>)
  .openapi('NewTimelineUpdate');

export const TimelineUpdateAnswer = z.object({
  ...update,
  id,
  seq: count,
  taskId: id.optional(),
} satisfies Fields<TimelineUpdate>);
export const TimelineAnswer = z.object({
  items: z.array(
    z.union([
      z.object({ kind: z.literal('update'), timestamp: time, update: TimelineUpdateAnswer }),
      z.object({ kind: z.literal('message'), timestamp: time, message: MessageAnswer }),
    ]),
  ),
  next: z.string().optional(),
});

const queryId = idSchema.optional().openapi({ type: 'string' });
export const ListQuery = z.strictObject({
  sessionId: queryId,
  userId: queryId,
  chatId: queryId,
  after,
  limit,
} satisfies Fields<ListTasks>);
export const UsageQuery = z.strictObject({
  sessionId: queryId,
  userId: queryId,
  taskId: queryId,
  modelId: queryId,
  providerId: queryId,
});
export const TimelineQuery = z.strictObject({
  after,
  limit,
  types: z
    .string()
    .transform((text) => text.split(','))
    .optional()
    .openapi({ type: 'string', description: 'Types of updates, separated by commas' }),
  reverse: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .openapi({ type: 'boolean', description: 'The newest first' }),
} satisfies Fields<TimelineOptions>);
