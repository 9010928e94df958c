import { z } from 'zod';
import { ClosedError, InvalidInputError, isConflict, NotFoundError } from '../errors.ts';
import { newId } from '../ids.ts';
import { idSchema, limitSchema, parseId, parseInput } from '../input.ts';
import type { JsonObject } from '../json.ts';
import { indexes, kinds, TIMELINE_LOG, taskPartition } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { SessionService } from '../sessions/sessions.ts';
import type { IndexHit } from '../store.ts';
import { type ContextOptions, contextOptionsShape, TaskContext } from './context.ts';
import { deleteTask } from './delete-task.ts';
import { begun, continued, NO_CHAT, newState, type TaskData, taskDataShape } from './given.ts';
import { checkHealth, performance, type TaskHealth, type TaskPerformance } from './health.ts';
import { readTimeline, type TimelineItem, type TimelineOptions } from './read-timeline.ts';
import { type RunBody, runTask } from './run.ts';
import {
  commitTask,
  createTask,
  type LogServices,
  loadTask,
  putTask,
  readTasks,
  type StoredTask,
  TaskLog,
  type TaskPlace,
} from './task-log.ts';
import { counted, newUpdate, noTask, type RecordUpdate, type Timeline, taskExists } from './timeline.ts';
import { type TimelineUpdate, type UpdateInput, updateEntry, updateShape } from './update.ts';
import { type TaskUsage, UsageSums } from './usage.ts';

export interface OpenTask extends TaskData, ContextOptions {
  /** The session that the task belongs to, which must exist. Absent: the one whose id is `chatId`, if there is one. */
  sessionId?: string | undefined;
}

/** A task, without its history. */
export interface Task {
  id: string;
  userId: string;
  chatId: string;
  /** Absent for a task that belongs to no session. */
  sessionId?: string;
  metadata: JsonObject;
  metadataToggles: Record<string, boolean>;
  status: 'open' | 'completed' | 'failed';
  /** Epoch milliseconds. */
  createdAt: number;
  closedAt?: number;
  /** How long it was open; only of one that has ended. */
  durationMs?: number;
  /** How many updates it has had; its history may have fewer. */
  updates: number;
  usage: TaskUsage;
}

/** One of these; all tasks of the tenant where none is given. */
export interface ListTasks {
  sessionId?: string | undefined;
  userId?: string | undefined;
  chatId?: string | undefined;
  /** The `next` of the page before. */
  after?: string | undefined;
  /** 1 to 1000; 50 where absent. */
  limit?: number | undefined;
}

export type UsageOf =
  | { sessionId: string }
  | { userId: string }
  | { taskId: string }
  /** Of all providers that have a model of that name, where none is given. */
  | { modelId: string; providerId?: string | undefined };

/** What the tasks are doing that this process has open. */
export interface TasksReport {
  ok: boolean;
  open: number;
  /** Changes that are not durable yet, and tasks whose changes could not be written. */
  unsaved: number;
  failing: string[];
  suggestions: string[];
}

const openSchema = z.strictObject({
  ...taskDataShape,
  ...contextOptionsShape,
  sessionId: idSchema.optional(),
});
const owner = {
  sessionId: idSchema.optional(),
  userId: idSchema.optional(),
  chatId: idSchema.optional(),
};
const listSchema = z
  .strictObject({ ...owner, after: z.string().optional(), limit: limitSchema.optional() })
  .refine((given) => owners(given).length <= 1, 'takes one of sessionId, userId and chatId');
const usageSchema = z
  .strictObject({
    sessionId: idSchema.optional(),
    userId: idSchema.optional(),
    taskId: idSchema.optional(),
    modelId: idSchema.optional(),
    providerId: idSchema.optional(),
  })
  .refine(
    ({ providerId: _, ...of }) => Object.values(of).filter((id) => id !== undefined).length === 1,
    'takes one of sessionId, userId, taskId and modelId',
  )
  .refine(({ modelId, providerId }) => providerId === undefined || modelId !== undefined, {
    path: ['providerId'],
    message: 'needs a modelId',
  });
const timelineSchema = z.strictObject({
  after: z.string().optional(),
  limit: limitSchema.optional(),
  types: z.array(idSchema).min(1).max(100).optional(),
  reverse: z.boolean().optional(),
});
const updateSchema = z.strictObject(updateShape);
const placeSchema = z.tuple([z.int().min(0), z.int().min(0)]);

const PAGE = 500;
/** Contexts that nobody holds any more are looked for when there are so many, and twice as many as were left the last time. */
const MANY_OPEN = 1000;

