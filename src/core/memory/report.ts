/** What there is, and what looks wrong. */
import { kinds } from '../partitions.ts';
import { clustersOf, type Sketched, sameSubject, sketchAll } from './consolidate.ts';
import type { Owner } from './owner.ts';
import { type Held, isExpired } from './records.ts';
import type { Shelf } from './shelf.ts';

/** Figures of an owner's memories, or of all in the tenant. Times are epoch milliseconds. */
export interface MemoryStats {
  /** Those that hold, of all tiers; superseded ones are counted apart. */
  count: number;
  /** `short`: of this process. They count here and in `count`; the other figures are of durable memories. */
  byTier: { short: number; medium: number; long: number };
  byKind: Record<string, number>;
  superseded: number;
  /** Of the texts with all that goes with them, as they are stored. */
  bytes: number;
  /** How many came that said what was known: merged when they were added, or by `consolidate`. */
  duplicatesMerged: number;
  consolidated: number;
  neverUsed: number;
  /** Absent where there is none. */
  oldestAt?: number;
  newestAt?: number;
  averageImportance?: number;
  averageRetention?: number;
  lastConsolidatedAt?: number;
  /** How many users have memories; the tenant itself is none. */
  users: number;
}

export async function statsOf(shelf: Shelf, owners: AsyncIterable<Owner>): Promise<MemoryStats> {
  const stats: MemoryStats = {
    count: 0,
    byTier: { short: 0, medium: 0, long: 0 },
    byKind: {},
    superseded: 0,
    bytes: 0,
    duplicatesMerged: 0,
    consolidated: 0,
    neverUsed: 0,
    users: 0,
  };
  const byKind = new Map<string, number>();
  let importance = 0;
  let retention = 0;
  for await (const owner of owners) {
    const before = stats.count;
    for await (const held of shelf.all(owner)) {
      const { content, life, bytes } = held;
      stats.count++;
      stats.byTier[life.tier]++;
      stats.bytes += bytes;
      if (life.uses === 0) stats.neverUsed++;
      byKind.set(content.kind, (byKind.get(content.kind) ?? 0) + 1);
      stats.oldestAt = Math.min(stats.oldestAt ?? content.createdAt, content.createdAt);
      stats.newestAt = Math.max(stats.newestAt ?? content.createdAt, content.createdAt);
      importance += content.importance;
      retention += shelf.toMemory(owner, held).retention;
    }
    await addCounters(shelf, owner, stats);
    if (owner.userId !== undefined && stats.count > before) stats.users++;
  }
  return {
    ...stats,
    byKind: Object.fromEntries(byKind),
    ...(stats.count > 0 && {
      averageImportance: importance / stats.count,
      averageRetention: retention / stats.count,
    }),
  };
}

async function addCounters(shelf: Shelf, owner: Owner, stats: MemoryStats): Promise<void> {
  const [counts, consolidation] = await Promise.all([
    shelf.counts(owner),
    shelf.context.records.get<{ at: number }>(owner.partition, kinds.memoryConsolidation),
  ]);
  stats.superseded += counts.superseded ?? 0;
  stats.duplicatesMerged += counts.duplicates ?? 0;
  stats.consolidated += counts.consolidated ?? 0;
  if (consolidation)
    stats.lastConsolidatedAt = Math.max(stats.lastConsolidatedAt ?? 0, consolidation.value.at);
}

/**
 * What looks wrong. `near-duplicates`: say the same, and could be one. `contradictory-keys`: tell different things of what
 * can be one thing only. `no-source`: nobody knows where it comes from. `one-source-flood`: more than ten from one
 * message. `never-used`: no search has found it in 30 days. `oversize`: longer than 2,000 characters. `expired`: has
 * ended, and waits for the next sweep.
 */
export type FindingType =
  | 'near-duplicates'
  | 'contradictory-keys'
  | 'no-source'
  | 'one-source-flood'
  | 'never-used'
  | 'oversize'
  | 'expired';

/** Ids, never content. */
export interface MemoryFinding {
  type: FindingType;
  /** Absent for memories of the tenant. */
  userId?: string;
  memoryIds: string[];
}

export interface MemoryAudit {
  /** How many memories were looked at. */
  examined: number;
  /** How many memories each type of finding names; types that were not found are absent. */
  counts: Partial<Record<FindingType, number>>;
  /** The first of each type. */
  findings: MemoryFinding[];
}

const FLOOD = 10;
const NEVER_USED_MS = 30 * 24 * 60 * 60 * 1000;
const OVERSIZE = 2000;

export async function auditOf(
  shelf: Shelf,
  owners: AsyncIterable<Owner>,
  { similarity, limit }: { similarity: number; limit: number },
): Promise<MemoryAudit> {
  const audit: MemoryAudit = { examined: 0, counts: {}, findings: [] };
  const shown = new Map<FindingType, number>();
  for await (const owner of owners) {
    const all = await sketchAll(shelf, owner);
    audit.examined += all.length;
    for await (const [type, memoryIds] of findingsIn(all, similarity, shelf.context.clock.now())) {
      audit.counts[type] = (audit.counts[type] ?? 0) + memoryIds.length;
      shown.set(type, (shown.get(type) ?? 0) + 1);
      const { userId } = owner;
      if (shown.get(type)! <= limit)
        audit.findings.push({ type, ...(userId !== undefined && { userId }), memoryIds });
    }
  }
  return audit;
}

async function* findingsIn(
  all: readonly Sketched[],
  least: number,
  now: number,
): AsyncGenerator<[type: FindingType, memoryIds: string[]]> {
  const held = all.map((one) => one.held);
  for (const { keeper, others } of await clustersOf(all, least))
    yield ['near-duplicates', [keeper, ...others].map(({ id }) => id)];
  for (const rivals of await sameSubject(held)) yield ['contradictory-keys', rivals.map(({ id }) => id)];
  for (const ids of floods(held)) yield ['one-source-flood', ids];
  for (const { id, content, life } of held) {
    if (content.sources.length === 0) yield ['no-source', [id]];
    if (life.uses === 0 && content.createdAt < now - NEVER_USED_MS) yield ['never-used', [id]];
    if (content.content.length > OVERSIZE) yield ['oversize', [id]];
    if (isExpired(life, now)) yield ['expired', [id]];
  }
}

/** Memories that come from the same message, where that is too many to be true. */
function floods(all: readonly Held[]): string[][] {
  const bySource = new Map<string, string[]>();
  for (const { id, content } of all) {
    for (const { sessionId, seq, channel } of content.sources) {
      if (seq === undefined) continue;
      const place = JSON.stringify([sessionId, seq, channel]);
      const ids = bySource.get(place);
      if (ids) ids.push(id);
      else bySource.set(place, [id]);
    }
  }
  return [...bySource.values()].filter((ids) => ids.length > FLOOD);
}
