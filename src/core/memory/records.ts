/** What is kept of a memory, and how it is found. */
import { createHash } from 'node:crypto';
import { encodeJson, type JsonObject } from '../json.ts';
import type { Memory, MemorySource } from '../model/memory.ts';
import { indexes, kinds } from '../partitions.ts';
import type { IndexEntry, Operation } from '../store.ts';
import type { MemorySettings } from './options.ts';
import type { Owner } from './owner.ts';
import { fadesAt, type Life, retentionOf } from './retention.ts';

/** What a memory says: the record `memory`. */
export interface Content {
  content: string;
  kind: string;
  importance: number;
  tags: string[];
  key?: string;
  metadata: JsonObject;
  sources: MemorySource[];
  createdAt: number;
  updatedAt: number;
  duplicates?: number;
  mergedFrom?: string[];
  supersedes?: string[];
}

/** A superseded memory, as a whole: the record `memory-superseded`, in place of the other two. */
export interface Superseded {
  content: Content;
  life: Life;
  by: string;
  at: number;
}

/** A memory as it was read. */
export interface Held {
  readonly id: string;
  readonly content: Content;
  readonly version: number;
  readonly life: Life;
  readonly lifeVersion: number;
  /** Of the content. */
  readonly bytes: number;
}

/** So many sources and ids of merged memories are kept: the newest. */
const MAX_KEPT = 64;
/** The metadata of memories that were merged is kept up to this length (UTF-16 code units of JSON). */
const MAX_METADATA = 65_536;

export function toMemory(
  owner: Owner,
  {
    id,
    content: { duplicates = 0, mergedFrom = [], supersedes = [], ...content },
    version,
    life,
  }: Omit<Held, 'bytes' | 'lifeVersion'>,
  now: number,
  settings: MemorySettings,
): Memory {
  const { tier, uses, usedAt, expiresAt } = life;
  return {
    id,
    ...(owner.userId !== undefined && { userId: owner.userId }),
    ...content,
    tier,
    ...(expiresAt !== undefined && { expiresAt }),
    uses,
    usedAt,
    retention: retentionOf(life, now, settings),
    duplicates,
    mergedFrom,
    supersedes,
    version,
  };
}

export function isExpired({ expiresAt }: Pick<Life, 'expiresAt'>, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}

/** The content of two memories that say the same, under the name of the first. */
export function united(kept: Content, other: Content, now: number): Content {
  return {
    ...kept,
    importance: Math.max(kept.importance, other.importance),
    tags: [...new Set([...kept.tags, ...other.tags])].slice(0, MAX_KEPT),
    ...(kept.key === undefined && other.key !== undefined && { key: other.key }),
    metadata: unitedMetadata(kept.metadata, other.metadata),
    sources: unitedSources(kept.sources, other.sources),
    createdAt: Math.min(kept.createdAt, other.createdAt),
    updatedAt: now,
    duplicates: (kept.duplicates ?? 0) + (other.duplicates ?? 0) + 1,
    ...(other.supersedes && { supersedes: newest([...(kept.supersedes ?? []), ...other.supersedes]) }),
  };
}

/** The same, where the other one was a memory of its own until now. */
export function absorbed(kept: Content, id: string, other: Content, now: number): Content {
  const mergedFrom = newest([...(kept.mergedFrom ?? []), ...(other.mergedFrom ?? []), id]);
  return { ...united(kept, other, now), mergedFrom };
}

/** Within bounds: copies that come again and again must not make a memory grow without end. */
function unitedMetadata(kept: JsonObject, other: JsonObject): JsonObject {
  const both = { ...other, ...kept };
  return JSON.stringify(both).length > MAX_METADATA ? kept : both;
}

export function unitedSources(one: readonly MemorySource[], other: readonly MemorySource[]): MemorySource[] {
  const byPlace = new Map(
    [...one, ...other].map((source) => [
      JSON.stringify([source.sessionId, source.seq, source.channel]),
      source,
    ]),
  );
  return newest([...byPlace.values()]);
}

/** The newest of a list that only grows. */
export function newest<T>(items: readonly T[]): T[] {
  return [...new Set(items)].slice(-MAX_KEPT);
}

export function putContent(
  owner: Owner,
  id: string,
  content: Content,
  ifVersion: number | 'absent',
): Operation & { op: 'put' } {
  const value = encodeJson(content, 'memory');
  return { op: 'put', kind: kinds.memory, id, value, ifVersion, indexes: placesOf(owner, id, content) };
}

export function putLife(
  id: string,
  life: Life,
  ifVersion: number | 'absent',
  settings: MemorySettings,
): Operation {
  const at = fadesAt(life, settings);
  return {
    op: 'put',
    kind: kinds.memoryLife,
    id,
    value: encodeJson(life, 'memory'),
    ifVersion,
    indexes: at === undefined ? [] : [{ index: indexes.memoriesByFading, key: '', order: at }],
  };
}

/** It is kept for as long as a long-term memory that nobody uses. */
export function putSuperseded(
  owner: Owner,
  id: string,
  superseded: Superseded,
  settings: MemorySettings,
): Operation {
  const { createdAt } = superseded.content;
  const { at } = superseded;
  const fading = fadesAt({ tier: 'long', importance: 0.5, uses: 0, usedAt: at }, settings)!;
  return {
    op: 'put',
    kind: kinds.memorySuperseded,
    id,
    value: encodeJson(superseded, 'memory'),
    indexes: [
      { index: indexes.memoriesById, key: id, order: createdAt },
      { index: indexes.memoriesSuperseded, key: owner.key, order: at },
      { index: indexes.memoriesByFading, key: '', order: fading },
    ],
  };
}

function placesOf(owner: Owner, id: string, { createdAt: order, tags }: Content): IndexEntry[] {
  return [
    { index: indexes.memoriesById, key: id, order },
    { index: indexes.memories, key: owner.key, order },
    ...tags.map((tag) => ({ index: indexes.memoriesByTag, key: tagKey(owner, tag), order })),
  ];
}

/** A user's tag as the key of an index: both may be as long as a key can be. */
export function tagKey(owner: Owner, tag: string): string {
  return createHash('sha256')
    .update(JSON.stringify([owner.key, tag]))
    .digest('base64url');
}

/** What a memory says, as it is kept. */
export function contentOf({
  content,
  kind,
  importance,
  tags,
  key,
  metadata,
  sources,
  createdAt,
  updatedAt,
  duplicates,
}: Memory): Content {
  const all = { content, kind, importance, tags, metadata, sources, createdAt, updatedAt, duplicates };
  return { ...all, ...(key !== undefined && { key }) };
}
