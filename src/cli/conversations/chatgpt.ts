/**
 * Conversations of ChatGPT's `conversations.json`: a tree of nodes, of which the branch that ends in `current_node`
 * is what the user saw last. The format has no public description; this follows what real exports hold.
 */
import { z } from 'zod';
import { quote } from '../../core/errors.ts';
import { inputIssues } from '../../core/input.ts';
import type { MessageInput } from '../../core/model/message.ts';
import { chatGptMessages, type GptMessage } from './chatgpt-messages.ts';
import {
  anyObject,
  brokenConversation,
  type Candidate,
  type Conversation,
  defined,
  identity,
  idShape,
  type JsonFields,
  otherFields,
  parseShape,
  unlessEmpty,
} from './conversation.ts';

const conversationShape = z.object({
  conversation_id: idShape.nullish(),
  id: idShape.nullish(),
  title: z.string().nullish(),
  /** Epoch seconds, as all times of an export. */
  create_time: z.number().nullish(),
  update_time: z.number().nullish(),
  default_model_slug: z.string().nullish(),
  current_node: z.string().nullish(),
  mapping: anyObject,
});

const nodeShape = z.object({
  parent: z.string().nullish(),
  message: z
    .object({
      author: z.object({ role: z.string(), name: z.string().nullish() }),
      create_time: z.number().nullish(),
      recipient: z.string().nullish(),
      content: anyObject.nullish(),
      metadata: anyObject.nullish(),
    })
    .nullish(),
});

type GptConversation = z.infer<typeof conversationShape>;
type Node = z.infer<typeof nodeShape>;

const KNOWN_FIELDS: ReadonlySet<string> = new Set(Object.keys(conversationShape.shape));

/** `metadata` has `title`, `model`, `updatedAt` (epoch ms), and under `chatgpt` every other field that says something. */
export function chatGptConversation(candidate: Candidate): Conversation {
  const conversation = parseShape(conversationShape, candidate);
  const createdAt = milliseconds(conversation.create_time);
  const metadata = defined<JsonFields>({
    title: conversation.title ?? undefined,
    model: conversation.default_model_slug ?? undefined,
    updatedAt: milliseconds(conversation.update_time),
    chatgpt: unlessEmpty(otherFields(candidate.value as JsonFields, KNOWN_FIELDS)),
  });
  return defined<Conversation>({
    ...identity(conversation.conversation_id ?? conversation.id, candidate),
    userId: undefined,
    createdAt,
    metadata: unlessEmpty(metadata),
    messages: currentBranch(conversation, candidate),
    source: candidate.source,
  });
}

/** The messages from the root to the current node. Nodes of other branches are not even looked at. */
function currentBranch(conversation: GptConversation, candidate: Candidate): MessageInput[] {
  // A map, for a node may be called `__proto__`.
  const nodes = new Map(Object.entries(conversation.mapping));
  const branch: GptMessage[] = [];
  const seen = new Set<string>();
  let id = conversation.current_node ?? lastLeaf(nodes);
  while (id !== undefined && nodes.has(id)) {
    if (seen.has(id)) {
      throw brokenConversation(candidate, [{ path: 'mapping', message: 'the parents form a circle' }]);
    }
    seen.add(id);
    const node = parseNode(nodes.get(id), id, candidate);
    if (node.message) branch.push(gptMessage(id, node.message, rawMessage(nodes.get(id))));
    id = node.parent ?? undefined;
  }
  if (seen.size === 0 && nodes.size > 0) {
    throw brokenConversation(candidate, [{ path: 'current_node', message: 'is no node of the mapping' }]);
  }
  return chatGptMessages(branch.reverse(), milliseconds(conversation.create_time));
}

/** Old exports have no `current_node`: the end of the newest branch is the last node that is nobody's parent. */
function lastLeaf(nodes: ReadonlyMap<string, unknown>): string | undefined {
  const parents = new Set([...nodes.values()].map((node) => (node as JsonFields | null)?.parent));
  return [...nodes.keys()].findLast((id) => !parents.has(id));
}

function parseNode(value: unknown, id: string, candidate: Candidate): Node {
  const result = nodeShape.safeParse(value);
  if (result.success) return result.data;
  const place = `mapping[${quote(id)}]`;
  const issues = inputIssues(result.error, value, nodeShape).map(({ path, message }) => ({
    path: path ? `${place}.${path}` : place,
    message,
  }));
  throw brokenConversation(candidate, issues);
}

function gptMessage(id: string, message: NonNullable<Node['message']>, raw: JsonFields): GptMessage {
  return {
    id,
    role: message.author.role,
    author: message.author.name ?? undefined,
    recipient: message.recipient ?? 'all',
    createdAt: milliseconds(message.create_time),
    content: message.content ?? {},
    metadata: message.metadata ?? {},
    raw,
  };
}

function rawMessage(node: unknown): JsonFields {
  return (node as { message: JsonFields }).message;
}

function milliseconds(seconds: number | null | undefined): number | undefined {
  return typeof seconds === 'number' ? Math.round(seconds * 1000) : undefined;
}
