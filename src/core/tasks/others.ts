import { type TrackedFile, type TrackedModel, Tracker } from './tracker.ts';
import type { ContextUpdate } from './update.ts';

/**
 * What others have added to a task while it is open here: by its id, or in another process. It is not in this context's
 * history, and must not go with what this one takes out of it.
 */
export class Others {
  /** Where they stand in the log, ascending. */
  readonly #seqs: number[] = [];
  readonly #tracker = new Tracker();
  /** How many updates of the task are known here, and how many there are: of all up to the last that was written here. */
  #known: number;
  #there: number;
  /** Written here since the others were last looked for, and up to where that was. */
  #own: number[] = [];
  #upTo: number;

  constructor(known: number, upTo: number) {
    this.#known = known;
    this.#there = known;
    this.#upTo = upTo;
  }

  /** Whether there are some that were not looked at, and from where on. */
  get unseenAfter(): number | undefined {
    return this.#there > this.#known ? this.#upTo : undefined;
  }

  /** @param there how many the task has had, these included */
  wrote(seqs: readonly number[], there: number | undefined): void {
    for (const seq of seqs) this.#own.push(seq);
    this.#known += seqs.length;
    this.#there = Math.max(this.#there, there ?? 0);
  }

  /** Takes in all of the task that was not seen before: what is not from here is from others. */
  saw(all: readonly { seq: number; update: ContextUpdate }[]): void {
    const own = new Set(this.#own);
    for (const { seq, update } of all) {
      if (own.has(seq)) continue;
      this.#seqs.push(seq);
      this.#tracker.see(update);
    }
  }

  /** Everything up to there has been seen. */
  seen(upTo: number): void {
    this.#own = [];
    this.#known = Math.max(this.#known, this.#there);
    this.#upTo = upTo;
  }

  /** Theirs and these, ascending. */
  withSeqs(seqs: readonly number[]): readonly number[] {
    return this.#seqs.length === 0 ? seqs : [...this.#seqs, ...seqs].sort((a, b) => a - b);
  }

  /** What was used last, here or by others. */
  withUsed(
    files: Record<string, TrackedFile>,
    models: TrackedModel[],
  ): { files: Record<string, TrackedFile>; models: TrackedModel[] } {
    return this.#seqs.length === 0 ? { files, models } : Tracker.merged([{ files, models }, this.#tracker]);
  }
}
