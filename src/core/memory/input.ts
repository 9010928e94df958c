/** What callers give, and how it is checked. */
import { z } from 'zod';
import { durationSchema, idSchema, limitSchema, objectSchema, timeSchema, userIdSchema } from '../input.ts';
import type { MemorySource, MemoryTier } from '../model/memory.ts';
import { type Contradicts, contradictsSchema } from './options.ts';

/** The longest content, in UTF-16 code units: a memory is a thing worth knowing, not a document. */
const MAX_CONTENT = 16_384;
const MAX_TAGS = 32;
const MAX_SOURCES = 64;

const contentSchema = z
  .string()
  .max(MAX_CONTENT)
  .refine((text) => text.trim() !== '', 'must not be empty');
const importanceSchema = z.number().min(0).max(1);
const tierSchema = z.enum(['short', 'medium', 'long']);
const tagsSchema = z.array(idSchema).max(MAX_TAGS);
const sourceSchema = z.strictObject({
  sessionId: idSchema,
  seq: z.int().min(1).optional(),
  channel: idSchema.optional(),
});

/**
 * Whose memories: a user's, or those of a session's user. With neither, those that belong to the tenant as a whole,
 * unless a call says otherwise.
 */
export interface MemoryScope {
  userId?: string | undefined;
  sessionId?: string | undefined;
}

const scope = { userId: userIdSchema.optional(), sessionId: idSchema.optional() };
export const scopeSchema = z.strictObject(scope);

export interface AddMemory extends MemoryScope {
  content: string;
  /** 0 to 1; 0.5 where absent. */
  importance?: number | undefined;
  tags?: string[] | undefined;
  /** `long` for what is important, else `medium`, unless given. */
  tier?: MemoryTier | undefined;
  metadata?: Record<string, unknown> | undefined;
  /** Where it comes from; the session where only that is given. */
  sources?: MemorySource[] | undefined;
  /** It ends after so long whatever its use (milliseconds). */
  ttlMs?: number | undefined;
  /** `fact` where absent. */
  kind?: string | undefined;
  /** What it is about, where one memory only can be true: it supersedes the one with this key. */
  key?: string | undefined;
  /** Epoch milliseconds; for memories that come from elsewhere. Now where absent. */
  createdAt?: number | undefined;
}

const written = {
  importance: importanceSchema.optional(),
  tags: tagsSchema.optional(),
  metadata: objectSchema.optional(),
  kind: idSchema.optional(),
};

export const addSchema = z.strictObject({
  ...scope,
  ...written,
  content: contentSchema,
  tier: tierSchema.optional(),
  sources: z.array(sourceSchema).max(MAX_SOURCES).optional(),
  ttlMs: durationSchema.optional(),
  key: idSchema.optional(),
  createdAt: timeSchema.optional(),
});

export interface UpdateMemory {
  content?: string | undefined;
  importance?: number | undefined;
  /** In place of those it has. */
  tags?: string[] | undefined;
  /** Merged field by field; null removes a field. */
  metadata?: Record<string, unknown> | undefined;
  kind?: string | undefined;
  /** null takes it away. */
  key?: string | null | undefined;
  tier?: Exclude<MemoryTier, 'short'> | undefined;
  /** From now on; null: it does not end by itself. */
  ttlMs?: number | null | undefined;
}

export const updateSchema = z.strictObject({
  ...written,
  content: contentSchema.optional(),
  key: idSchema.nullable().optional(),
  tier: z.enum(['medium', 'long']).optional(),
  ttlMs: durationSchema.nullable().optional(),
});
export const updateOptionsSchema = scopeSchema.extend({ ifVersion: z.int().min(0).optional() });

const filters = {
  tags: tagsSchema.optional(),
  match: z.enum(['all', 'any']).optional(),
  tiers: z.array(tierSchema).min(1).optional(),
  kinds: z.array(idSchema).min(1).optional(),
  minImportance: importanceSchema.optional(),
};

/** Which memories; all where a field is absent. */
export interface MemoryFilter {
  tags?: string[] | undefined;
  /** Whether a memory must have all of the tags, or one of them; all where absent. */
  match?: 'all' | 'any' | undefined;
  tiers?: MemoryTier[] | undefined;
  kinds?: string[] | undefined;
  minImportance?: number | undefined;
}

export interface ListMemories extends MemoryScope, MemoryFilter {
  /** Those that were superseded, in place of those that hold. */
  superseded?: boolean | undefined;
  /** The `next` of the page before. */
  after?: string | undefined;
  /** 1 to 1000; 50 where absent. */
  limit?: number | undefined;
}

export const listSchema = z.strictObject({
  ...scope,
  ...filters,
  superseded: z.boolean().optional(),
  after: z.string().optional(),
  limit: limitSchema.optional(),
});

export interface SearchMemories extends MemoryScope, MemoryFilter {
  /** 1 to 100; 10 where absent. */
  limit?: number | undefined;
  /** Superseded memories, too, after those that hold. */
  superseded?: boolean | undefined;
  /**
   * How long the index may take to catch up with what was written since (milliseconds): after that the search goes with
   * what is in it, and `index.complete` is false. Default: as long as it takes.
   */
  deadlineMs?: number | undefined;
  /** Whether what is found counts as used, which it is remembered by; true unless false. */
  use?: boolean | undefined;
}

export const searchSchema = z.strictObject({
  ...scope,
  ...filters,
  limit: z.int().min(1).max(100).optional(),
  superseded: z.boolean().optional(),
  deadlineMs: durationSchema.optional(),
  use: z.boolean().optional(),
});
export const querySchema = z.string().max(100_000);

export interface SearchByTags extends MemoryScope, Omit<MemoryFilter, 'tags'> {
  /** 1 to 1000; 50 where absent. */
  limit?: number | undefined;
  use?: boolean | undefined;
}

export const searchByTagsSchema = listSchema
  .omit({ tags: true, superseded: true, after: true })
  .extend({ use: z.boolean().optional() });
export const wantedTagsSchema = z.array(idSchema).min(1).max(MAX_TAGS);

export interface ConsolidateMemories extends MemoryScope {
  /** How much alike two texts must be, of which one says all that the other says (0 to 1; 0.6). */
  similarity?: number | undefined;
  /** In place of the engine's. */
  contradicts?: Contradicts | undefined;
  /** How often `contradicts` is asked, at most (200). */
  maxComparisons?: number | undefined;
  /** Counts what would be done, and does nothing. */
  dryRun?: boolean | undefined;
}

export const consolidateSchema = z.strictObject({
  ...scope,
  similarity: z.number().min(0.3).max(1).optional(),
  contradicts: contradictsSchema.optional(),
  maxComparisons: z.int().min(0).max(10_000).optional(),
  dryRun: z.boolean().optional(),
});

export interface CleanupMemories extends MemoryScope {
  /** Memories that were not used for so long go, whatever their tier, but for those of importance 1. */
  maxAgeDays?: number | undefined;
  /** Counts what would go, and removes nothing. */
  dryRun?: boolean | undefined;
}

export const cleanupSchema = z.strictObject({
  ...scope,
  maxAgeDays: z.number().min(0).optional(),
  dryRun: z.boolean().optional(),
});

export interface AuditMemories extends MemoryScope {
  /** As of `consolidate`. */
  similarity?: number | undefined;
  /** How many findings of each type, 1 to 1000; 100 where absent. */
  limit?: number | undefined;
}

export const auditSchema = consolidateSchema
  .pick({ userId: true, sessionId: true, similarity: true })
  .extend({ limit: limitSchema.optional() });
