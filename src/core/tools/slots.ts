import PQueue from 'p-queue';
import type { Halt } from './halt.ts';

/**
 * Lets so many calls of a tool run at a time; others wait, in the order they came. A call that goes on after it was given
 * up on keeps its slot for `graceMs` (milliseconds), as a job does.
 */
export class Slots {
  readonly #queue: PQueue;
  readonly #graceMs: number;

  constructor(maxConcurrent: number, graceMs: number) {
    this.#queue = new PQueue({ concurrency: maxConcurrent });
    this.#graceMs = graceMs;
  }

  /**
   * Makes a call when there is a slot for it.
   * @param call calls `left` once it runs no longer, whether or not somebody waits for it still
   * @throws the halt's reason, and what the call throws
   */
  async run<T>(halt: Halt, call: (left: () => void) => T): Promise<Awaited<T>> {
    const free = await this.#enter(halt);
    if (halt.reason) {
      free();
      throw halt.reason;
    }
    let timer: NodeJS.Timeout | undefined;
    let isLeft = false;
    const left = () => {
      isLeft = true;
      clearTimeout(timer);
      free();
    };
    try {
      return await call(left);
    } catch (error) {
      if (!isLeft) timer = setTimeout(left, this.#graceMs).unref();
      throw error;
    }
  }

  /** Whoever is stopped while waiting takes no slot. @returns what gives the slot back */
  #enter(halt: Halt): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const off = halt.onStop(reject);
      void this.#queue.add(() => {
        off();
        return halt.reason ? undefined : new Promise<void>((free) => resolve(free));
      });
    });
  }
}
