import type { IndexHit, IndexRange, Page, Partition } from '../../core/store.ts';
import { decodePageToken, partitionKey, toPage } from '../shared/pages.ts';
import type { IndexKeeper, RecordData } from './partition-data.ts';

interface Slot {
  order: number;
  /** Breaks ties, so that paging is stable. */
  tie: string;
  hit: IndexHit;
}

/** Cross-partition indexes: one sorted list for each tenant, index and key. */
export class Indexes implements IndexKeeper {
  readonly #lists = new Map<string, Slot[]>();

  put(partition: Partition, { kind, id, indexes }: RecordData): void {
    for (const { index, key, order } of indexes) {
      this.add(listName(partition.tenant, index, key), { partition: { ...partition }, kind, id, order });
    }
  }

  remove(partition: Partition, { kind, id, indexes }: RecordData): void {
    for (const { index, key, order } of indexes) {
      this.delete(listName(partition.tenant, index, key), { partition, kind, id, order });
    }
  }

  add(list: string, hit: IndexHit): void {
    const slots = this.#lists.get(list) ?? [];
    const slot = toSlot(hit);
    slots.splice(place(slots, slot.order, slot.tie), 0, slot);
    this.#lists.set(list, slots);
  }

  delete(list: string, hit: IndexHit): void {
    const slots = this.#lists.get(list);
    if (!slots) return;
    const { order, tie } = toSlot(hit);
    const at = place(slots, order, tie);
    if (slots[at]?.tie === tie) slots.splice(at, 1);
    if (slots.length === 0) this.#lists.delete(list);
  }

  query(list: string, range: IndexRange): Page<IndexHit> {
    return pageOf(this.#lists.get(list) ?? [], range);
  }
}

/** A page of sorted slots, for the store's own indexes as well. */
export function pageOf(slots: readonly Slot[], range: IndexRange): Page<IndexHit> {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY, limit, reverse = false } = range;
  const within = slots.filter((slot) => slot.order >= from && slot.order <= to);
  if (reverse) within.reverse();
  let start = 0;
  if (range.after !== undefined) {
    const [order, tie] = decodePageToken(range.after, 2) as [number, string];
    const passed = (slot: Slot) => (slot.order - order || compare(slot.tie, tie)) * (reverse ? -1 : 1) <= 0;
    start = within.findIndex((slot) => !passed(slot));
    if (start < 0) return { items: [] };
  }
  return toPage(
    within.slice(start, start + limit + 1),
    limit,
    (slot) => [slot.order, slot.tie],
    (slot) => slot.hit,
  );
}

export function toSlot(hit: IndexHit): Slot {
  return { order: hit.order, tie: `${partitionKey(hit.partition)}\0${hit.kind}\0${hit.id}`, hit };
}

export function compareSlots(a: Slot, b: Slot): number {
  return a.order - b.order || compare(a.tie, b.tie);
}

export function listName(tenant: string, index: string, key: string): string {
  return `${tenant}\0${index}\0${key}`;
}

function place(slots: readonly Slot[], order: number, tie: string): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const slot = slots[middle]!;
    if (slot.order < order || (slot.order === order && slot.tie < tie)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
