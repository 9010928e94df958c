import { parseInput } from '../../core/input.ts';
import type { OpenTask, UsageOf } from '../../core/tasks/tasks.ts';
import { noTask } from '../../core/tasks/timeline.ts';
import { route } from '../route.ts';
import { Deleted } from '../schemas.ts';
import * as wire from '../task-schemas.ts';

export const taskRoutes = [
  route({
    method: 'post',
    path: '/v1/tasks',
    summary: 'Opens a task, or goes on with the one of that id',
    body: wire.NewTask,
    status: 201,
    answer: wire.TaskAnswer,
    handle: async ({ engine, body }) => (await engine.tasks.open(body as OpenTask)).toJSON(),
  }),
  route({
    method: 'get',
    path: '/v1/tasks',
    summary: 'Lists tasks without their histories, newest first',
    query: wire.ListQuery,
    answer: wire.TaskList,
    handle: ({ engine, query }) => engine.tasks.list(query),
  }),
  route({
    method: 'get',
    path: '/v1/tasks/{taskId}',
    summary: 'Gives a task with its history, files, models and sums',
    answer: wire.TaskAnswer,
    handle: async ({ engine, params }) => (await engine.tasks.get(params.taskId)).toJSON(),
  }),
  route({
    method: 'delete',
    path: '/v1/tasks/{taskId}',
    summary: "Deletes a task; its session's timeline keeps the times of its updates only",
    answer: Deleted,
    handle: async ({ engine, params }) => {
      if (!(await engine.tasks.delete(params.taskId))) throw noTask(params.taskId);
      return { deleted: true };
    },
  }),
  route({
    method: 'post',
    path: '/v1/tasks/{taskId}/updates',
    summary: 'Adds an update to a task that has not ended',
    body: wire.NewUpdate,
    status: 201,
    answer: wire.TimelineUpdateAnswer,
    handle: ({ engine, params, body }) => engine.tasks.addUpdate(params.taskId, body),
  }),
  route({
    method: 'post',
    path: '/v1/tasks/{taskId}/models',
    summary:
      'Notes a call of a model in a task that has not ended: what it used is added to the sums, which are given',
    body: wire.NewModelCall,
    status: 201,
    answer: wire.TaskUsageAnswer,
    handle: async ({ engine, params, body }) => {
      const task = await engine.tasks.get(params.taskId);
      await task.trackModel(body.modelId, body.providerId, body.mode, body.usage);
      return task.usage;
    },
  }),
  route({
    method: 'post',
    path: '/v1/tasks/{taskId}/optimize',
    summary: 'Keeps the newest of equal updates, and of those what fits; the timeline keeps all',
    body: wire.Optimize,
    bodyOptional: true,
    answer: wire.Optimized,
    handle: async ({ engine, params, body }) => {
      const { maxSize } = parseInput(wire.Optimize, body, 'tasks.optimize');
      const task = await engine.tasks.get(params.taskId);
      const optimized = task.optimize(maxSize);
      await task.save();
      return { optimized, updates: task.history.length, size: task.size };
    },
  }),
  route({
    method: 'post',
    path: '/v1/tasks/{taskId}/close',
    summary: 'Ends a task, as failed where it has; one that has ended stays as it is',
    body: wire.EndOfTask,
    bodyOptional: true,
    answer: wire.TaskAnswer,
    handle: async ({ engine, params, body }) => {
      const { failed, error } = parseInput(wire.EndOfTask, body, 'tasks.close');
      const found = await engine.tasks.get(params.taskId);
      if (found.closed) return found.toJSON();
      const task = await engine.tasks.open({ id: params.taskId });
      await (failed ? task.fail(error) : task.close());
      return task.toJSON();
    },
  }),
  route({
    method: 'get',
    path: '/v1/usage',
    summary: 'What models have used in a session, by a user, in a task, or what one has used in all',
    query: wire.UsageQuery,
    answer: wire.TaskUsageAnswer,
    handle: ({ engine, query }) => engine.tasks.usage(query as UsageOf),
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/timeline',
    summary: 'What happened in a session: updates of tasks, tool calls and messages, in order of time',
    query: wire.TimelineQuery,
    answer: wire.TimelineAnswer,
    handle: ({ engine, params, query }) => engine.tasks.timeline(params.sessionId, query),
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/timeline',
    summary: "Adds an update to a session's timeline, and to a task's history where one is named",
    body: wire.NewRecord,
    status: 201,
    answer: wire.TimelineUpdateAnswer,
    handle: ({ engine, params, body }) => engine.tasks.record(params.sessionId, body),
  }),
];
