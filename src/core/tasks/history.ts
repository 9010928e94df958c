import type { Json } from '../json.ts';
import { Distinct, hashOf } from './distinct.ts';
import type { ContextUpdate } from './update.ts';

/** An update in a context's history, with what its storage knows of it. */
export interface Tracked {
  /** Counts what happened in this context, so that nothing is taken in twice. */
  readonly n: number;
  readonly update: ContextUpdate;
  /** Characters of its data. */
  readonly size: number;
  /** Its place in a log, once it is there. */
  seq?: number;
}

/** The part of the limit that is left after the history was cut by itself: what is added next finds room. */
const LEFT = 0.75;
/** Hashes of so many updates are made before any is looked up: without work between them, looking up is twice as fast. */
const BLOCK = 4096;

/** A task's updates, oldest first, and how many characters of data they have. */
export class History {
  /** Replaced when it gets shorter, so that a list that was handed out stays what it was. */
  updates: ContextUpdate[] = [];
  size = 0;
  #tracked: Tracked[] = [];
  readonly #onRemove: ((tracked: Tracked) => void) | undefined;

  /** @param onRemove hears of each update that is removed, oldest first */
  constructor(onRemove?: (tracked: Tracked) => void) {
    this.#onRemove = onRemove;
  }

  get tracked(): readonly Tracked[] {
    return this.#tracked;
  }

  add(tracked: Tracked): void {
    this.#tracked.push(tracked);
    this.updates.push(tracked.update);
    this.size += tracked.size;
  }

  /**
   * Keeps the newest of equal updates (same type, same data), and of those, from the newest on, each that still fits
   * into `maxSize` characters. Takes time in proportion to the history. @returns how many were removed
   */
  optimize(maxSize: number): number {
    const tracked = this.#tracked;
    const distinct = new Distinct(this.updates);
    const keep = new Uint8Array(tracked.length);
    const hashes = new Int32Array(Math.min(BLOCK, tracked.length));
    let size = 0;
    for (let end = tracked.length; end > 0; end -= BLOCK) {
      const start = Math.max(0, end - BLOCK);
      // An equal one is as large: what does not fit any more need not be known.
      for (let i = start; i < end; i++) {
        if (size + tracked[i]!.size <= maxSize) hashes[i - start] = hashOf(tracked[i]!.update);
      }
      for (let i = end - 1; i >= start; i--) {
        const own = tracked[i]!.size;
        if (size + own > maxSize || !distinct.add(i, hashes[i - start]!)) continue;
        keep[i] = 1;
        size += own;
      }
    }
    return this.#keep((_, i) => keep[i] === 1);
  }

  /** Cuts a history that has grown beyond `maxSize` characters, or as many updates, so that some room is left. */
  bound(maxSize: number): number {
    if (this.size <= maxSize && this.#tracked.length <= maxSize) return 0;
    const newest = this.#tracked.at(-1)!.size;
    const left = Math.floor(maxSize * LEFT);
    const removed = this.optimize(Math.max(left, newest <= maxSize ? newest : 0));
    // Data of no size don't add up.
    if (this.#tracked.length <= maxSize) return removed;
    const from = this.#tracked.length - Math.min(maxSize, Math.max(1, left));
    return removed + this.#keep((_, i) => i >= from);
  }

  /** Takes away what came after a time (epoch milliseconds). @returns how many were removed */
  truncate(timestamp: number): number {
    return this.#keep(({ update }) => update.timestamp <= timestamp);
  }

  #keep(wanted: (tracked: Tracked, i: number) => boolean): number {
    const before = this.#tracked;
    const kept: Tracked[] = [];
    const updates: ContextUpdate[] = [];
    let size = 0;
    for (let i = 0; i < before.length; i++) {
      const tracked = before[i]!;
      if (wanted(tracked, i)) {
        kept.push(tracked);
        updates.push(tracked.update);
        size += tracked.size;
      } else this.#onRemove?.(tracked);
    }
    if (kept.length === before.length) return 0;
    this.#tracked = kept;
    this.updates = updates;
    this.size = size;
    return before.length - kept.length;
  }
}

/** How many characters the data has: of text its own, of anything else those of its JSON. */
export function sizeOf(data: Json): number {
  return typeof data === 'string' ? data.length : JSON.stringify(data).length;
}
