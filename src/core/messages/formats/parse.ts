/** Messages come in: AI SDK model messages, OpenAI chat messages, plain ones, and stored ones handed back. */
import { InvalidInputError } from '../../errors.ts';
import { MAX_ID_LENGTH } from '../../ids.ts';
import type { Message, ParsedMessage, Priority, WireFields, WirePatch } from '../../model/message.ts';
import { fromAiSdk, toAiSdk } from './ai-sdk.ts';
import { messageId, messageIdProblem } from './message-id.ts';
import { fromOpenAi, type MessageBody, toOpenAi } from './openai.ts';
import { messageIssues, metadataIssues } from './schema.ts';
import { isPlainObject } from './values.ts';
import { difference } from './wire.ts';

type Fields = Record<string, unknown>;

/**
 * Checks a message of any format and translates it to ours. What is given is not copied: encode it before the
 * caller can change it.
 * @param path the input's name in error messages, such as `messages[2]`
 * @throws InvalidInputError with every problem of the message
 */
export function parseMessage(input: unknown, path: string): ParsedMessage {
  return parsePlain(input) ?? parseAny(input, path);
}

/**
 * The fast path: a plain message without a fault, by hand. Anything out of the ordinary is left to
 * {@link parseAny}, which gives the same result for what this one takes.
 */
function parsePlain(input: unknown): ParsedMessage | undefined {
  if (typeof input !== 'object' || input === null) return undefined;
  if (Object.getPrototypeOf(input) !== Object.prototype) return undefined;
  const { role, content } = input as Fields;
  if (role !== 'user' && role !== 'assistant' && role !== 'system' && role !== 'tool') return undefined;
  if (typeof content !== 'string') return undefined;
  const message: ParsedMessage = { role, content };
  for (const key in input) {
    if (key === 'role' || key === 'content') continue;
    const value = (input as Fields)[key];
    if (value === undefined) continue;
    if (!setOwnField(message, key, value)) return undefined;
  }
  return message;
}

/** Sets a field of ours, if it is one and there is nothing wrong with it. */
function setOwnField(message: ParsedMessage, key: string, value: unknown): boolean {
  switch (key) {
    case 'id':
      if (messageIdProblem(value) !== undefined) return false;
      message.id = value as string;
      return true;
    case 'name':
      if (typeof value !== 'string' || value.length > MAX_ID_LENGTH) return false;
      message.name = value;
      return true;
    case 'priority':
      if (value !== 'low' && value !== 'normal' && value !== 'high') return false;
      message.priority = value;
      return true;
    case 'pinned':
      if (typeof value !== 'boolean') return false;
      message.pinned = value;
      return true;
    case 'createdAt':
      if (!Number.isSafeInteger(value) || (value as number) < 0) return false;
      message.createdAt = value as number;
      return true;
    case 'metadata':
      if (metadataIssues(value, key).length > 0) return false;
      message.metadata = value as NonNullable<Message['metadata']>;
      return true;
    default:
      return false;
  }
}

function parseAny(input: unknown, path: string): ParsedMessage {
  const given = isStored(input) ? withoutPlace(input) : input;
  const issues = messageIssues(given, path);
  if (issues.length > 0) throw new InvalidInputError('not a message', issues);
  const { id, priority, pinned, metadata, createdAt, ...foreign } = given as Fields;
  const { body, wire } = isStored(input) ? readStored(foreign) : readForeign(foreign);
  return {
    ...body,
    ...(id !== undefined && { id: id as string }),
    ...(priority !== undefined && { priority: priority as Priority }),
    ...(pinned !== undefined && { pinned: pinned as boolean }),
    ...(metadata !== undefined && { metadata: metadata as NonNullable<Message['metadata']> }),
    ...(createdAt !== undefined && { createdAt: createdAt as number }),
    ...(wire && { wire }),
  };
}

interface Read {
  body: MessageBody;
  wire: WireFields | undefined;
}

function readForeign(given: Fields): Read {
  const format = formatOf(given);
  const body = format === 'openai' ? fromOpenAi(given) : fromAiSdk(given);
  const written = format === 'openai' ? toOpenAi(body)[0] : toAiSdk(body);
  const patch = difference((written ?? {}) as Fields, given);
  // Our own shape is the AI SDK's: without a word on it, a message was given as that, or could be of any format.
  if (!patch) return { body, wire: format === 'openai' ? { format } : undefined };
  return { body, wire: format === 'either' ? patch : { format, ...patch } };
}

const openAiFields = ['tool_calls', 'tool_call_id', 'function_call', 'refusal', 'audio'];
const openAiParts = new Set<unknown>(['image_url', 'input_audio', 'refusal']);
const aiSdkParts = new Set<unknown>([
  'reasoning',
  'reasoning-file',
  'custom',
  'image',
  'file',
  'tool-call',
  'tool-result',
  'tool-approval-request',
  'tool-approval-response',
]);

/** Which format a message is in; a plain one could be of either and is given back the same in both. */
function formatOf(given: Fields): 'openai' | 'ai-sdk' | 'either' {
  const { role, content } = given;
  if (role === 'developer' || role === 'function' || (typeof content === 'object' && content === null))
    return 'openai';
  if (content === undefined || openAiFields.some((field) => given[field] !== undefined)) return 'openai';
  // The AI SDK's system messages are text.
  const parts = Array.isArray(content) ? (content as Fields[]) : [];
  if (Array.isArray(content) && role === 'system') return 'openai';
  if (parts.some((part) => openAiParts.has(part.type) || (part.type === 'file' && part.file !== undefined))) {
    return 'openai';
  }
  if (given.providerOptions !== undefined) return 'ai-sdk';
  return parts.some((part) => aiSdkParts.has(part.type) || part.providerOptions !== undefined)
    ? 'ai-sdk'
    : 'either';
}

/** A message as `messages.list` gives it, handed in again: told by the place in the log that only we give. */
function isStored(input: unknown): input is Message {
  if (!isPlainObject(input) || typeof input.seq !== 'number' || typeof input.id !== 'string') return false;
  return typeof input.createdAt === 'number' && (input.wire === undefined || isPatch(input.wire));
}

function withoutPlace(message: Message): Fields {
  const { id, seq, tokens: _, ...rest } = message;
  // An id that only says the place is no id of its own.
  return id === messageId(seq) ? rest : { ...rest, id };
}

function readStored({ wire, ...rest }: Fields): Read {
  return { body: fromAiSdk(rest), wire: wire as WireFields | undefined };
}

function isPatch(value: unknown): value is WirePatch {
  if (!isPlainObject(value)) return false;
  const { set, absent, inside, format } = value;
  return (
    (format === undefined || format === 'openai' || format === 'ai-sdk') &&
    (set === undefined || isPlainObject(set)) &&
    (absent === undefined || (Array.isArray(absent) && absent.every((key) => typeof key === 'string'))) &&
    (inside === undefined || (isPlainObject(inside) && Object.values(inside).every(isPatch)))
  );
}
