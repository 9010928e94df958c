import { HoldfastError } from '../errors.ts';

/** What makes a call end before its time: lighter than an `AbortSignal`, since most calls end by themselves. */
export class Halt {
  #reason: HoldfastError | undefined;
  #heard: Set<(reason: HoldfastError) => void> | undefined;
  #unfollow: (() => void) | undefined;

  get reason(): HoldfastError | undefined {
    return this.#reason;
  }

  /** Of several reasons the first counts. */
  stop(reason: HoldfastError): void {
    if (this.#reason) return;
    this.#reason = reason;
    for (const hear of this.#heard ?? []) hear(reason);
  }

  /** Stops with a caller's signal, until it is {@link release}d. */
  follow(signal: AbortSignal, reason: () => HoldfastError): void {
    if (signal.aborted) {
      this.stop(reason());
      return;
    }
    const stop = () => this.stop(reason());
    signal.addEventListener('abort', stop, { once: true });
    this.#unfollow = () => signal.removeEventListener('abort', stop);
  }

  /** Heeds no signal any longer: callers' signals may outlive many calls. */
  release(): void {
    this.#unfollow?.();
  }

  /** @returns what makes it not be heard */
  onStop(hear: (reason: HoldfastError) => void): () => void {
    if (this.#reason) {
      hear(this.#reason);
      return nothing;
    }
    this.#heard ??= new Set();
    this.#heard.add(hear);
    return () => void this.#heard!.delete(hear);
  }

  throwIfStopped(): void {
    if (this.#reason) throw this.#reason;
  }

  /** Waits so long as nothing stops it. What comes later, and how, is nobody's business. @throws the reason */
  race<T>(work: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const off = this.onStop(reject);
      Promise.resolve(work).finally(off).then(resolve, reject);
    });
  }

  /** Waits for a time. @throws the reason */
  async sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.race(
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, ms);
        }),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Gives up when a time is over. @throws `late()` then, and the reason */
  async within<T>(ms: number, work: PromiseLike<T>, late: () => HoldfastError): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(late()), ms);
    });
    try {
      return await this.race(Promise.race([work, over]));
    } finally {
      clearTimeout(timer);
    }
  }
}

export function abortedByCaller(): HoldfastError {
  return new HoldfastError('aborted', 'the caller ended the call');
}

function nothing(): void {}
