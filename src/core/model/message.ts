/** Messages and their parts. The shapes follow the AI SDK's model messages; unknown fields survive a round trip. */
import type { Json, JsonObject } from '../json.ts';

export type Role = 'system' | 'user' | 'assistant' | 'tool';
export type Priority = 'low' | 'normal' | 'high';

/** Fields of a provider, by its name: `{anthropic: {cacheControl: …}}`. Never interpreted. */
export type ProviderOptions = { [provider: string]: JsonObject };

interface PartBase {
  providerOptions?: ProviderOptions;
  /** Unknown fields are kept. */
  [field: string]: unknown;
}

export interface TextPart extends PartBase {
  type: 'text';
  text: string;
  /** The text is a refusal, as OpenAI tells them apart. */
  refusal?: boolean;
}
export interface ReasoningPart extends PartBase {
  type: 'reasoning';
  text: string;
}
/** `image` is a URL or base64 text, or bytes. */
export interface ImagePart extends PartBase {
  type: 'image';
  image: string | URL | Uint8Array;
  mediaType?: string;
}
/** `data` is a URL or base64 text, or bytes. */
export interface FilePart extends PartBase {
  type: 'file';
  data: string | URL | Uint8Array;
  mediaType: string;
  filename?: string;
}
export interface ToolCallPart extends PartBase {
  type: 'tool-call';
  /** Ids may repeat within a conversation. Empty for OpenAI's legacy `function_call`, which has none. */
  toolCallId: string;
  toolName: string;
  /** Arguments that are no JSON, and the input of a custom tool, are a string. */
  input: Json;
  /** The arguments as the model wrote them, where `JSON.stringify(input)` would not give that text. */
  inputText?: string;
  /** A call of an OpenAI custom tool, whose input is free text. */
  custom?: boolean;
}
/** `output` follows the AI SDK: `{type: 'text', value}`, `{type: 'json', value}`, `{type: 'error-text', value}`, … */
export interface ToolResultPart extends PartBase {
  type: 'tool-result';
  toolCallId: string;
  /** Empty where the format did not say it (OpenAI). */
  toolName: string;
  output: { type: string; value?: unknown; [field: string]: unknown };
}
/** A part that this version does not know: kept and given back untouched. */
export interface UnknownPart extends PartBase {
  type: string;
}
export type Part =
  | TextPart
  | ReasoningPart
  | ImagePart
  | FilePart
  | ToolCallPart
  | ToolResultPart
  | UnknownPart;

/** A stored message. */
export interface Message {
  id: string;
  /** Its place in the log: gapless, given by the store. */
  seq: number;
  role: Role;
  content: string | Part[];
  /** Who speaks, where the role does not say it. */
  name?: string;
  /** What a full window gives up first (`low`) and last (`high`). `normal` where absent. */
  priority?: Priority;
  /** Always in the window. */
  pinned?: boolean;
  /** Tokens by the session's counter; absent until they are counted, right after the append. */
  tokens?: number;
  metadata?: JsonObject;
  providerOptions?: ProviderOptions;
  /** Epoch milliseconds. */
  createdAt: number;
  /** What another format says beyond the fields above, so that it can be given back to the letter. */
  wire?: WireFields;
}

/**
 * What a message loses when its fields are written in a foreign format again: the difference to what was given.
 * Without a `format` it belongs to all of them (the message could be of any).
 */
export interface WireFields extends WirePatch {
  format?: 'openai' | 'ai-sdk';
}

/** How to turn one JSON value into another: fields to set, to take away, and to patch inside. */
export interface WirePatch {
  set?: { [field: string]: unknown };
  absent?: string[];
  /** By field name, or by index in a list. */
  inside?: { [field: string]: WirePatch };
}

/** A message as it was handed in, checked and translated: not yet in the log. */
export type ParsedMessage = Omit<Message, 'id' | 'seq' | 'tokens' | 'createdAt'> &
  Partial<Pick<Message, 'id' | 'createdAt'>>;

/** What `messages.append` takes: plain messages, AI SDK model messages, OpenAI chat messages. */
export interface MessageInput {
  id?: string;
  role: string;
  content?: unknown;
  name?: string;
  priority?: Priority;
  pinned?: boolean;
  metadata?: Record<string, unknown>;
  createdAt?: number;
  [field: string]: unknown;
}
