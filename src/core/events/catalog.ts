import {
  channelOfCompactions,
  channelOfLog,
  kinds,
  SHARED_USER,
  TIMELINE_LOG,
  WINDOW_LOG,
} from '../partitions.ts';
import type { Change, ChangeOperation, Cursor, Partition } from '../store.ts';

/** What an event carries whatever its type. */
interface EventBase {
  /** Where it stands in the journal: subscribe `after` it to go on from there. */
  cursor: Cursor;
  /** When it was committed (epoch milliseconds). */
  at: number;
  tenant: string;
}

interface SessionEvent extends EventBase {
  sessionId: string;
}

/** Memories are a user's, or the tenant's: then `userId` is absent. */
interface MemoryEvent extends EventBase {
  userId?: string;
  sessionId?: undefined;
}

/** Tasks belong to a session, or to none: then `sessionId` is absent. */
interface TaskEvent extends EventBase {
  sessionId?: string;
  taskId: string;
}

/** Fields that tell of entries of a message log. `channel` is absent for the conversation itself. */
interface InLog extends SessionEvent {
  channel?: string;
}

/** Everything that happens, by type. Events say what changed and where; read the values from the services. */
export type EngineEvent =
  | (SessionEvent & { type: 'session.created' | 'session.updated' | 'session.deleted' | 'session.expired' })
  | (InLog & { type: 'message.appended'; firstSeq: number; lastSeq: number; count: number })
  | (InLog & { type: 'message.edited'; seq: number })
  /** The messages that are left are those from `firstSeq` to `lastSeq`; none where that is the smaller. */
  | (InLog & { type: 'messages.truncated'; firstSeq: number; lastSeq: number })
  | (SessionEvent & { type: 'state.changed'; version: number })
  | (SessionEvent & { type: 'channel.opened'; channel: string })
  | (SessionEvent & { type: 'usage.reported' })
  | (SessionEvent & { type: 'window.recorded'; seq: number })
  /** `id` is the compaction's. */
  | (InLog & { type: 'window.compacted'; id: string })
  | (MemoryEvent & {
      type: 'memory.added' | 'memory.updated' | 'memory.deleted' | 'memory.superseded';
      memoryId: string;
    })
  | (MemoryEvent & { type: 'memory.consolidated' })
  | (TaskEvent & { type: 'task.opened' | 'task.updated' | 'task.closed' })
  /** Updates of tasks, calls of tools: what happened beside the conversation. */
  | (SessionEvent & { type: 'timeline.appended'; firstSeq: number; lastSeq: number; count: number });

export type EventType = EngineEvent['type'];

export const eventTypes = [
  'session.created',
  'session.updated',
  'session.deleted',
  'session.expired',
  'message.appended',
  'message.edited',
  'messages.truncated',
  'state.changed',
  'channel.opened',
  'usage.reported',
  'window.recorded',
  'window.compacted',
  'memory.added',
  'memory.updated',
  'memory.deleted',
  'memory.superseded',
  'memory.consolidated',
  'task.opened',
  'task.updated',
  'task.closed',
  'timeline.appended',
] as const satisfies readonly EventType[];

/**
 * The wanted events that a commit means, none twice. Only the last of them has the commit's cursor: whoever goes on after
 * the cursor of an earlier one is given the commit again, and loses none.
 * @param before the cursor of the commit before
 */
export function eventsOf(
  change: Change,
  before: Cursor,
  wanted: (event: EngineEvent) => boolean,
): EngineEvent[] {
  const { cursor, at, partition } = change;
  const whose = ownerOf(partition);
  if (!whose) return [];
  const base = { cursor, at, tenant: partition.tenant, ...whose };
  const events = new Map<string, EngineEvent>();
  const all = partition.type === 'user' ? memoryEvents(change) : told(change);
  for (const told of all) {
    if (!told) continue;
    const event = { ...base, ...told } as EngineEvent;
    if (wanted(event)) events.set(JSON.stringify(told), event);
  }
  return [...events.values()].map((event, i) => (i < events.size - 1 ? { ...event, cursor: before } : event));
}

