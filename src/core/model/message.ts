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
  toolCallId: string;
  toolName: string;
  input: Json;
}
/** `output` follows the AI SDK: `{type: 'text', value}`, `{type: 'json', value}`, `{type: 'error-text', value}`, … */
export interface ToolResultPart extends PartBase {
  type: 'tool-result';
  toolCallId: string;
  toolName: string;
  output: { type: string; value?: unknown; [field: string]: unknown };
}
/** A part that this version does not know: kept and given back untouched. */
export interface UnknownPart extends PartBase {
  type: string;
}
export type Part = TextPart | ReasoningPart | ImagePart | FilePart | ToolCallPart | ToolResultPart | UnknownPart;

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

/** Leftovers of a foreign format: fields to put back, and fields that were not there. */
export interface WireFields {
  format: 'openai' | 'ai-sdk';
  set?: JsonObject;
  absent?: string[];
}

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
