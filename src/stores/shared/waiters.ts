import { ClosedError } from '../../core/errors.ts';

/** Calls that wait for a change: woken together, cancelled one by one, all refused at close. */
export class Waiters {
  readonly #waiting = new Set<{ wake(): void; fail(error: unknown): void }>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next {@link wake}. Rejects with the signal's reason when that is aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiting.delete(waiter);
        signal?.removeEventListener('abort', abort);
      };
      const waiter = {
        wake() {
          settle();
          resolve();
        },
        fail(error: unknown) {
          settle();
          reject(error);
        },
      };
      const abort = () => waiter.fail(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  wake(): void {
    for (const waiter of [...this.#waiting]) waiter.wake();
  }

  close(what: string): void {
    for (const waiter of [...this.#waiting]) waiter.fail(new ClosedError(what));
  }
}
