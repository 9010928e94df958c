/** The wire schemas of memories: see schemas.ts. */
import { z } from '@hono/zod-openapi';
import type { Cleanup } from '../core/memory/cleanup.ts';
import type { Consolidation } from '../core/memory/consolidate.ts';
import type { MemorySearch } from '../core/memory/find.ts';
import type {
  AddMemory,
  CleanupMemories,
  ConsolidateMemories,
  ListMemories,
  SearchByTags,
  SearchMemories,
  UpdateMemory,
} from '../core/memory/input.ts';
import type { AddedMemory } from '../core/memory/memory.ts';
import type { MemoryAudit, MemoryFinding, MemoryStats } from '../core/memory/report.ts';
import type { Memory, MemorySource } from '../core/model/memory.ts';
import { count, type Fields, id, integerText, limit, object, time } from './schemas.ts';

const share = z.number().min(0).max(1);
const tier = z.enum(['short', 'medium', 'long']);
const duration = z.int().min(1).openapi({ description: 'Milliseconds' });
const tags = z.array(id);
const source = z.object({
  sessionId: id,
  seq: z.int().min(1).optional(),
  channel: id.optional(),
} satisfies Fields<MemorySource>);

const memory = {
  id,
  userId: id.optional(),
  content: z.string(),
  kind: id,
  tier,
  importance: share,
  tags,
  key: id.optional(),
  metadata: object,
  sources: z.array(source),
  createdAt: time,
  updatedAt: time,
  expiresAt: time.optional(),
  uses: count,
  usedAt: time,
  retention: share.openapi({ description: 'How well it is remembered now' }),
  duplicates: count,
  mergedFrom: z.array(id),
  supersedes: z.array(id),
  supersededBy: id.optional(),
  supersededAt: time.optional(),
  version: z.int(),
} satisfies Fields<Memory>;

export const MemoryAnswer = z.object(memory).openapi('Memory');
export const AddedAnswer = z.object({ ...memory, merged: z.boolean() } satisfies Fields<AddedMemory>);
export const MemoryList = z.object({ memories: z.array(MemoryAnswer), next: z.string().optional() });

const whose = { userId: id.optional(), sessionId: id.optional() };

export const NewMemory = z
  .object({
    ...whose,
    content: z.string().min(1).max(16_384),
    importance: share.optional(),
    tags: tags.optional(),
    tier: tier.optional(),
    metadata: object.optional(),
    sources: z.array(source).optional(),
    ttlMs: duration.optional(),
    kind: id.optional(),
    key: id.optional(),
    createdAt: time.optional(),
  } satisfies Fields<AddMemory>)
  .openapi('NewMemory');

export const MemoryChanges = z
  .object({
    content: z.string().optional(),
    importance: share.optional(),
    tags: tags.optional(),
    metadata: object.optional().openapi({ description: 'Merged field by field; null removes a field' }),
    kind: id.optional(),
    key: id.nullish(),
    tier: z.enum(['medium', 'long']).optional(),
    ttlMs: duration.nullish(),
  } satisfies Fields<UpdateMemory>)
  .openapi('MemoryChanges');

const filter = {
  tags: tags.optional(),
  match: z.enum(['all', 'any']).optional(),
  tiers: z.array(tier).optional(),
  kinds: z.array(id).optional(),
  minImportance: share.optional(),
};

export const SearchRequest = z
  .object({
    query: z.string(),
    ...whose,
    ...filter,
    limit: z.int().min(1).max(100).optional(),
    superseded: z.boolean().optional(),
    deadlineMs: duration.optional(),
    use: z.boolean().optional(),
  } satisfies Fields<SearchMemories & { query: string }>)
  .openapi('MemorySearch');

export const TagsRequest = z
  .object({
    ...whose,
    ...filter,
    tags,
    limit: z.int().min(1).max(1000).optional(),
    use: z.boolean().optional(),
  } satisfies Fields<SearchByTags & { tags: string[] }>)
  .openapi('MemorySearchByTags');

export const SearchAnswer = z.object({
  hits: z.array(z.object({ memory: MemoryAnswer, score: z.number(), why: object })),
  index: z.object({ complete: z.boolean(), behind: count }),
  embedding: z.enum(['used', 'off', 'late', 'building', 'failed']),
} satisfies Fields<MemorySearch>);
export const FoundByTags = z.object({ memories: z.array(MemoryAnswer) });

const listed = z
  .string()
  .transform((text) => text.split(','))
  .optional()
  .openapi({ type: 'string', description: 'Separated by commas' });
const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .optional()
  .openapi({ type: 'boolean' });

export const WhoseQuery = z.strictObject({ userId: z.string().optional(), sessionId: z.string().optional() });
export const ListQuery = z.strictObject({
  ...WhoseQuery.shape,
  tags: listed,
  match: z.enum(['all', 'any']).optional(),
  tiers: listed.pipe(z.array(tier).optional()),
  kinds: listed,
  minImportance: z.coerce.number().optional().openapi({ type: 'number' }),
  superseded: flag,
  after: z.string().optional().openapi({ description: 'The `next` of the page before' }),
  limit,
} satisfies Fields<ListMemories>);

export const ConsolidateRequest = z
  .object({
    ...whose,
    similarity: share.optional(),
    maxComparisons: count.optional(),
    dryRun: z.boolean().optional(),
  } satisfies Fields<Omit<ConsolidateMemories, 'contradicts'>>)
  .openapi('ConsolidateMemories');
export const Consolidated = z.object({
  examined: count,
  merged: count,
  into: count,
  superseded: count,
  promoted: count,
  compared: count,
} satisfies Fields<Consolidation>);

export const CleanupRequest = z
  .object({
    ...whose,
    maxAgeDays: z.number().min(0).optional(),
    dryRun: z.boolean().optional(),
  } satisfies Fields<CleanupMemories>)
  .openapi('CleanupMemories');
export const Cleaned = z.object({
  expired: count,
  decayed: count,
  demoted: count,
  unused: count,
  superseded: count,
  removed: count,
} satisfies Fields<Cleanup>);

export const StatsAnswer = z
  .object({
    count,
    byTier: z.object({ short: count, medium: count, long: count }),
    byKind: z.record(z.string(), count),
    superseded: count,
    bytes: count,
    duplicatesMerged: count,
    consolidated: count,
    neverUsed: count,
    oldestAt: time.optional(),
    newestAt: time.optional(),
    averageImportance: share.optional(),
    averageRetention: share.optional(),
    lastConsolidatedAt: time.optional(),
    users: count,
  } satisfies Fields<MemoryStats>)
  .openapi('MemoryStats');

export const AuditQuery = WhoseQuery.extend({ limit: integerText.optional() });
const finding = {
  type: z.string(),
  userId: id.optional(),
  memoryIds: z.array(id),
} satisfies Fields<MemoryFinding>;
export const AuditAnswer = z
  .object({
    examined: count,
    counts: z.record(z.string(), count),
    findings: z.array(z.object(finding)),
  } satisfies Fields<MemoryAudit>)
  .openapi('MemoryAudit');
