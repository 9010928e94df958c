/** Messages as entries of a log, and entries as messages. */
import { type InputIssue, InvalidInputError } from '../errors.ts';
import type { Message, ParsedMessage } from '../model/message.ts';
import { marks } from '../partitions.ts';
import type { AppendEntry, Entry, Partition, Store } from '../store.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import { messageId } from './formats/message-id.ts';

/** The most seqs that a store is asked for at once. */
const SEQS_AT_ONCE = 1000;

/** The entries that a log has at given seqs, by seq; in one call, unless they are very many. */
export async function entriesAt(
  store: Store,
  partition: Partition,
  log: string,
  seqs: readonly number[],
): Promise<Map<number, Entry>> {
  const found = new Map<number, Entry>();
  for (let i = 0; i < seqs.length; i += SEQS_AT_ONCE) {
    const part = seqs.slice(i, i + SEQS_AT_ONCE);
    const { entries } = await store.readLog(partition, log, { seqs: part, limit: part.length });
    for (const entry of entries) found.set(entry.seq, entry);
  }
  return found;
}

/** An entry of a message log as a message. */
export function toMessage(entry: Entry): Message {
  return decodeMessage(entry.value, entry.seq, entry.id ?? messageId(entry.seq));
}

/** All entries, or all problems of all of them. */
export function toEntries(
  messages: readonly ParsedMessage[],
  now: number,
  paths: readonly string[],
): AppendEntry[] {
  const issues: InputIssue[] = [];
  const entries: AppendEntry[] = [];
  for (const [i, message] of messages.entries()) {
    try {
      entries.push(toEntry(message, now, paths[i]!));
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      issues.push(...error.issues);
    }
  }
  if (issues.length > 0) throw new InvalidInputError('messages.append', issues);
  return entries;
}

function toEntry(message: ParsedMessage, now: number, path: string): AppendEntry {
  const value = encodeMessage(message, now, path);
  const mark = markOf(message);
  if (message.id === undefined) return mark === undefined ? { value } : { value, mark };
  return mark === undefined ? { id: message.id, value } : { id: message.id, value, mark };
}

/** The mark by which a window finds the message however old it is. */
export function markOf(message: Pick<ParsedMessage, 'pinned' | 'priority'>): string | undefined {
  return message.pinned ? marks.pinned : message.priority === 'high' ? marks.high : undefined;
}

/** A message that was just appended, as it is stored. */
export function stored(message: ParsedMessage, seq: number, now: number): Message {
  const { id = messageId(seq), createdAt = now } = message;
  return { ...message, id, seq, createdAt };
}