/** The events of a session's partition, or of a task that belongs to none: only those of the task. */
function told({ partition, operations }: Change): (Told | undefined)[] {
  const all = operations.map(eventOf);
  return partition.type === 'session' ? all : all.filter((event) => event?.type.startsWith('task.'));
}

/** An event without the fields that all have. */
type Told<E = EngineEvent> = E extends EngineEvent ? Omit<E, keyof SessionEvent> : never;

/** Whose an event of a partition is; undefined for a partition that has none. */
function ownerOf({ type, id }: Partition): { sessionId: string } | { userId?: string } | undefined {
  if (type === 'session') return { sessionId: id };
  if (type === 'task') return {};
  if (type === 'user') return id === SHARED_USER ? {} : { userId: id };
  return undefined;
}

/** One that is superseded leaves one record and enters another. */
function memoryEvents({ operations }: Change): (Told | undefined)[] {
  const records = operations.filter((operation) => 'kind' in operation);
  const superseded = new Set(
    records.flatMap(({ op, kind, id }) => (op === 'put' && kind === kinds.memorySuperseded ? id : [])),
  );
  return records.map((operation): Told | undefined => {
    const { op, kind, id } = operation;
    if (kind === kinds.memoryConsolidation) return { type: 'memory.consolidated' };
    if (kind !== kinds.memory && kind !== kinds.memorySuperseded) return undefined;
    if (superseded.has(id)) return { type: 'memory.superseded', memoryId: id };
    if (op === 'delete') return { type: 'memory.deleted', memoryId: id };
    return { type: operation.created ? 'memory.added' : 'memory.updated', memoryId: id };
  });
}

function eventOf(operation: ChangeOperation): Told | undefined {
  switch (operation.op) {
    case 'put':
    case 'add':
      return recordEvent(operation);
    case 'append':
      return appendEvent(operation);
    case 'rewrite': {
      const { log, seq } = operation;
      return inLog(log, { type: 'message.edited', seq });
    }
    case 'truncate': {
      const { log, firstSeq, lastSeq } = operation;
      return inLog(log, { type: 'messages.truncated', firstSeq, lastSeq });
    }
    case 'drop':
      return { type: operation.expired ? 'session.expired' : 'session.deleted' };
    default:
      return undefined;
  }
}

function recordEvent({
  kind,
  id,
  version,
  created,
}: ChangeOperation & { op: 'put' | 'add' }): Told | undefined {
  if (kind === kinds.session) return { type: created ? 'session.created' : 'session.updated' };
  if (kind === kinds.counters) return { type: 'session.updated' };
  if (kind === kinds.state) return { type: 'state.changed', version };
  if (kind === kinds.channel && created) return { type: 'channel.opened', channel: id };
  if (kind === kinds.usage) return { type: 'usage.reported' };
  if (kind === kinds.task) return { type: created ? 'task.opened' : 'task.updated', taskId: id };
  if (kind === kinds.taskCounters) return { type: 'task.updated', taskId: id };
  if (kind === kinds.taskEnd) return { type: 'task.closed', taskId: id };
  return undefined;
}

function appendEvent({ log, firstSeq, count }: ChangeOperation & { op: 'append' }): Told | undefined {
  if (log === WINDOW_LOG) return { type: 'window.recorded', seq: firstSeq };
  if (log === TIMELINE_LOG)
    return { type: 'timeline.appended', firstSeq, lastSeq: firstSeq + count - 1, count };
  const compacted = channelOfCompactions(log);
  if (compacted !== undefined) {
    const event = { type: 'window.compacted', id: String(firstSeq) } as const;
    return compacted === null ? event : { ...event, channel: compacted };
  }
  return inLog(log, { type: 'message.appended', firstSeq, lastSeq: firstSeq + count - 1, count });
}

/** An event of a message log; undefined for a log that is none. */
function inLog<E extends Told>(log: string, event: E): E | (E & { channel: string }) | undefined {
  const channel = channelOfLog(log);
  if (channel === undefined) return undefined;
  return channel === null ? event : { ...event, channel };
}
