/** Over how many seconds rates are. */
export const RATE_SECONDS = 60;

/** Counts by the second, for the last minute. */
export class Rate {
  readonly #seconds = new Float64Array(RATE_SECONDS);
  readonly #startedAt: number;
  /** The second that is being counted. */
  #second: number;
  #total = 0;

  constructor(nowMs = performance.now()) {
    this.#startedAt = nowMs;
    this.#second = Math.floor(nowMs / 1000);
  }

  add(count: number, nowMs = performance.now()): void {
    this.#turn(nowMs);
    this.#seconds[this.#second % RATE_SECONDS]! += count;
    this.#total += count;
  }

  /** How many ever. */
  get total(): number {
    return this.#total;
  }

  /** How many in the last minute, or since it was made. */
  sum(nowMs = performance.now()): number {
    this.#turn(nowMs);
    return this.#seconds.reduce((sum, count) => sum + count, 0);
  }

  /** How many a second, over the last minute, or the time since it was made where that is shorter. */
  perSecond(nowMs = performance.now()): number {
    const seconds = Math.min(RATE_SECONDS, Math.max(1, (nowMs - this.#startedAt) / 1000));
    return this.sum(nowMs) / seconds;
  }

  #turn(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second <= this.#second) return;
    // What was counted a minute ago and more makes room.
    const passed = Math.min(second - this.#second, RATE_SECONDS);
    for (let i = 1; i <= passed; i++) this.#seconds[(this.#second + i) % RATE_SECONDS] = 0;
    this.#second = second;
  }
}
