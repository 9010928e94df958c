import { z } from 'zod';
import { durationSchema, idSchema, limitSchema, parseInput, timeSchema } from '../input.ts';
import type { Message } from '../model/message.ts';
import { messageLog } from '../partitions.ts';
import type { IndexProgress } from '../search/indexer.ts';
import type { EmbeddingUse } from '../search/query-vector.ts';
import type { Why } from '../search/rank.ts';
import type { FoundHit, FoundText, Searcher } from '../search/search.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import { entriesAt, toMessage } from './entries.ts';

const querySchema = z.string().max(100_000);
const searchSchema = z
  .strictObject({
    sessionId: idSchema.optional(),
    userId: idSchema.optional(),
    channel: idSchema.optional(),
    limit: limitSchema.optional(),
    roles: z
      .array(z.enum(['system', 'user', 'assistant', 'tool']))
      .min(1)
      .optional(),
    after: timeSchema.optional(),
    before: timeSchema.optional(),
    deadlineMs: durationSchema.optional(),
  })
  .refine(
    ({ sessionId, userId }) => (sessionId === undefined) !== (userId === undefined),
    'give sessionId or userId: where to search',
  );

export interface SearchMessages {
  /** In one session; or all sessions of a user. One of them. */
  sessionId?: string | undefined;
  userId?: string | undefined;
  /** In the channel of that name, in place of the conversation itself. */
  channel?: string | undefined;
  /** 1 to 1000; 10 where absent. */
  limit?: number | undefined;
  /** Only messages of these roles. */
  roles?: Message['role'][] | undefined;
  /** Only messages created after, before this time (epoch milliseconds). */
  after?: number | undefined;
  before?: number | undefined;
  /**
   * How long the index may take to catch up with what was written since (milliseconds): after that the search goes with
   * what is in it, and `index.complete` is false. Default: as long as it takes.
   */
  deadlineMs?: number | undefined;
}

export interface MessageHit {
  message: Message;
  sessionId: string;
  /** Comparable within one search only. */
  score: number;
  /** What the score is the sum of. */
  why: Why;
}

export interface MessageSearch {
  /** The best first. */
  hits: MessageHit[];
  /** Whether all that had been written was searched. */
  index: IndexProgress;
  /**
   * Whether meaning counted (`used`), or words alone: there is no embedder (`off`), its vectors are still being made
   * (`building`), it took too long for the query (`late`), it fails (`failed`).
   */
  embedding: EmbeddingUse;
}

/** Searches the messages of a session, or of a user. */
export async function searchMessages(
  context: ServiceContext,
  { searcher, activity }: { searcher: Searcher; activity: Activity },
  query: string,
  options: SearchMessages,
): Promise<MessageSearch> {
  const text = parseInput(querySchema, query, 'messages.search: query');
  const given = parseInput(searchSchema, options, 'messages.search');
  const { sessionId, userId, channel, limit = 10, deadlineMs } = given;
  if (sessionId !== undefined) await activity.checkForRead(sessionId);
  const collection = messageLog(channel);
  const { hits, index, embedding } = await searcher.find({
    tenant: context.tenant,
    collection,
    within: sessionId === undefined ? { scope: userId! } : { partition: partitionOf(context, sessionId) },
    query: text,
    limit,
    deadlineMs,
    accept: acceptance(given),
    explain: true,
  });
  return { hits: await load(context, collection, hits), index, embedding };
}

function acceptance({ roles, after, before }: SearchMessages): ((found: FoundText) => boolean) | undefined {
  if (!roles && after === undefined && before === undefined) return undefined;
  return ({ speaker, createdAt }) =>
    (!roles || roles.some((role) => role === speaker.role)) &&
    (after === undefined || createdAt > after) &&
    (before === undefined || createdAt < before);
}

/** The messages, without those that have been edited since, or taken away: what was found is another text. */
async function load(
  { store }: ServiceContext,
  log: string,
  hits: readonly FoundHit[],
): Promise<MessageHit[]> {
  const loading = [...Map.groupBy(hits, ({ partition }) => partition.id)].map(async ([id, ofSession]) => {
    const seqs = ofSession.map(({ seq }) => seq);
    return [id, await entriesAt(store, ofSession[0]!.partition, log, seqs)] as const;
  });
  const loaded = new Map(await Promise.all(loading));
  return hits.flatMap(({ partition: { id: sessionId }, seq, version, score, why }) => {
    const entry = loaded.get(sessionId)!.get(seq);
    return entry?.version === version ? [{ message: toMessage(entry), sessionId, score, why: why! }] : [];
  });
}
