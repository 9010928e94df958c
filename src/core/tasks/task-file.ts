import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type HoldfastError, isHoldfastError, StoreCorruptError, StoreUnavailableError } from '../errors.ts';
import { fileText, type ReadFile, readFileText, stepLines } from './file-format.ts';
import type { Snapshot, StepGroup, TaskStorage } from './storage.ts';

/** What stood in the file before it was last written anew. */
export const PREVIOUS = '.previous';
export const TEMPORARY = '.tmp';

/**
 * One task's file. Steps are appended to it, and synced; a save writes it anew beside itself, syncs it, and puts it in
 * its place: at any moment there is a whole one.
 */
export class TaskFile implements TaskStorage {
  readonly #path: string;
  readonly #writer = randomBytes(6).toString('hex');
  /** Whether there is a file that can be appended to, and whether it ends in a torn line. */
  #whole: boolean;
  #torn: boolean;
  /** How often the file was written anew. */
  #versions = 0;

  /** No more is written by this context. */
  readonly close: () => void;

  /** @param found what was read from the file, where it was there */
  constructor(
    path: string,
    found: { recovered: boolean; torn: boolean } | undefined,
    onClose: () => void = () => undefined,
  ) {
    this.#path = path;
    this.close = onClose;
    this.#whole = found !== undefined && !found.recovered;
    this.#torn = found?.torn ?? false;
  }

  async append({ steps }: StepGroup, snapshot: () => Snapshot): Promise<void> {
    const version = this.#versions;
    try {
      const file = this.#whole ? await openToAppend(this.#path) : undefined;
      // The steps are in it.
      if (!file) return await this.#write(fileText(snapshot(), this.#writer));
      try {
        // So they are in what was saved at once meanwhile, which may be somebody else's file by now.
        if (version !== this.#versions) return;
        // What is appended must not become part of a torn line.
        await file.writeFile((this.#torn ? '\n' : '') + stepLines(steps, this.#writer));
        this.#torn = true;
        await file.datasync();
        this.#torn = false;
      } finally {
        await file.close();
      }
    } catch (error) {
      this.#torn = true;
      throw unavailable(error);
    }
  }

  async save(snapshot: Snapshot): Promise<void> {
    try {
      await this.#write(fileText(snapshot, this.#writer));
    } catch (error) {
      throw unavailable(error);
    }
  }

  saveSync(snapshot: Snapshot): void {
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      const temporary = this.#temporary();
      const file = openSync(temporary, 'wx');
      try {
        writeFileSync(file, fileText(snapshot, this.#writer));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      this.#replace(temporary);
    } catch (error) {
      throw unavailable(error);
    }
  }

  async #write(text: string): Promise<void> {
    const version = this.#versions;
    await mkdir(dirname(this.#path), { recursive: true });
    const temporary = this.#temporary();
    try {
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      // What was saved at once meanwhile is newer.
      if (version === this.#versions) this.#replace(temporary);
      else await rm(temporary, { force: true });
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Never leaves the place empty. Where the file system has no hard links there is no previous version. */
  #replace(temporary: string): void {
    const previous = this.#path + PREVIOUS;
    try {
      if (this.#whole) {
        rmSync(previous, { force: true });
        linkSync(this.#path, previous);
      }
    } catch {
      // The new one is whole.
    }
    renameSync(temporary, this.#path);
    syncFolder(dirname(this.#path));
    this.#whole = true;
    this.#torn = false;
    this.#versions++;
  }

  #temporary(): string {
    return `${this.#path}.${process.pid}-${randomBytes(6).toString('hex')}${TEMPORARY}`;
  }
}

/** Makes no file: one that was taken away, by pruning in another process, has to be written as a whole. */
async function openToAppend(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_WRONLY | constants.O_APPEND);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * What is kept of a task: its file, or where that can't be read the one before.
 * @throws StoreCorruptError when neither can be read; both are left as they are
 */
export function readTaskFile(path: string): (ReadFile & { recovered: boolean }) | undefined {
  const files = [path, path + PREVIOUS];
  let found = false;
  for (const [i, file] of files.entries()) {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw unavailable(error);
    }
    found = true;
    const read = readFileText(text);
    if (read) return { ...read, recovered: i > 0 };
  }
  if (!found) return undefined;
  throw new StoreCorruptError(
    'the file of the task is damaged, and there is no earlier one that could be read',
    {
      hint: 'Move the file away to begin the task anew; `taskContext.diagnose` names it.',
    },
  );
}

/** A file that was renamed is there after a crash once its folder is synced. Windows knows no such thing. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

export function unavailable(
  error: unknown,
  what = "the file of the task can't be read or written",
): HoldfastError {
  // What can't be written as it is.
  if (isHoldfastError(error)) return error;
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  return new StoreUnavailableError(`${what} (${code})`, {
    cause: error,
    hint: 'Look at the folder taskDir: whether it may be written to, and whether the disk is full.',
  });
}
