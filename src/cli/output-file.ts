import { existsSync, statSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { HoldfastError, InvalidInputError } from '../core/errors.ts';

/** A file that appears under its name only when it is complete: a failure leaves the one before it untouched. */
export class OutputFile {
  readonly path: string;
  readonly #partial: string;
  readonly #handle: FileHandle;

  private constructor(path: string, partial: string, handle: FileHandle) {
    this.path = path;
    this.#partial = partial;
    this.#handle = handle;
  }

  /** @throws InvalidInputError when no file can be made there */
  static async open(path: string): Promise<OutputFile> {
    const partial = `${path}.partial`;
    // A device would be replaced by a file.
    if (existsSync(path) && !statSync(path).isFile()) throw notWritable(path, 'is not a regular file');
    try {
      return new OutputFile(path, partial, await open(partial, 'w'));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const reason = code === 'ENOENT' ? 'is in a folder that does not exist' : `can't be written (${code})`;
      throw notWritable(path, reason, error);
    }
  }

  async write(text: string): Promise<void> {
    try {
      await this.#handle.writeFile(text);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Makes what was written durable, and gives it its name. */
  async finish(): Promise<void> {
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#partial, this.path);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#partial, { force: true });
  }

  #failed(error: unknown): HoldfastError {
    const { code } = error as NodeJS.ErrnoException;
    return new HoldfastError('internal', `writing ${this.path} failed (${code ?? 'unknown reason'})`, {
      cause: error,
      hint: 'Check that the disk has space left; what was there before is untouched.',
    });
  }
}

function notWritable(path: string, message: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError('output', [{ path, message }], { cause });
}
