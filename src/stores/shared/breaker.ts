import { setTimeout as delay } from 'node:timers/promises';
import { isUnavailable, StoreUnavailableError } from '../../core/errors.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Lets calls to a server fail at once while it is known to be away: the first one that found out has waited long enough
 * for all of them. It is asked in the background until it answers.
 */
export class Breaker {
  readonly #probe: () => Promise<unknown>;
  readonly #closing = new AbortController();
  #reason: unknown;
  #open = false;

  /** @param probe asks the server for something small, once; rejects when it does not answer in reasonable time */
  constructor(probe: () => Promise<unknown>) {
    this.#probe = probe;
  }

  /** @throws StoreUnavailableError while the server is away; nothing was sent then */
  check(): void {
    if (!this.#open) return;
    throw new StoreUnavailableError(
      'the server could not be reached a moment ago, and is asked until it answers',
      {
        cause: this.#reason,
        hint: 'Try again later; a fallback takes writes in the meantime.',
        details: { inDoubt: false },
      },
    );
  }

  /** To be told what a call ended with that had its whole time. */
  failed(error: unknown): void {
    if (this.#open || this.#closing.signal.aborted || !isUnavailable(error)) return;
    this.#open = true;
    this.#reason = error;
    this.#ask();
  }

  /** Asks at once, whatever it has found out so far. @throws what the probe does; it is then away */
  async now(): Promise<void> {
    try {
      await this.#probe();
    } catch (error) {
      this.failed(error);
      throw error;
    }
    this.#open = false;
    this.#reason = undefined;
  }

  /** Asks no more. */
  close(): void {
    this.#closing.abort();
  }

  async #ask(): Promise<void> {
    const { signal } = this.#closing;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        await delay(pause * (0.5 + Math.random() / 2), undefined, { signal, ref: false });
        await this.#probe();
        break;
      } catch {
        if (signal.aborted) return;
      }
    }
    this.#open = false;
    this.#reason = undefined;
  }
}
