/** Runs tasks side by side, as many as fit, and hands out their first failure. */
export class Pool {
  readonly #limits: { tasks: number; weight: number };
  readonly #running = new Set<Promise<void>>();
  #weight = 0;
  #failure: { error: unknown } | undefined;

  /** @param limits how many tasks at once, and how much they may weigh together; one alone may weigh more */
  constructor(limits: { tasks: number; weight: number }) {
    this.#limits = limits;
  }

  /** Starts a task as soon as there is room. @throws what a task before it threw */
  async add(weight: number, task: () => Promise<void>): Promise<void> {
    while (this.#isFull(weight)) await Promise.race(this.#running);
    this.#check();
    this.#weight += weight;
    const running = task()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#weight -= weight;
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  /** Resolves when all that was started has ended. @throws the first failure */
  async drain(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }

  #isFull(weight: number): boolean {
    const { size } = this.#running;
    return size >= this.#limits.tasks || (size > 0 && this.#weight + weight > this.#limits.weight);
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
