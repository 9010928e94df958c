import type { Json } from '../json.ts';
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
    const seen = new Seen();
    const keep = new Uint8Array(this.#tracked.length);
    let size = 0;
    for (let i = this.#tracked.length - 1; i >= 0; i--) {
      const { update, size: own } = this.#tracked[i]!;
      // An equal one is as large: it will not fit either, and need not be known.
      if (size + own > maxSize) continue;
      if (!seen.add(update)) continue;
      keep[i] = 1;
      size += own;
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
    for (let i = 0; i < before.length; i++) {
      const tracked = before[i]!;
      if (wanted(tracked, i)) kept.push(tracked);
      else this.#onRemove?.(tracked);
    }
    if (kept.length === before.length) return 0;
    this.#tracked = kept;
    this.updates = kept.map(({ update }) => update);
    this.size = kept.reduce((sum, { size }) => sum + size, 0);
    return before.length - kept.length;
  }
}

/** How many characters the data has: of text its own, of anything else those of its JSON. */
export function sizeOf(data: Json): number {
  return typeof data === 'string' ? data.length : JSON.stringify(data).length;
}

/** Tells updates that were not seen before: of another type, or with data that differ in more than the order of fields. */
export class Seen {
  readonly #byType = new Map<string, { plain: Set<Json>; objects: Set<string> }>();

  /** @returns whether it is the first of its kind */
  add({ updateType, data }: ContextUpdate): boolean {
    const seen = this.#byType.get(updateType) ?? { plain: new Set(), objects: new Set() };
    this.#byType.set(updateType, seen);
    const isPlain = typeof data !== 'object' || data === null;
    return isPlain ? added(seen.plain, data) : added(seen.objects, JSON.stringify(sorted(data)));
  }
}

function added<T>(set: Set<T>, value: T): boolean {
  const { size } = set;
  return set.add(value).size > size;
}

/** Fields as a sorted list of pairs: no field name can be mistaken, and none is lost. */
function sorted(value: Json): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return { f: fields.map(([name, field]) => [name, sorted(field)]) };
}
