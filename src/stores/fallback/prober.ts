/** How much longer each wait is than the one before, up to so many times the first. */
const GROWTH = 1.5;
const MOST = 4;

/** Tries again and again, at growing intervals, until it goes well. */
export class Prober {
  readonly #try: () => Promise<boolean>;
  readonly #firstMs: number;
  #waitMs: number;
  #timer: NodeJS.Timeout | undefined;
  #trying: Promise<void> | undefined;
  #wanted = false;
  #stopped = false;

  /** @param attempt whether it went well; does not throw */
  constructor(firstMs: number, attempt: () => Promise<boolean>) {
    this.#try = attempt;
    this.#firstMs = firstMs;
    this.#waitMs = firstMs;
  }

  /** Starts, after a while. */
  start(): void {
    this.#wanted = true;
    if (this.#stopped || this.#timer || this.#trying) return;
    // Many processes lose a store at the same moment: they don't all come back at the same.
    this.#timer = setTimeout(() => void this.now(), this.#waitMs * (0.75 + Math.random() / 2));
    this.#timer.unref();
    this.#waitMs = Math.min(this.#waitMs * GROWTH, this.#firstMs * MOST);
  }

  /** Tries at once. */
  now(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#trying ??= this.#attempt();
    return this.#trying;
  }

  /** All is well: the next time it starts with short waits again. */
  calm(): void {
    this.#waitMs = this.#firstMs;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#trying;
  }

  async #attempt(): Promise<void> {
    this.#wanted = false;
    const well = await this.#try();
    this.#trying = undefined;
    // It may have gone well, and be over again already.
    if (!well || this.#wanted) this.start();
  }
}
