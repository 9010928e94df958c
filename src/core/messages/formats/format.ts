/** Messages go out, in the format of the library that is to read them. */
import type { Message, Part, ToolCallPart, ToolResultPart } from '../../model/message.ts';
import { type AiSdkMessage, toAiSdk } from './ai-sdk.ts';
import { type MessageBody, toOpenAi } from './openai.ts';
import type { OpenAiMessage } from './openai-types.ts';
import { patched } from './wire.ts';

/** The formats that messages can be read in. */
export type MessageFormat = 'ai-sdk' | 'openai';

/** What a message is in each of them. */
export interface FormattedMessages {
  'ai-sdk': AiSdkMessage;
  openai: OpenAiMessage;
}

type Written = MessageBody & Pick<Message, 'wire'>;

/**
 * Writes messages in a format. One that was given in it comes back field for field, without what is ours alone
 * (id, seq, priority, pinned, tokens, metadata, createdAt). One of the other format is translated: an AI SDK tool
 * message becomes one OpenAI message per result, so there may be more messages than before; a tool result without
 * its tool's name gets it from the nearest call before it in the list.
 */
export function formatMessages<F extends MessageFormat>(
  messages: readonly Written[],
  as: F,
): FormattedMessages[F][] {
  const formatted = as === 'openai' ? messages.flatMap(asOpenAi) : asAiSdk(messages);
  return formatted as FormattedMessages[F][];
}

function asOpenAi(message: Written): OpenAiMessage[] {
  const { wire } = message;
  const written = toOpenAi(message);
  if (!wire || wire.format === 'ai-sdk') return written;
  // What was given as an OpenAI message was one message.
  return [patched(written[0] ?? ({} as OpenAiMessage), wire)];
}

function asAiSdk(messages: readonly Written[]): MessageBody[] {
  // The last call with an id is the nearest: ids repeat within a conversation.
  const names = new Map<string, string>();
  return messages.map((message) => {
    if (typeof message.content !== 'string') noteCalls(message.content, names);
    const { wire } = message;
    const written = withToolNames(toAiSdk(message), names);
    return wire && wire.format !== 'openai' ? patched(written, wire) : written;
  });
}

function noteCalls(parts: Part[], names: Map<string, string>): void {
  for (const part of parts) {
    if (part.type === 'tool-call')
      names.set((part as ToolCallPart).toolCallId, (part as ToolCallPart).toolName);
  }
}

function withToolNames(message: MessageBody, names: ReadonlyMap<string, string>): MessageBody {
  const { content } = message;
  if (typeof content === 'string' || !content.some(isNameless)) return message;
  const named = content.map((part) => {
    return isNameless(part) ? { ...part, toolName: names.get(part.toolCallId) ?? '' } : part;
  });
  return { ...message, content: named };
}

function isNameless(part: Part): part is ToolResultPart {
  return part.type === 'tool-result' && part.toolName === '';
}
