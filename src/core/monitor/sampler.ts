import type { MonitorSample } from './snapshot.ts';

/** Takes a sample every so often, and keeps the last ones. It keeps no process alive. */
export class Sampler {
  readonly #samples: MonitorSample[] = [];
  readonly #size: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #taking: Promise<void> | undefined;

  /**
   * @param take gives a sample; it must not throw
   * @param options.intervalMs 0: never
   */
  constructor(
    take: () => Promise<MonitorSample>,
    { intervalMs, size }: { intervalMs: number; size: number },
  ) {
    this.#size = size;
    if (intervalMs === 0) return;
    this.#timer = setInterval(() => {
      this.#taking ??= take()
        .then((sample) => this.#add(sample))
        .finally(() => {
          this.#taking = undefined;
        });
    }, intervalMs).unref();
  }

  /** The oldest first. */
  get samples(): MonitorSample[] {
    return [...this.#samples];
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#taking;
  }

  #add(sample: MonitorSample): void {
    this.#samples.push(sample);
    if (this.#samples.length > this.#size) this.#samples.shift();
  }
}
