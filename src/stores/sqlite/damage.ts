import { StoreCorruptError } from '../../core/errors.ts';
import { translate } from './database.ts';

/** What was found out about the file's damage. Once some was met nothing is written any more: it would make it worse. */
export class Damage {
  readonly #path: string;
  #found: StoreCorruptError | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The damage that was met first, or undefined. */
  get found(): StoreCorruptError | undefined {
    return this.#found;
  }

  /** SQLite's error in the family's words; that of a damaged file is remembered. */
  tell(error: unknown): Error {
    const told = translate(error, this.#path);
    if (told instanceof StoreCorruptError) this.#found ??= told;
    return told;
  }

  /** To be called before each write. @throws StoreCorruptError once damage was met */
  check(): void {
    if (!this.#found) return;
    throw new StoreCorruptError(`nothing is written any more: ${this.#found.message}`, {
      cause: this.#found,
      hint: 'Restore a backup, or save what is left with `sqlite3 FILE .recover`.',
    });
  }
}