/** Tasks of agents: what they do, hold open and use, kept with their session or for themselves. */
export class TaskService {
  readonly #services: LogServices;
  readonly #sessions: SessionService;
  readonly #timeline: Timeline;
  readonly #open = new Set<WeakRef<TaskContext>>();
  #lookAt = MANY_OPEN;

  constructor(
    context: ServiceContext,
    { sessions, timeline }: { sessions: SessionService; timeline: Timeline },
  ) {
    this.#services = { context, activity: sessions.activity };
    this.#sessions = sessions;
    this.#timeline = timeline;
  }

  /**
   * Opens a task, or goes on with the one of that id. Each of its updates is durable when it is acknowledged. Let it go
   * with `await using`, or `close`.
   * @throws NotFoundError when `sessionId` is not there, ConflictError when the id is that of another user's task
   */
  async open(input: OpenTask = {}): Promise<TaskContext> {
    const given = parseInput(openSchema, input, 'tasks.open') as OpenTask;
    const { taskMaxSize } = this.#services.context.defaults;
    const {
      autoOptimize,
      maxSize = taskMaxSize,
      releaseTimeoutMs,
      releaseOnSignals,
      sessionId,
      ...data
    } = given;
    const options = { autoOptimize, maxSize, releaseTimeoutMs, releaseOnSignals };
    const known = data.id === undefined ? undefined : await this.#place(data.id);
    if (known) return this.#reopen(known, data, sessionId, options);
    const session = await this.#sessionOf(sessionId, data.chatId);
    const { context } = this.#services;
    const taskId = data.id ?? newId();
    const place: TaskPlace = { ...this.#home(taskId, session?.id), taskId };
    const owned = { userId: session?.userId, ...dropUndefined(data) };
    const ids = { id: taskId, createdAt: context.clock.now(), sessionId: session?.id };
    const state = newState(owned, ids);
    const isNew = await createTask(this.#services, place, state);
    if (!isNew) return this.#reopen(place, data, sessionId, options);
    return this.#context(place, { ...begun(state), gaps: [], updates: 0 }, options);
  }

  /** Runs a body with a task, and closes it whatever happens; what the body throws is thrown. */
  async run<T>(input: OpenTask, body: RunBody<T>): Promise<T> {
    return runTask(await this.open(input), body);
  }

  /**
   * A task with its history, to look at. One that has not ended takes updates, but closing this does not end it.
   * @throws NotFoundError
   */
  async get(taskId: string): Promise<TaskContext> {
    const place = await this.#place(parseId(taskId, 'tasks.get: id'));
    const found = place && (await loadTask(this.#services.context, place));
    if (!found) throw noTask(taskId);
    return this.#context(place, found, { maxSize: this.#services.context.defaults.taskMaxSize }, false);
  }

  /**
   * Adds to the history of a task that has not ended, without reading it: what it costs does not grow with the history.
   * Contexts that are open have it when they are opened again.
   * @throws NotFoundError, ClosedError
   */
  async addUpdate(taskId: string, update: UpdateInput): Promise<TimelineUpdate> {
    const given = parseInput(updateSchema, update, 'tasks.addUpdate') as UpdateInput;
    const place = await this.#place(parseId(taskId, 'tasks.addUpdate: id'));
    if (!place) throw noTask(taskId);
    const added = newUpdate(given, this.#services.context.clock);
    const id = newId();
    const entries = [updateEntry(added, 'update', id, taskId)];
    try {
      const receipt = await commitTask(this.#services, place, [
        { op: 'append', log: TIMELINE_LOG, entries },
        { op: 'check', kind: kinds.taskEnd, id: taskId, ifVersion: 'absent' },
        taskExists(taskId),
        counted(taskId, { updates: 1 }),
      ]);
      return { id, seq: receipt.results[0]!.seqs![0]!, taskId, ...added };
    } catch (error) {
      throw isConflict(error) && error.details?.kind === kinds.taskEnd ? new ClosedError('task') : error;
    }
  }

  /**
   * Deletes a task with all that it knew. The timeline of its session keeps the times of its updates, and nothing of
   * what they said; the session's sums keep what its models have used. Where it is still open, its next update is
   * refused. @returns false when there was none
   */
  async delete(taskId: string): Promise<boolean> {
    const place = await this.#place(parseId(taskId, 'tasks.delete: id'));
    return place !== undefined && deleteTask(this.#services, place);
  }

  /** Tasks without their histories, newest first. */
  async list(options: ListTasks = {}): Promise<{ tasks: Task[]; next?: string }> {
    const { after, limit = 50, ...whose } = parseInput(listSchema, options, 'tasks.list');
    const tasks: Task[] = [];
    for await (const page of this.#pages(whose, limit, after)) {
      tasks.push(...page.tasks.map(({ id, task }) => toTask(id, task)));
      return { tasks, ...(page.next !== undefined && { next: page.next }) };
    }
    return { tasks };
  }

  /** What models have used: exact sums. Of a user or a model, all tasks are gone over. @throws NotFoundError */
  async usage(of: UsageOf): Promise<TaskUsage> {
    const given = parseInput(usageSchema, of, 'tasks.usage');
    const { context, activity } = this.#services;
    const sums = new UsageSums();
    if (given.sessionId !== undefined) {
      await activity.checkForRead(given.sessionId);
      const partition = partitionOf(context, given.sessionId);
      const totals = await context.records.get<Record<string, number>>(partition, kinds.taskTotals);
      sums.add(totals?.value ?? {});
    } else if (given.taskId !== undefined) {
      const place = await this.#place(given.taskId);
      const [task] = place ? await readTasks(context, [place]) : [];
      if (!task) throw noTask(given.taskId);
      sums.add(task.counters);
    } else {
      for await (const { tasks } of this.#pages({ userId: given.userId }, PAGE))
        for (const { task } of tasks) sums.add(task.counters);
    }
    const { modelId, providerId } = given;
    return modelId === undefined ? sums.total() : sums.ofModel(modelId, providerId).total();
  }

  /** Adds to a session's timeline, and where a task is named to its history. @throws NotFoundError */
  record(sessionId: string, update: RecordUpdate): Promise<TimelineUpdate> {
    return this.#timeline.record(sessionId, update);
  }

  /**
   * What happened in a session, oldest first: updates of its tasks, calls of tools, and the messages of its conversation,
   * merged by time. @throws NotFoundError
   */
  async timeline(
    sessionId: string,
    options: TimelineOptions = {},
  ): Promise<{ items: TimelineItem[]; next?: string }> {
    const id = parseId(sessionId, 'tasks.timeline: sessionId');
    const given = parseInput(timelineSchema, options, 'tasks.timeline');
    const { limit = 50, types, reverse = false, after } = given;
    const { context, activity } = this.#services;
    await activity.checkForRead(id);
    const from = after === undefined ? undefined : readPlace(after);
    const wanted = types && new Set(types);
    const range = { limit, types: wanted, reverse, from };
    const { items, next } = await readTimeline(context.store, partitionOf(context, id), range);
    return { items, ...(next && { next: JSON.stringify([next.messages, next.updates]) }) };
  }

  /** Whether a context can be relied on: whether it is saved, and what it holds. */
  checkHealth(task: TaskContext): TaskHealth {
    return checkHealth(task);
  }

  /** How a task is doing, with suggestions. */
  performance(task: TaskContext): TaskPerformance {
    return performance(task);
  }

  /** The tasks that this process has open here, and what is wrong with them. */
  diagnose(): TasksReport {
    const open = this.#contexts().filter((task) => !task.closed);
    const failing = open.filter((task) => task.unsaved.failure !== undefined).map(({ id }) => id);
    const unsaved = open.reduce((sum, task) => sum + task.unsaved.changes, 0);
    const suggestions: string[] = [];
    if (failing.length > 0)
      suggestions.push('Some tasks could not be saved: look at the store, then call save().');
    if (open.length > MANY_OPEN)
      suggestions.push(`${open.length} tasks are open: close those that are done.`);
    return { ok: suggestions.length === 0, open: open.length, unsaved, failing, suggestions };
  }

  /** Brings on its way what open tasks have not saved yet; what fails is told where it is awaited. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#contexts().map((task) => task.unsaved.changes > 0 && task.save()));
  }

  async #reopen(
    place: TaskPlace,
    data: TaskData,
    sessionId: string | undefined,
    options: ContextOptions,
  ): Promise<TaskContext> {
    const found = await loadTask(this.#services.context, place);
    if (!found) throw noTask(place.taskId);
    if (sessionId !== undefined && sessionId !== found.state.sessionId) {
      const message = 'is not the one that the task belongs to';
      throw new InvalidInputError('tasks.open', [{ path: 'sessionId', message }]);
    }
    const state = continued(found.state, data);
    const taskId = place.taskId;
    if (found.end)
      await commitTask(this.#services, place, [
        putTask(state, 'present'),
        { op: 'delete', kind: kinds.taskEnd, id: taskId },
      ]);
    return this.#context(place, { ...found, state, end: undefined }, options, true, found.state);
  }

  #context(
    place: TaskPlace,
    found: NonNullable<Awaited<ReturnType<typeof loadTask>>>,
    options: ContextOptions,
    ends = true,
    stored = found.state,
  ): TaskContext {
    const { clock } = this.#services.context;
    const storage = new TaskLog(this.#services, place, { ...found, state: stored });
    const task = new TaskContext(found, { clock, storage, options, ends });
    if (this.#open.size >= this.#lookAt) this.#lookAt = Math.max(MANY_OPEN, 2 * this.#contexts().length);
    this.#open.add(new WeakRef(task));
    return task;
  }

  /** Those that are still in use; the others are forgotten. */
  #contexts(): TaskContext[] {
    const found: TaskContext[] = [];
    for (const reference of this.#open) {
      const task = reference.deref();
      if (!task || (task.closed && task.unsaved.changes === 0)) this.#open.delete(reference);
      else found.push(task);
    }
    return found;
  }

  /** @throws NotFoundError when the session that is named is not there */
  async #sessionOf(sessionId: string | undefined, chatId: string | undefined) {
    if (sessionId !== undefined) return this.#sessions.get(sessionId);
    if (chatId === undefined || chatId === NO_CHAT) return undefined;
    try {
      return await this.#sessions.get(chatId);
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }

  #home(taskId: string, sessionId: string | undefined): Pick<TaskPlace, 'partition' | 'sessionId'> {
    const { context } = this.#services;
    if (sessionId === undefined) return { partition: taskPartition(context.tenant, taskId), sessionId };
    return { partition: partitionOf(context, sessionId), sessionId };
  }

  async #place(taskId: string): Promise<TaskPlace | undefined> {
    const { store, tenant } = this.#services.context;
    const range = { tenant, index: indexes.tasksById, key: taskId, limit: 1 };
    const [hit] = (await store.queryIndex(range)).items;
    return hit && placeOf(hit);
  }

  async *#pages(whose: Pick<ListTasks, 'sessionId' | 'userId' | 'chatId'>, limit: number, start?: string) {
    const { context } = this.#services;
    const { tenant, store } = context;
    let after = start;
    do {
      const range = {
        tenant,
        ...rangeOf(whose),
        limit,
        reverse: true,
        ...(after !== undefined && { after }),
      };
      const { items, next } = await store.queryIndex(range);
      const places = items.map(placeOf);
      const found = await readTasks(context, places);
      const tasks = found.flatMap((task, i) => (task ? [{ id: places[i]!.taskId, task }] : []));
      yield { tasks, next };
      after = next;
    } while (after !== undefined);
  }
}

function owners({ sessionId, userId, chatId }: Pick<ListTasks, 'sessionId' | 'userId' | 'chatId'>) {
  return [sessionId, userId, chatId].filter((id) => id !== undefined);
}

function rangeOf({ sessionId, userId, chatId }: Pick<ListTasks, 'sessionId' | 'userId' | 'chatId'>) {
  if (sessionId !== undefined) return { index: indexes.tasksBySession, key: sessionId };
  if (userId !== undefined) return { index: indexes.tasksByUser, key: userId };
  if (chatId !== undefined) return { index: indexes.tasksByChat, key: chatId };
  return { index: indexes.tasks, key: '' };
}

function placeOf({ partition, id }: IndexHit): TaskPlace {
  return { partition, taskId: id, sessionId: partition.type === 'session' ? partition.id : undefined };
}

function toTask(id: string, { state, end, updates, counters }: StoredTask): Task {
  const usage = new UsageSums();
  usage.add(counters);
  const status = end ? (end.failed ? 'failed' : 'completed') : 'open';
  return {
    ...state,
    id,
    status,
    ...(end && { closedAt: end.closedAt, durationMs: end.durationMs }),
    updates,
    usage: usage.total(),
  };
}

function readPlace(text: string) {
  try {
    const [messages, updates] = placeSchema.parse(JSON.parse(text));
    return { messages, updates };
  } catch {
    throw new InvalidInputError('tasks.timeline', [
      { path: 'after', message: 'is no `next` of a page before' },
    ]);
  }
}

/** Fields that are not given must not stand in the way of those that are. */
function dropUndefined(data: TaskData): TaskData {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
}
