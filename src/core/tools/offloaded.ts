/** Large results, kept in the session until somebody reads them back. */
import { z } from 'zod';
import { leftOut } from '../compaction/marker.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { newId } from '../ids.ts';
import { decodeJson } from '../json.ts';
import { kinds, sessionExists, toolResultLog } from '../partitions.ts';
import { missingSession, partitionOf, type ServiceContext } from '../services.ts';
import type { Operation } from '../store.ts';

/** How a result is kept (UTF-16 code units): in pieces, some of which are written at once. */
const PIECE = 128 * 1024;
const PIECES_A_COMMIT = 8;
const PREFIX = 'tool:';

/** Part of a result that was offloaded. */
export interface ResultPart {
  text: string;
  /** Where it begins (UTF-16 code units). */
  offset: number;
  /** Of the whole result. */
  length: number;
  /** Where it goes on; absent at the end. */
  nextOffset?: number;
}

export interface ReadResult {
  /** 0 unless given. */
  offset?: number | undefined;
  /** How much at most (UTF-16 code units; 16 384). */
  limit?: number | undefined;
}

export const readResultSchema = z.strictObject({
  offset: z.int().min(0).default(0),
  limit: z
    .int()
    .min(1)
    .max(1024 * 1024)
    .default(16_384),
});

/** Keeps a text in a session. The handle is known only when all of it is there. @throws NotFoundError */
export async function keepResult(
  context: ServiceContext,
  sessionId: string,
  text: string,
): Promise<{ marker: string; handle: string }> {
  const id = newId();
  const partition = partitionOf(context, sessionId);
  const log = toolResultLog(id);
  try {
    for (let at = 0; at < text.length; at += PIECE * PIECES_A_COMMIT) {
      const append: Operation = { op: 'append', log, entries: piecesOf(text, at) };
      await context.store.commit({ partition, operations: [sessionExists, append] });
    }
    const value = JSON.stringify({ length: text.length });
    const put: Operation = { op: 'put', kind: kinds.toolResult, id, value };
    await context.store.commit({ partition, operations: [sessionExists, put] });
  } catch (error) {
    throw missingSession(error, sessionId);
  }
  const handle = `${PREFIX}${id}`;
  return { handle, marker: leftOut(handle, text) };
}

function piecesOf(text: string, from: number): { value: string }[] {
  const to = Math.min(text.length, from + PIECE * PIECES_A_COMMIT);
  const pieces: { value: string }[] = [];
  for (let at = from; at < to; at += PIECE)
    pieces.push({ value: JSON.stringify(text.slice(at, at + PIECE)) });
  return pieces;
}

/** @throws NotFoundError where the session has no such result, InvalidInputError for what is no handle */
export async function readResult(
  context: ServiceContext,
  sessionId: string,
  handle: string,
  { offset, limit }: z.output<typeof readResultSchema>,
): Promise<ResultPart> {
  if (typeof handle !== 'string' || !handle.startsWith(PREFIX)) {
    const message = 'expected a handle as results name it: tool:…';
    throw new InvalidInputError('tools.readResult', [{ path: 'handle', message }]);
  }
  const id = handle.slice(PREFIX.length);
  const partition = partitionOf(context, sessionId);
  const kept = await context.records.get<{ length: number }>(partition, kinds.toolResult, id);
  if (!kept) throw new NotFoundError('offloaded result', handle);
  const { length } = kept.value;
  if (offset >= length) return { text: '', offset, length };
  const end = Math.min(length, offset + limit);
  const first = Math.floor(offset / PIECE);
  const { entries } = await context.store.readLog(partition, toolResultLog(id), {
    after: first,
    limit: Math.floor((end - 1) / PIECE) - first + 1,
  });
  const text = entries.map(({ value }) => decodeJson<string>(value)).join('');
  const start = offset - first * PIECE;
  const part = { text: text.slice(start, start + end - offset), offset, length };
  return end < length ? { ...part, nextOffset: end } : part;
}
