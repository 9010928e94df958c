/** AI SDK model messages and ours: the parts are the same, so little is to be done. */
import type { Json } from '../../json.ts';
import type {
  FilePart,
  ImagePart,
  Part,
  ProviderOptions,
  ReasoningPart,
  Role,
  TextPart,
  ToolCallPart,
  ToolResultPart,
} from '../../model/message.ts';
import type { MessageBody } from './openai.ts';

type AiSdkToolResult = Omit<ToolResultPart, 'output' | 'type' | 'toolCallId' | 'toolName'> & {
  type: 'tool-result';
  toolCallId: string;
  toolName: string;
  output:
    | { type: 'text' | 'error-text'; value: string }
    | { type: 'json' | 'error-json'; value: Json }
    | { type: 'execution-denied'; reason?: string }
    | { type: 'content'; value: ({ type: 'text'; text: string } | AiSdkFileOutput)[] };
};
type AiSdkFileOutput = { type: 'file-data'; data: string; mediaType: string; filename?: string };

interface Common {
  name?: string;
  providerOptions?: ProviderOptions;
}

/**
 * A model message of the AI SDK, as `generateText({messages})` takes it. The common parts are typed; others, and
 * unknown fields, come along at run time.
 */
export type AiSdkMessage =
  | ({ role: 'system'; content: string } & Common)
  | ({ role: 'user'; content: string | (TextPart | ImagePart | FilePart)[] } & Common)
  | ({
      role: 'assistant';
      content: string | (TextPart | ReasoningPart | FilePart | ToolCallPart | AiSdkToolResult)[];
    } & Common)
  | ({ role: 'tool'; content: AiSdkToolResult[] } & Common);

/** Translates a checked AI SDK message. Also a plain one, which has the same fields. */
export function fromAiSdk(given: Record<string, unknown>): MessageBody {
  const { role, content, name, providerOptions } = given;
  return {
    role: role as Role,
    content: (content ?? '') as string | Part[],
    ...(typeof name === 'string' && { name }),
    ...(providerOptions !== undefined && { providerOptions: providerOptions as ProviderOptions }),
  };
}

/** Writes a message as the AI SDK has it. */
export function toAiSdk({ role, content, name, providerOptions }: MessageBody): MessageBody {
  return {
    role,
    content: role === 'system' && typeof content !== 'string' ? joined(content) : content,
    ...(name !== undefined && { name }),
    ...(providerOptions !== undefined && { providerOptions }),
  };
}

/** The AI SDK has no parts in system messages. */
function joined(parts: Part[]): string {
  return parts.map((part) => (part.type === 'text' ? (part as TextPart).text : '')).join('');
}
