import { newId } from '../ids.ts';
import type { Memory } from '../model/memory.ts';
import { isTwin, sketchOf } from './likeness.ts';
import type { Owner } from './owner.ts';
import { type Content, united } from './records.ts';
import { endOfBoth, outlives } from './retention.ts';

/** Of so many users the short-term memories are kept: those that were last used. */
const MAX_OWNERS = 1000;

/**
 * Short-term memories: in this process only, gone with it. Each owner has so many; the one that was used longest ago
 * makes room.
 */
export class ShortTerm {
  readonly #size: number;
  /** The order of both maps is that of last use. */
  readonly #owners = new Map<string, Map<string, Memory>>();

  /** @param size how many an owner may have */
  constructor(size: number) {
    this.#size = size;
  }

  /** Adds a memory, or merges it into the one that says the same. */
  add(
    owner: Owner,
    content: Content,
    expires: { expiresAt?: number },
    now: number,
  ): Memory & { merged: boolean } {
    const twin = this.twinOf(owner, content.content, now);
    const memory: Memory = twin
      ? {
          ...withoutEnd(twin),
          ...united(withoutEnd(twin), content, now),
          ...endOfBoth(twin, expires),
          uses: twin.uses + 1,
          usedAt: now,
          version: twin.version + 1,
        }
      : {
          id: newId(),
          ...(owner.userId !== undefined && { userId: owner.userId }),
          ...content,
          ...expires,
          tier: 'short',
          uses: 0,
          usedAt: now,
          retention: 1,
          duplicates: 0,
          mergedFrom: [],
          supersedes: [],
          version: 1,
        };
    this.put(owner, memory);
    return { ...structuredClone(memory), merged: twin !== undefined };
  }

  /** Keeps a memory; one with the same key goes, unless it holds longer. */
  put(owner: Owner, memory: Memory): void {
    const held = this.#owners.get(owner.key) ?? new Map<string, Memory>();
    for (const other of held.values()) {
      const same = other.key !== undefined && other.key === memory.key && other.id !== memory.id;
      if (same && outlives(memory, other)) held.delete(other.id);
    }
    held.delete(memory.id);
    held.set(memory.id, memory);
    if (held.size > this.#size) held.delete(held.keys().next().value!);
    this.#owners.delete(owner.key);
    this.#owners.set(owner.key, held);
    if (this.#owners.size > MAX_OWNERS) this.#owners.delete(this.#owners.keys().next().value!);
  }

  /** Counts a use of a memory, if it is still there. */
  use(id: string, owner: Owner, now: number): Memory | undefined {
    const memory = this.get(id, owner, now);
    if (!memory) return undefined;
    const used = { ...memory, uses: memory.uses + 1, usedAt: now };
    this.put(owner, used);
    return used;
  }

  /** @param owner whose; anybody's where absent */
  get(id: string, owner: Owner | undefined, now: number): Memory | undefined {
    const maps = owner ? [this.#owners.get(owner.key)] : this.#owners.values();
    for (const held of maps) {
      const memory = held?.get(id);
      if (memory) return memory.expiresAt !== undefined && memory.expiresAt <= now ? undefined : memory;
    }
    return undefined;
  }

  twinOf(owner: Owner, content: string, now: number): Memory | undefined {
    const sketch = sketchOf(content);
    return this.list(owner, now).find((memory) => isTwin(sketchOf(memory.content), sketch));
  }

  /** Those of an owner, the last used last. */
  list(owner: Owner, now: number): Memory[] {
    const held = this.#owners.get(owner.key);
    if (!held) return [];
    for (const { id, expiresAt } of held.values())
      if (expiresAt !== undefined && expiresAt <= now) held.delete(id);
    return [...held.values()];
  }

  delete(id: string, owner: Owner): boolean {
    return this.#owners.get(owner.key)?.delete(id) ?? false;
  }

  /** @param owner whose; everybody's where absent */
  count(owner: Owner | undefined, now: number): number {
    const maps = owner ? [this.#owners.get(owner.key)] : [...this.#owners.values()];
    const held = maps.flatMap((map) => [...(map?.values() ?? [])]);
    return held.filter(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt > now).length;
  }
}

/** Where a list of short-term memories, newest first, goes on: after this one. */
export function shortPlace({ createdAt, id }: Memory): string {
  return `short:${createdAt}:${id}`;
}

export function isShortPlace(place: string | undefined): place is string {
  return place?.startsWith('short:') ?? false;
}

/** Whether a list that goes on there has a memory, be the one that it names still there or not. */
export function isAfter({ createdAt, id }: Memory, place: string): boolean {
  const [, at, last = ''] = /^short:(\d+):(.*)$/.exec(place) ?? [];
  return createdAt < Number(at) || (createdAt === Number(at) && id > last);
}

function withoutEnd({ expiresAt: _, ...memory }: Memory): Memory {
  return memory;
}
