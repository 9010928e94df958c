import type { Message, Part, ToolCallPart, ToolResultPart } from '../model/message.ts';
import type { TokenCounter } from './counter.ts';

/**
 * What a message costs beyond its text: OpenAI counts three for the frame and one for a name
 * (OpenAI cookbook, "How to count tokens with tiktoken"); one more is for the role.
 */
const PER_MESSAGE = 4;
const PER_NAME = 1;
/** The frame of a tool call or result: `{"id": …, "type": "function", "function": {…}}`. */
const PER_TOOL_PART = 8;
/** An image of unknown size: what a 1024 × 1024 one costs in OpenAI's high detail (four tiles of 170, and 85). */
const PER_IMAGE = 765;
/** Every reply is primed with these. */
export const PER_REQUEST = 3;

/** Counts a message as a model is given it. Never less than what its text alone costs. */
export function countMessage(counter: TokenCounter, message: Pick<Message, 'content' | 'name'>): number {
  const { content, name } = message;
  let tokens = PER_MESSAGE;
  if (name !== undefined) tokens += PER_NAME + counter.count(name);
  if (typeof content === 'string') return tokens + counter.count(content);
  for (const part of content) tokens += countPart(counter, part);
  return tokens;
}

function countPart(counter: TokenCounter, part: Part): number {
  switch (part.type) {
    case 'tool-call': {
      const { toolCallId, toolName, input, inputText } = part as ToolCallPart;
      return PER_TOOL_PART + counter.count(`${toolCallId} ${toolName} ${inputText ?? JSON.stringify(input)}`);
    }
    case 'tool-result': {
      const { toolCallId, toolName, output } = part as ToolResultPart;
      return PER_TOOL_PART + counter.count(`${toolCallId} ${toolName}`) + countOutput(counter, output);
    }
    case 'image':
      return PER_IMAGE;
    case 'file':
      return countFile(counter, part);
    default:
      return typeof part.text === 'string' ? 1 + counter.count(part.text) : counter.count(safeJson(part));
  }
}

function countOutput(counter: TokenCounter, output: ToolResultPart['output']): number {
  if (typeof output.value === 'string') return counter.count(output.value);
  if (!Array.isArray(output.value)) return counter.count(safeJson(output.value ?? null));
  return output.value.reduce<number>((sum, part) => sum + countContentPart(counter, part), 0);
}

function countContentPart(counter: TokenCounter, part: unknown): number {
  const { type, text } = (part ?? {}) as { type?: unknown; text?: unknown };
  if (typeof text === 'string') return counter.count(text);
  const media =
    typeof type === 'string' && (type.startsWith('image') || type === 'media' || type.startsWith('file'));
  return media ? PER_IMAGE : counter.count(safeJson(part));
}

/** Text files cost their text. Others can't be known: a token for every four bytes is a page of a PDF, about. */
function countFile(counter: TokenCounter, part: Part): number {
  const { data, mediaType } = part as { data?: unknown; mediaType?: unknown };
  if (typeof mediaType === 'string' && mediaType.startsWith('image/')) return PER_IMAGE;
  if (data instanceof Uint8Array) return Math.ceil(data.byteLength / 4);
  if (typeof data === 'string' && !/^https?:/.test(data)) {
    return typeof mediaType === 'string' && mediaType.startsWith('text/')
      ? counter.count(data)
      : Math.ceil(data.length / 5);
  }
  return PER_IMAGE;
}

/** Bytes in unknown parts are not text: their length stands for them. */
function safeJson(value: unknown): string {
  return (
    JSON.stringify(value, (_, field) =>
      field instanceof Uint8Array ? `[${field.byteLength} bytes]` : field,
    ) ?? ''
  );
}
