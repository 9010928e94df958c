import type { Clock } from '../clock.ts';
import type { Shaped } from './large.ts';
import { copyPlain } from './plain.ts';

/** Of all results of one tool and tenant (UTF-16 code units of JSON). */
const MAX_UNITS = 16 * 1024 * 1024;

type Kept = Shaped & { madeAt: number };

/** The results of a tool that may be given again: for a time, and only so many. Those unused longest go first. */
export class ResultCache {
  readonly #ttlMs: number;
  readonly #maxEntries: number;
  readonly #clock: Clock;
  /** In the order of last use. */
  readonly #entries = new Map<string, Kept>();
  #units = 0;

  constructor({ ttlMs, maxEntries = 1000 }: { ttlMs: number; maxEntries?: number }, clock: Clock) {
    this.#ttlMs = ttlMs;
    this.#maxEntries = maxEntries;
    this.#clock = clock;
  }

  /** A result that is still good: a copy, which the caller may change. */
  get(key: string): Shaped | undefined {
    const kept = this.#entries.get(key);
    if (!kept) return undefined;
    this.#entries.delete(key);
    const age = this.#clock.now() - kept.madeAt;
    // Made after now: the clock was set back, and how old it is nobody knows.
    if (age < 0 || age >= this.#ttlMs) {
      this.#units -= kept.units;
      return undefined;
    }
    this.#entries.set(key, kept);
    return copyOf(kept);
  }

  /** Keeps a copy. */
  set(key: string, result: Shaped): void {
    const { units } = result;
    if (units > MAX_UNITS / 4) return;
    this.#drop(key);
    this.#entries.set(key, { ...copyOf(result), madeAt: this.#clock.now() });
    this.#units += units;
    while (this.#entries.size > this.#maxEntries || this.#units > MAX_UNITS)
      this.#drop(this.#entries.keys().next().value!);
  }

  #drop(key: string): void {
    this.#units -= this.#entries.get(key)?.units ?? 0;
    this.#entries.delete(key);
  }
}

function copyOf({ value, units, large }: Shaped): Shaped {
  return { value: copyPlain(value), units, ...(large && { large: { ...large } }) };
}
