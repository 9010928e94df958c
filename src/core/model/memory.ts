import type { JsonObject } from '../json.ts';

/**
 * Where a memory is kept. `short`: in this process only, never durable. `medium`: durable, and forgotten unless it is
 * used. `long`: durable, and fades slowly.
 */
export type MemoryTier = 'short' | 'medium' | 'long';

/** Where a memory comes from. */
export interface MemorySource {
  sessionId: string;
  /** The message; absent where the whole session is meant. */
  seq?: number | undefined;
  /** Absent for the conversation itself. */
  channel?: string | undefined;
}

/** Something worth knowing in later conversations. Times are epoch milliseconds. */
export interface Memory {
  id: string;
  /** Whose it is; absent where it belongs to the tenant as a whole. */
  userId?: string;
  content: string;
  /** A word of the caller's: `fact`, `preference`, `event`, … */
  kind: string;
  tier: MemoryTier;
  /** 0 to 1. At 1 it is never forgotten. */
  importance: number;
  tags: string[];
  /** What it is about, where it can be true of one memory only: a newer one with the same key supersedes it. */
  key?: string;
  metadata: JsonObject;
  /** The newest 64. */
  sources: MemorySource[];
  createdAt: number;
  updatedAt: number;
  /** When it ends whatever its use; absent: never. */
  expiresAt?: number;
  /** How often searches found it, and when it was last found (or made). Settled in the background. */
  uses: number;
  usedAt: number;
  /** How well it is remembered now, 0 to 1: see docs/memory.md. */
  retention: number;
  /** How many duplicates were merged into it. */
  duplicates: number;
  /** Ids of memories that were merged into it, the newest 64. */
  mergedFrom: string[];
  /** Memories that this one contradicted when it came. */
  supersedes: string[];
  /** The memory that contradicts this one, and since when. It is read by `get` alone, unless a call asks for such. */
  supersededBy?: string;
  supersededAt?: number;
  /** For `ifVersion`. Use and tiers don't change it. */
  version: number;
}
