import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ConflictError, quote } from '../errors.ts';
import { readFileText } from './file-format.ts';
import { ENDING, fileNameOf, idOfFileName } from './file-name.ts';
import { PREVIOUS, readTaskFile, TaskFile, TEMPORARY, unavailable } from './task-file.ts';

/** What was written aside and not put in its place for so long never will be. */
const STALE_MS = 60 * 60 * 1000;

export interface FolderOptions {
  /** So many tasks are kept, those that were used last; 1000 where absent. */
  maxHistoryFiles?: number | undefined;
  /** Old files are looked for when a task is opened, after so long (milliseconds; one hour). */
  cleanupIntervalMs?: number | undefined;
}

/** What is found in a folder of tasks. */
export interface FolderReport {
  ok: boolean;
  /** Tasks that are kept there. */
  tasks: number;
  bytes: number;
  /** Files whose tasks can't be read any more, and how many have lost lines. */
  unreadable: string[];
  damaged: string[];
  /** Files that were written aside and never put in place: pruning removes them. */
  stale: string[];
  /** Files that are not ours, and are never touched. */
  foreign: number;
  suggestions: string[];
}

export interface Pruned {
  /** Files of tasks that were removed, and files that had been written aside. */
  removed: number;
  stale: number;
}

/** When each folder was last pruned by this process, and the tasks that it has open there, unless nobody holds them any more. */
const pruned = new Map<string, number>();
const open = new Map<string, WeakRef<TaskFile>>();

/** A folder of tasks, one file each. */
export class TaskFolder {
  readonly #path: string;
  readonly #maxFiles: number;
  readonly #intervalMs: number;

  constructor(path: string, { maxHistoryFiles = 1000, cleanupIntervalMs = 60 * 60 * 1000 }: FolderOptions) {
    this.#path = resolve(path);
    this.#maxFiles = maxHistoryFiles;
    this.#intervalMs = cleanupIntervalMs;
  }

  /**
   * What is kept of a task, and where it is kept from now on.
   * @throws ConflictError while it is open: each of two would write its own history over the other's; StoreCorruptError
   */
  open(id: string): { storage: TaskFile; found: ReturnType<typeof readTaskFile> } {
    const path = join(this.#path, fileNameOf(id));
    if (isOpen(path))
      throw new ConflictError(`task ${quote(id)} is open in this folder`, undefined, {
        hint: 'Close it first. Where several work at once, give each task an id of its own, or keep them in an engine.',
      });
    const found = readTaskFile(path);
    const storage = new TaskFile(path, found, () => open.delete(path));
    open.set(path, new WeakRef(storage));
    return { storage, found };
  }

  /** Prunes in the background, if it is time. */
  pruneIfDue(): void {
    const last = pruned.get(this.#path);
    if (last !== undefined && Date.now() - last < this.#intervalMs) return;
    pruned.set(this.#path, Date.now());
    // A folder that can't be read says so where a task is written.
    this.prune().catch(() => undefined);
  }

  /** Removes the tasks beyond `maxHistoryFiles` that were used longest ago, none that is open here. */
  async prune(): Promise<Pruned> {
    const { tasks, stale } = await this.#files();
    const aside = stale.filter(({ usedAt }) => usedAt < Date.now() - STALE_MS);
    const idle = tasks.filter(({ path }) => !isOpen(path)).sort((a, b) => a.usedAt - b.usedAt);
    const old = idle.slice(0, Math.max(0, tasks.length - this.#maxFiles));
    for (const { path } of aside) await unlessGone(rm(path));
    // The older version first: a task that is half removed must not come back as it was before.
    for (const { path } of old) for (const file of [path + PREVIOUS, path]) await unlessGone(rm(file));
    return { removed: old.length, stale: aside.length };
  }

  /** Reads all of it, and tells what is wrong. Changes nothing. @throws StoreUnavailableError */
  async diagnose(): Promise<FolderReport> {
    const { tasks, stale, foreign } = await this.#files();
    const unreadable: string[] = [];
    const damaged: string[] = [];
    for (const { path, name } of tasks) {
      const text = await unlessGone(readFile(path, 'utf8'));
      // Pruned meanwhile.
      if (text === undefined) continue;
      const read = readFileText(text);
      if (!read || (idOfFileName(name) ?? read.state.id) !== read.state.id) unreadable.push(name);
      else if (read.damaged > 0) damaged.push(name);
    }
    const bytes = tasks.reduce((sum, file) => sum + file.bytes, 0);
    const suggestions: string[] = [];
    if (unreadable.length > 0)
      suggestions.push(
        "Move the unreadable files away: their tasks can't be opened; an earlier version may be beside them.",
      );
    if (damaged.length > 0)
      suggestions.push(
        'Some files have lost lines, as a crash leaves them: opening and saving the task mends them.',
      );
    if (tasks.length > this.#maxFiles)
      suggestions.push(
        `There are ${tasks.length} tasks, beyond maxHistoryFiles (${this.#maxFiles}): prune, or raise it.`,
      );
    return {
      ok: unreadable.length === 0 && damaged.length === 0,
      tasks: tasks.length,
      bytes,
      unreadable,
      damaged,
      stale: stale.map(({ name }) => name),
      foreign,
      suggestions,
    };
  }

  async #files(): Promise<{ tasks: FoundFile[]; stale: FoundFile[]; foreign: number }> {
    const names = (await unlessGone(readdir(this.#path))) ?? [];
    const tasks: FoundFile[] = [];
    const stale: FoundFile[] = [];
    let foreign = 0;
    for (const name of names) {
      const kind = kindOfFile(name);
      const path = join(this.#path, name);
      const info = kind === 'foreign' ? undefined : await stat(path).catch(() => undefined);
      if (!info?.isFile()) foreign++;
      else if (kind !== 'previous') {
        (kind === 'task' ? tasks : stale).push({ name, path, bytes: info.size, usedAt: info.mtimeMs });
      }
    }
    return { tasks, stale, foreign };
  }
}

/** @throws StoreUnavailableError for what is there and can't be read */
async function unlessGone<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unavailable(error, "the folder of tasks can't be read");
  }
}

interface FoundFile {
  name: string;
  path: string;
  bytes: number;
  usedAt: number;
}

const NAME = /^[a-z0-9_=-]+\.holdfast-task(\.previous|\.\d+-[0-9a-f]{12}\.tmp)?$/;

function kindOfFile(name: string): 'task' | 'previous' | 'stale' | 'foreign' {
  if (!NAME.test(name)) return 'foreign';
  if (name.endsWith(ENDING)) return 'task';
  return name.endsWith(TEMPORARY) ? 'stale' : 'previous';
}

function isOpen(path: string): boolean {
  return open.get(path)?.deref() !== undefined;
}
