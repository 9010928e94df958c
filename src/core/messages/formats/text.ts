import type { FilePart, Message, Part, TextPart, ToolCallPart, ToolResultPart } from '../../model/message.ts';
import { bytesOf } from './values.ts';

/**
 * The plain text that a message carries, one line per part: texts, reasoning and refusals as they are; a tool call as
 * its tool's name and its input; a tool result as its output, JSON where it is not text; a file as its name; an
 * unknown part as its `text`, if it has one. Pictures, bytes and base64 data carry none. It is what searching and
 * estimating tokens look at, not what a model is given.
 */
export function textOf(message: Pick<Message, 'content'>): string {
  const { content } = message;
  return typeof content === 'string' ? content : content.map(textOfPart).filter(Boolean).join('\n');
}

function textOfPart(part: Part): string {
  if (part.type === 'tool-call') {
    const { toolName, input } = part as ToolCallPart;
    return `${toolName} ${asText(input)}`.trim();
  }
  if (part.type === 'tool-result') return textOfOutput((part as ToolResultPart).output);
  if (part.type === 'file') return (part as FilePart).filename ?? '';
  const { text } = part as TextPart;
  return typeof text === 'string' ? text : '';
}

function textOfOutput({ type, value, reason }: ToolResultPart['output']): string {
  if (type === 'content' && Array.isArray(value))
    return (value as Part[]).map(textOfPart).filter(Boolean).join('\n');
  return asText(value ?? reason);
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  // A Buffer has a toJSON, so what is left out must be looked at where it is held.
  return JSON.stringify(value, withoutBytes) ?? '';
}

function withoutBytes(this: unknown, key: string, value: unknown): unknown {
  return bytesOf((this as Record<string, unknown>)[key]) ? undefined : value;
}
