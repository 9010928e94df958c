/** Rates are of the last so many points. */
const POINTS = 12;

/** How fast counters go up, over the last minute: their values are noted every five seconds. */
export class Rates<K extends string> {
  readonly #read: () => Record<K, number>;
  readonly #points: { at: number; values: Record<K, number> }[] = [];

  /** @param read the counters, which only go up */
  constructor(read: () => Record<K, number>, now = performance.now()) {
    this.#read = read;
    this.turn(now);
  }

  /** To be called every five seconds. */
  turn(now = performance.now()): void {
    this.#points.push({ at: now, values: this.#read() });
    if (this.#points.length > POINTS) this.#points.shift();
  }

  /** How much a counter has gone up in the last minute, or since it was made. */
  sum(counter: K): number {
    return this.#read()[counter] - this.#points[0]!.values[counter];
  }

  /** The same, a second; of at least one second. */
  perSecond(counter: K, now = performance.now()): number {
    return this.sum(counter) / Math.max(1, (now - this.#points[0]!.at) / 1000);
  }
}
