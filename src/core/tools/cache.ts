import type { Clock } from '../clock.ts';
import type { Json } from '../json.ts';
import { copyPlain } from './plain.ts';

/** Of all results of one tool and tenant (UTF-16 code units of JSON). */
const MAX_UNITS = 16 * 1024 * 1024;

interface Kept {
  value: Json;
  units: number;
  until: number;
}

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
  get(key: string): { value: Json } | undefined {
    const kept = this.#entries.get(key);
    if (!kept) return undefined;
    this.#entries.delete(key);
    if (kept.until <= this.#clock.now()) {
      this.#units -= kept.units;
      return undefined;
    }
    this.#entries.set(key, kept);
    return { value: copyPlain(kept.value) };
  }

  /** Keeps a copy. @param units about how large it is */
  set(key: string, value: Json, units: number): void {
    if (units > MAX_UNITS / 4) return;
    this.#drop(key);
    this.#entries.set(key, { value: copyPlain(value), units, until: this.#clock.now() + this.#ttlMs });
    this.#units += units;
    while (this.#entries.size > this.#maxEntries || this.#units > MAX_UNITS)
      this.#drop(this.#entries.keys().next().value!);
  }

  clear(): void {
    this.#entries.clear();
    this.#units = 0;
  }

  #drop(key: string): void {
    this.#units -= this.#entries.get(key)?.units ?? 0;
    this.#entries.delete(key);
  }
}
