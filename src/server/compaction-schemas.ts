/** The wire schemas of compactions. */
import { z } from '@hono/zod-openapi';
import type { CompactOptions } from '../core/compaction/options.ts';
import type { Offloaded } from '../core/messages/offloaded.ts';
import { type Compaction, type CompactionResult, strategies } from '../core/model/compaction.ts';
import { count, type Fields, id, object, time } from './schemas.ts';

const strategy = z.enum(strategies);
const ranges = z.array(z.array(z.int()));

/** What can't be said in JSON, a summarizer and a signal, is the server's. */
export const CompactBody = z
  .object({
    strategy: z.union([strategy, z.array(strategy)]).optional(),
    targetTokens: z.int().min(1).optional(),
    channel: id.optional(),
    model: z.string().optional(),
  } satisfies Fields<Omit<CompactOptions, 'summarizer' | 'signal'>>)
  .openapi('CompactRequest');

export const CompactionAnswer = z
  .object({
    id,
    createdAt: time,
    channel: id.optional(),
    strategy: z.string(),
    fromSeq: count,
    uptoSeq: count,
    atSeq: count,
    summary: z.string().optional(),
    sources: ranges,
    kept: ranges,
    offloaded: ranges,
    covered: count,
    tokensBefore: count,
    tokensAfter: count,
    counter: z.string(),
    base: z.string().optional(),
    forTokens: count.optional(),
    model: z.string().optional(),
    fallback: z.string().optional(),
    undone: z.object({ at: time, reason: z.string() }).optional(),
  } satisfies Fields<Compaction>)
  .openapi('Compaction');

export const CompactAnswer = z
  .object({
    compaction: CompactionAnswer.optional(),
    refused: z
      .object({
        reason: z.string(),
        tokensBefore: count.optional(),
        tokensAfter: count.optional(),
        until: count.optional(),
      })
      .optional()
      .openapi({ description: 'Why there is no compaction' }),
  } satisfies Fields<CompactionResult>)
  .openapi('CompactAnswer');
export const CompactionList = z.object({ compactions: z.array(CompactionAnswer) });
export const UndoBody = z.object({ id: id.optional(), channel: id.optional() });
export const OffloadedQuery = z.strictObject({
  handle: z.string().openapi({ description: 'As markers name it: @120/0' }),
  channel: z.string().optional(),
});
export const OffloadedAnswer = z
  .object({
    messageId: id,
    seq: count,
    part: object.optional(),
    text: z.string(),
  } satisfies Fields<Offloaded>)
  .openapi('Offloaded');
