/** The wire schemas of searching: see schemas.ts. */
import { z } from '@hono/zod-openapi';
import type { MessageHit, MessageSearch, SearchMessages } from '../core/messages/search.ts';
import type { IndexProgress } from '../core/search/indexer.ts';
import { count, type Fields, id, MessageAnswer, object, time } from './schemas.ts';

const query = z.string();
const how = {
  channel: id.optional(),
  limit: z.int().min(1).max(1000).optional().openapi({ description: '10 where absent' }),
  roles: z.array(z.enum(['system', 'user', 'assistant', 'tool'])).optional(),
  after: time.optional(),
  before: time.optional(),
  deadlineMs: z
    .int()
    .min(1)
    .optional()
    .openapi({ description: 'How long the index may take to catch up; milliseconds' }),
} satisfies Fields<Omit<SearchMessages, 'sessionId' | 'userId'>>;

export const SearchSession = z
  .object({ query, ...how } satisfies Fields<
    { query: string } & Omit<SearchMessages, 'sessionId' | 'userId'>
  >)
  .openapi('SearchSession');

export const SearchAll = z
  .object({
    query,
    sessionId: id.optional(),
    userId: id.optional(),
    ...how,
  } satisfies Fields<{ query: string } & SearchMessages>)
  .openapi('SearchMessages');

const hit = z.object({
  message: MessageAnswer,
  sessionId: id,
  score: z.number().openapi({ description: 'Comparable within one search only' }),
  why: object.openapi({ description: 'What the score is the sum of; `terms`: what each adds to `words`' }),
} satisfies Fields<MessageHit>);

export const SearchAnswer = z
  .object({
    hits: z.array(hit),
    index: z.object({ complete: z.boolean(), behind: count } satisfies Fields<IndexProgress>),
    embedding: z.enum(['used', 'off', 'late', 'building', 'failed']),
  } satisfies Fields<MessageSearch>)
  .openapi('MessageSearch');
