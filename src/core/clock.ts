/** The time source. Only for time stamps and expiry: order always comes from the store's `seq`. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
