/** Where things live: the names of partitions, record kinds, logs and indexes, in one place. */
import { createHash } from 'node:crypto';
import type { Operation, Partition } from './store.ts';

export function sessionPartition(tenant: string, sessionId: string): Partition {
  return { tenant, type: 'session', id: sessionId };
}

/** What is kept of a user whatever the session: memories. */
export function userPartition(tenant: string, userId: string): Partition {
  return { tenant, type: 'user', id: userId };
}

/** How often a tool was called by whom, in the windows of its rate limit. It expires with them. */
export function toolRatePartition(tenant: string, limit: string, key: string): Partition {
  const whose = createHash('sha256').update(key).digest('base64url');
  return { tenant, type: 'tool-rate', id: `${limit}.${whose}` };
}

/** The collection of the full-text index that has the memories. Those of messages are called like their logs. */
export const MEMORIES = 'memories';

/** The user whose memories are the tenant's as a whole. No caller can name it. */
export const SHARED_USER = '$tenant';

/** A task that belongs to no session. */
export function taskPartition(tenant: string, taskId: string): Partition {
  return { tenant, type: 'task', id: taskId };
}

/** What the engine itself keeps: cursors of journal consumers. Its tenant is no user's: it has a reserved name. */
export const SYSTEM_PARTITION: Partition = { tenant: '$system', type: 'system', id: 'engine' };

/** Record kinds of a session's partition. Those that exist once have their kind as id. */
export const kinds = {
  session: 'session',
  /** When the session was last used, to the second; apart from the session, which it must not make conflict. */
  activity: 'activity',
  /** Where a copy is under way that is no session yet. */
  fork: 'fork',
  /** Who may run the session. Its version is the token that fenced writes carry. */
  lease: 'lease',
  /** Until when, which every renewal writes. */
  leaseExpiry: 'lease-expiry',
  counters: 'counters',
  state: 'state',
  channel: 'channel',
  /** Token counts of a stretch of a log. */
  tokens: 'tokens',
  /** Where the last user turn of a log was found. */
  lastUser: 'last-user',
  /** Which compactions of a log count, and who is making one. */
  compaction: 'compaction',
  /** Summed up usage, by model. */
  usage: 'usage',
  /** How a provider's counts compare with ours, by model. */
  calibration: 'calibration',
  /** What of a partition is in the full-text index. */
  textIndex: 'text-index',
  /** One memory, in its user's partition. */
  memory: 'memory',
  /** How well a memory is remembered. */
  memoryLife: 'memory-life',
  /** A memory that another one contradicts. */
  memorySuperseded: 'memory-superseded',
  /** Which memories have the same words, by a hash of those: twins are found there. */
  memoryTwin: 'memory-twin',
  /** Which memory has a key, or tells a fact that can be told once. */
  memoryKey: 'memory-key',
  memoryFact: 'memory-fact',
  /** How many memories a user has, by tier. */
  memoryCounters: 'memory-counters',
  /** When a user's memories were last consolidated, and what came of it. */
  memoryConsolidation: 'memory-consolidation',
  /** Up to where a session's log was read for memories, by log. */
  memoryExtraction: 'memory-extraction',
  /** One task, in its session's partition or, without a session, in one of its own. */
  task: 'task',
  /** That a task was closed, and when. */
  taskEnd: 'task-end',
  /** What a task's history leaves out of its log, and what it knew of files and models by then. */
  taskTrim: 'task-trim',
  /** How many updates a task has, and what the models that it used have counted. */
  taskCounters: 'task-counters',
  /** The same of all that happened in the session's timeline. */
  taskTotals: 'task-totals',
  /** How many calls a window of a rate limit has, in a partition of the limit's. */
  toolRate: 'tool-rate',
  /** How long an offloaded result of a tool is. */
  toolResult: 'tool-result',
  /** A journal consumer's cursor, in the system partition. */
  consumer: 'consumer',
  /** Which embedder's vectors are searched, and how far they are, in the system partition. */
  embedding: 'embedding',
  /** What tells a store from every other, in the system partition. */
  identity: 'identity',
  /** How far a copy into this store is, in the system partition. */
  copy: 'copy',
} as const;

export const indexes = {
  sessions: 'sessions',
  sessionsByUser: 'sessions-by-user',
  sessionsByStatus: 'sessions-by-status',
  sessionsByActivity: 'sessions-by-activity',
  memories: 'memories',
  memoriesById: 'memories-by-id',
  memoriesByTag: 'memories-by-tag',
  /** By when they are forgotten. */
  memoriesByFading: 'memories-by-fading',
  memoriesSuperseded: 'memories-superseded',
  tasks: 'tasks',
  tasksById: 'tasks-by-id',
  tasksByChat: 'tasks-by-chat',
  tasksByUser: 'tasks-by-user',
  tasksBySession: 'tasks-by-session',
} as const;

/** Marks of log entries, by which a window finds them however old they are. */
export const marks = { pinned: 'pinned', high: 'high' } as const;

/** The log of the conversation itself, or of one of the session's channels. */
export function messageLog(channel?: string): string {
  return channel === undefined ? 'messages' : `channel:${channel}`;
}

/** The channel of a message log: null for the conversation itself, undefined for a log that has no messages. */
export function channelOfLog(log: string): string | null | undefined {
  if (log === 'messages') return null;
  return log.startsWith('channel:') ? log.slice('channel:'.length) : undefined;
}

/** The log of a message log's compactions. */
export function compactionLog(channel?: string): string {
  return channel === undefined ? 'compactions' : `compactions:${channel}`;
}

/** The channel of a log of compactions: null for the conversation itself, undefined for a log of something else. */
export function channelOfCompactions(log: string): string | null | undefined {
  if (log === 'compactions') return null;
  return log.startsWith('compactions:') ? log.slice('compactions:'.length) : undefined;
}

/** The log of an offloaded result of a tool, in pieces. */
export function toolResultLog(id: string): string {
  return `tool-result:${id}`;
}

/** The log of recorded windows. */
export const WINDOW_LOG = 'windows';

/** The log of what happened beside the conversation: updates of tasks, marked with their task, and tool calls. */
export const TIMELINE_LOG = 'timeline';

/** A batch with this goes ahead only where no copy is under way. */
export const noFork: Operation = { op: 'check', kind: kinds.fork, id: kinds.fork, ifVersion: 'absent' };

/** A batch with this goes ahead only where the session exists. */
export const sessionExists: Operation = {
  op: 'check',
  kind: kinds.session,
  id: kinds.session,
  ifVersion: 'present',
};
