/**
 * From what is stored to the documents of the full-text index: one for each stretch of a log, one for each memory; and
 * to the texts that an embedder is given: one for each message, one for each memory.
 */
import type { JsonText } from '../json.ts';
import { memoryText } from '../memory/searchable.ts';
import { toMessage } from '../messages/entries.ts';
import { textOf } from '../messages/formats/text.ts';
import { MEMORIES } from '../partitions.ts';
import type { Entry, Operation } from '../store.ts';
import { analyse, descriptions, type Turn } from './analyse.ts';
import { packStretch, stretchOf } from './stretch.ts';

/** Brings one stretch of a log up to date in the index: `entries` are all that it holds now. */
export function indexStretch(
  log: string,
  stretch: number,
  entries: readonly Entry[],
  userId: string,
): Operation {
  const id = String(stretch);
  if (entries.length === 0) return { op: 'unindex', collection: log, id };
  return index(
    log,
    id,
    userId,
    entries.map((entry) => analyse({ ...toMessage(entry), version: entry.version })),
  );
}

/** Brings one memory up to date in the index. @param value undefined where it is no longer there */
export function indexMemory(
  id: string,
  stored: { value: JsonText; version: number } | undefined,
  userId: string,
): Operation {
  const memory = stored && memoryText(stored.value);
  if (!memory) return { op: 'unindex', collection: MEMORIES, id };
  return index(MEMORIES, id, userId, [
    analyse({ ...memory, seq: 0, version: stored.version, role: 'memory' }),
  ]);
}

/** More of a text is not embedded: models take so many tokens, and what a text is about shows at its beginning. */
const EMBEDDED_CHARACTERS = 8000;
const EMBEDDED_ROLES: readonly string[] = ['user', 'assistant', 'tool'];

/** What of an entry is embedded; empty: nothing. */
export function entryToEmbed(entry: Entry): string {
  const message = toMessage(entry);
  if (!EMBEDDED_ROLES.includes(message.role)) return '';
  return cut([textOf(message), ...descriptions(message.metadata)].filter(Boolean).join('\n'));
}

/** What of a memory is embedded. @param value undefined where it is no longer there */
export function memoryToEmbed(value: JsonText | undefined): string {
  const memory = value === undefined ? undefined : memoryText(value);
  return memory ? cut(memory.content) : '';
}

/** What of a query is embedded. */
export function queryToEmbed(query: string): string {
  return cut(query);
}

function cut(text: string): string {
  return text.trim().slice(0, EMBEDDED_CHARACTERS).toWellFormed();
}

/** What a vector is of: a message's by its seq in the log, a memory's by its version alone. */
export function vectorKey(version: number, seq?: number): string {
  return seq === undefined ? String(version) : `${seq}.${version}`;
}

/** Entries by the stretch that they are in; a stretch that was asked for and has none is there, too. */
export function byStretch(entries: readonly Entry[], stretches: readonly number[]): Map<number, Entry[]> {
  const found = new Map<number, Entry[]>(stretches.map((stretch) => [stretch, []]));
  for (const entry of entries) found.get(stretchOf(entry.seq))?.push(entry);
  return found;
}

function index(collection: string, id: string, scope: string, turns: readonly Turn[]): Operation {
  const order = turns.at(-1)!.createdAt;
  return { op: 'index', collection, id, scope, order, ...packStretch(turns) };
}
