import type { JsonObject } from '../json.ts';

export type SessionStatus = 'active' | 'completed' | 'failed' | 'expired';

/** A session: one user's conversation with agents, and all that belongs to it. */
export interface Session {
  id: string;
  userId: string;
  status: SessionStatus;
  metadata: JsonObject;
  /** Epoch milliseconds, as all times. */
  createdAt: number;
  updatedAt: number;
  /** To the second: a busy session does not write this with each message. */
  lastActivityAt: number;
  /** The session expires when it was not used for so long. Absent: never. */
  ttlMs?: number;
  /** Messages in the conversation; channels not counted. */
  messageCount: number;
  requests: number;
  errors: number;
  processingTimeMs: number;
  /** For `ifVersion`. Counters and activity don't change it. */
  version: number;
}

/** What the session's record holds. */
export interface SessionRecord {
  userId: string;
  status: SessionStatus;
  metadata: JsonObject;
  createdAt: number;
  updatedAt: number;
  ttlMs?: number;
}

export interface SessionCounters {
  requests?: number;
  errors?: number;
  processingTimeMs?: number;
}
