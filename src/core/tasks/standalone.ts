import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { newId } from '../ids.ts';
import { parseInput } from '../input.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import { type ContextOptions, contextOptionsShape, TaskContext } from './context.ts';
import { begun, continued, NO_CHAT, newState, type TaskData, taskDataShape } from './given.ts';
import { checkHealth, performance } from './health.ts';
import { type RunBody, runTask } from './run.ts';
import { type FolderOptions, type FolderReport, type Pruned, TaskFolder } from './task-folder.ts';

export interface TaskContextOptions extends ContextOptions, FolderOptions {
  /**
   * The folder in which tasks are kept, one file each. Absent: in memory only. A task's file is for one process at a time;
   * where several share tasks, keep them in an engine.
   */
  taskDir?: string | undefined;
}

const folderShape = {
  taskDir: z.string().min(1),
  maxHistoryFiles: z.int().min(1).optional(),
  cleanupIntervalMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
};
const dataSchema = z.strictObject(taskDataShape);
const optionsSchema = z.strictObject({
  ...contextOptionsShape,
  ...folderShape,
  taskDir: folderShape.taskDir.optional(),
});
const folderSchema = z.strictObject(folderShape);

interface OpenTask {
  /**
   * A task context without an engine: in memory, or with `taskDir` in a file. Let it go with `await using`, or with
   * `using` where its resources can be released at once.
   * @throws InvalidInputError, ConflictError when the file is another user's or the task is open already, StoreCorruptError
   */
  (data?: TaskData, options?: TaskContextOptions): TaskContext;
  /** Runs a body with it, and closes it whatever happens; what the body throws is thrown. @returns what the body gives */
  <T>(data: TaskData, body: RunBody<T>): Promise<T>;
  <T>(data: TaskData, options: TaskContextOptions, body: RunBody<T>): Promise<T>;
  /** Whether a context can be relied on. */
  checkHealth: typeof checkHealth;
  /** How it is doing, with suggestions. */
  performance: typeof performance;
  /** Reads a folder of tasks, and tells what is wrong. Changes nothing. */
  diagnose(options: FolderOptions & { taskDir: string }): Promise<FolderReport>;
  /** Removes what is beyond `maxHistoryFiles` now. Files that are not ours are not touched. */
  prune(options: FolderOptions & { taskDir: string }): Promise<Pruned>;
}

/** Opens a task context that needs no engine. */
export const taskContext: OpenTask = Object.assign(openOrRun, {
  checkHealth,
  performance,
  diagnose: async (options: FolderOptions & { taskDir: string }) =>
    folder(parseInput(folderSchema, options, 'taskContext.diagnose')).diagnose(),
  prune: async (options: FolderOptions & { taskDir: string }) =>
    folder(parseInput(folderSchema, options, 'taskContext.prune')).prune(),
});

function openOrRun(data?: TaskData, options?: TaskContextOptions): TaskContext;
function openOrRun<T>(data: TaskData, body: RunBody<T>): Promise<T>;
function openOrRun<T>(data: TaskData, options: TaskContextOptions, body: RunBody<T>): Promise<T>;
function openOrRun<T>(
  data: TaskData = {},
  optionsOrBody: TaskContextOptions | RunBody<T> = {},
  body?: RunBody<T>,
): TaskContext | Promise<T> {
  if (typeof optionsOrBody === 'function') return run(data, {}, optionsOrBody);
  return body ? run(data, optionsOrBody, body) : open(data, optionsOrBody);
}

async function run<T>(data: TaskData, options: TaskContextOptions, body: RunBody<T>): Promise<T> {
  return runTask(open(data, options), body);
}

function open(data: TaskData, given: TaskContextOptions): TaskContext {
  const task = parseInput(dataSchema, data, 'taskContext') as TaskData;
  const { taskDir, maxHistoryFiles, cleanupIntervalMs, ...options } = parseInput(
    optionsSchema,
    given,
    'taskContext: options',
  );
  const parts = { clock: systemClock, options };
  const createdAt = systemClock.now();
  if (taskDir === undefined)
    return new TaskContext(begun(newState(task, { id: newTaskId(task), createdAt })), parts);
  const tasks = folder({ taskDir, maxHistoryFiles, cleanupIntervalMs });
  const id = newTaskId(task);
  const { storage, found } = tasks.open(id);
  tasks.pruneIfDue();
  try {
    if (!found) return new TaskContext(begun(newState(task, { id, createdAt })), { ...parts, storage });
    const loaded = { ...found, state: continued(found.state, task), end: undefined };
    return new TaskContext(loaded, { ...parts, storage });
  } catch (error) {
    storage.close();
    throw error;
  }
}

/** A conversation has one task here: opened again, it goes on. */
function newTaskId({ id, chatId = NO_CHAT }: TaskData): string {
  if (id !== undefined) return id;
  return chatId === NO_CHAT ? newId() : chatId;
}

function folder({ taskDir, ...options }: FolderOptions & { taskDir: string }): TaskFolder {
  return new TaskFolder(taskDir, options);
}
