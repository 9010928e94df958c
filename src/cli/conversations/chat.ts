/** Conversations with a `messages` array: our own JSONL lines and OpenAI chat JSON, fine-tuning files included. */
import { z } from 'zod';
import {
  anyObject,
  type Candidate,
  type Conversation,
  defined,
  identity,
  idShape,
  type JsonFields,
  parseShape,
} from './conversation.ts';

/** Ours alone, under one name, so that a foreign file's `state` or `status` is metadata as any other field. */
const backupShape = z.strictObject({
  status: z.enum(['active', 'completed', 'failed', 'expired']).optional(),
  ttlMs: z.int().min(1).optional(),
  state: anyObject.optional(),
  channels: z
    .array(
      z.strictObject({
        id: idShape,
        type: z.enum(['user_to_agent', 'agent_to_agent', 'mc_to_agent', 'user_to_mc']),
        participants: z.array(z.strictObject({ id: idShape, role: z.enum(['user', 'agent', 'mc']) })),
        metadata: anyObject.optional(),
        createdAt: z.int().nonnegative(),
        messages: z.array(anyObject),
      }),
    )
    .optional(),
});

const chatShape = z.object({
  id: idShape.nullish(),
  userId: idShape.nullish(),
  /** What OpenAI's requests call the user's id. */
  user: idShape.nullish(),
  createdAt: z.int().nonnegative().nullish(),
  metadata: anyObject.nullish(),
  messages: z.array(anyObject),
  holdfast: backupShape.nullish(),
});

/** Fields that are not of this shape (`model`, `tools`, …) become metadata; the file's own metadata wins. */
export function chatConversation(candidate: Candidate): Conversation {
  const chat = parseShape(chatShape, candidate);
  const others = Object.entries(candidate.value as JsonFields).filter(
    ([name]) => !Object.hasOwn(chatShape.shape, name),
  );
  const metadata =
    others.length === 0 ? chat.metadata : { ...Object.fromEntries(others), ...(chat.metadata ?? {}) };
  return defined<Conversation>({
    ...identity(chat.id, candidate),
    userId: chat.userId ?? chat.user ?? undefined,
    createdAt: chat.createdAt ?? undefined,
    metadata: metadata ?? undefined,
    messages: chat.messages,
    backup: chat.holdfast ?? undefined,
    source: candidate.source,
  });
}
