/** What an update makes of a memory. */
import { copyOf, mergedMetadata } from '../metadata.ts';
import type { Memory } from '../model/memory.ts';
import type { UpdateMemory } from './input.ts';
import { type Content, contentOf } from './records.ts';
import type { Life } from './retention.ts';

export function changedContent(before: Content, changes: UpdateMemory, now: number): Content {
  const { key: keyBefore, ...rest } = before;
  const key = changes.key === undefined ? keyBefore : (changes.key ?? undefined);
  return {
    ...rest,
    content: changes.content?.trim() ?? before.content,
    importance: changes.importance ?? before.importance,
    kind: changes.kind ?? before.kind,
    tags: changes.tags ? [...new Set(changes.tags)] : before.tags,
    metadata: changes.metadata ? mergedMetadata(before.metadata, copyOf(changes.metadata)) : before.metadata,
    ...(key !== undefined && { key }),
    updatedAt: now,
  };
}

export function changedLife(life: Life, importance: number, changes: UpdateMemory, now: number): Life {
  const { expiresAt, ...rest } = life;
  return { ...rest, tier: changes.tier ?? life.tier, importance, ...endOf(expiresAt, changes, now) };
}

/** The same, of a short-term memory. */
export function changedShort(memory: Memory, changes: UpdateMemory, now: number): Memory {
  const { expiresAt, key: _, ...rest } = memory;
  return {
    ...rest,
    ...changedContent(contentOf(memory), changes, now),
    ...endOf(expiresAt, changes, now),
    duplicates: memory.duplicates,
    mergedFrom: memory.mergedFrom,
    supersedes: memory.supersedes,
    version: memory.version + 1,
  };
}

function endOf(expiresAt: number | undefined, { ttlMs }: UpdateMemory, now: number): { expiresAt?: number } {
  const at = ttlMs === undefined ? expiresAt : ttlMs === null ? undefined : now + ttlMs;
  return at === undefined ? {} : { expiresAt: at };
}
