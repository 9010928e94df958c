import { isBusy } from './database.ts';

/** So many texts are cleared in a transaction: some 10 ms, while the event loop and other writers wait. */
const STEP = 2;
/** When a file was opened: what only looks at it is gone by then, and has changed nothing. */
const AFTER_OPEN_MS = 1000;
const AFTER_COMMIT_MS = 20;
/** When another process was writing. */
const AFTER_BUSY_MS = 100;
/** It works a third of the time at most. */
const REST = 2;
/** What was taken out just before the end is gone then, unless it was much: 32 texts, a session of 1,000 messages. */
const STEPS_AT_CLOSE = 16;

/** Clears the index of texts that were set aside (texts.ts): a few at a time, whatever it was that has left them. */
export class TextCleaner {
  readonly #clear: (limit: number) => boolean;
  #timer: NodeJS.Timeout | undefined;
  #hasCommitted = false;

  /** @param clear takes out so many; whether there were any */
  constructor(clear: (limit: number) => boolean) {
    this.#clear = clear;
    this.#after(AFTER_OPEN_MS);
  }

  /** To be called after each commit. */
  committed(): void {
    // The first one does not wait for what the opening has left for later.
    if (this.#timer && this.#hasCommitted) return;
    this.#hasCommitted = true;
    this.#after(AFTER_COMMIT_MS);
  }

  /** Clears what is soon done, where this process has written anything; the rest is for whoever has the file open next. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#hasCommitted) return;
    for (let i = 0; i < STEPS_AT_CLOSE; i++) {
      // Each write begins a turn of the event loop (snapshot.ts).
      await new Promise(setImmediate);
      if (this.#step() !== 'more') return;
    }
  }

  #run(): void {
    this.#timer = undefined;
    const begun = performance.now();
    const found = this.#step();
    if (found === 'more') this.#after(REST * (performance.now() - begun));
    if (found === 'busy') this.#after(AFTER_BUSY_MS);
  }

  #step(): 'more' | 'done' | 'busy' {
    try {
      return this.#clear(STEP) ? 'more' : 'done';
    } catch (error) {
      // A disk that is full or a file that is damaged is met by commits as well, and there is somebody to hear of it.
      return isBusy(error) ? 'busy' : 'done';
    }
  }

  #after(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), milliseconds).unref();
  }
}
