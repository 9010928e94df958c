import { channelOfCompactions, channelOfLog, kinds, WINDOW_LOG } from '../partitions.ts';
import type { Change, ChangeOperation, Cursor } from '../store.ts';

/** What an event carries whatever its type. */
interface EventBase {
  /** Where it stands in the journal: subscribe `after` it to go on from there. */
  cursor: Cursor;
  /** When it was committed (epoch milliseconds). */
  at: number;
  tenant: string;
  sessionId: string;
}

/** Fields that tell of entries of a message log. `channel` is absent for the conversation itself. */
interface InLog extends EventBase {
  channel?: string;
}

/** Everything that happens, by type. Events say what changed and where; read the values from the services. */
export type EngineEvent =
  | (EventBase & { type: 'session.created' | 'session.updated' | 'session.deleted' | 'session.expired' })
  | (InLog & { type: 'message.appended'; firstSeq: number; lastSeq: number; count: number })
  | (InLog & { type: 'message.edited'; seq: number })
  /** The messages that are left are those from `firstSeq` to `lastSeq`; none where that is the smaller. */
  | (InLog & { type: 'messages.truncated'; firstSeq: number; lastSeq: number })
  | (EventBase & { type: 'state.changed'; version: number })
  | (EventBase & { type: 'channel.opened'; channel: string })
  | (EventBase & { type: 'usage.reported' })
  | (EventBase & { type: 'window.recorded'; seq: number })
  /** `id` is the compaction's. */
  | (InLog & { type: 'window.compacted'; id: string });

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
  if (partition.type !== 'session') return [];
  const base = { cursor, at, tenant: partition.tenant, sessionId: partition.id };
  const events = new Map<string, EngineEvent>();
  for (const operation of change.operations) {
    const told = eventOf(operation);
    if (!told) continue;
    const event = { ...base, ...told } as EngineEvent;
    if (wanted(event)) events.set(JSON.stringify(told), event);
  }
  return [...events.values()].map((event, i) => (i < events.size - 1 ? { ...event, cursor: before } : event));
}

/** An event without the fields that all have. */
type Told<E = EngineEvent> = E extends EngineEvent ? Omit<E, keyof EventBase> : never;

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
  return undefined;
}

function appendEvent({ log, firstSeq, count }: ChangeOperation & { op: 'append' }): Told | undefined {
  if (log === WINDOW_LOG) return { type: 'window.recorded', seq: firstSeq };
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
