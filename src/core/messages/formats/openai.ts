/**
 * OpenAI chat messages and ours. Only the usual shapes are translated here; whatever else a message says is kept
 * by the difference that `wire.ts` takes. Types follow the `openai` package's `ChatCompletionMessageParam`.
 */
import type { Json } from '../../json.ts';
import type {
  FilePart,
  ImagePart,
  ParsedMessage,
  Part,
  TextPart,
  ToolCallPart,
  ToolResultPart,
} from '../../model/message.ts';
import { fromOpenAiMedia, mediaMarker, toOpenAiMedia } from './openai-media.ts';
import type {
  OpenAiAssistantPart,
  OpenAiContentPart,
  OpenAiMessage,
  OpenAiText,
  OpenAiToolCall,
} from './openai-types.ts';

/** What the formats translate: a message without the fields that are ours alone. */
export type MessageBody = Pick<ParsedMessage, 'role' | 'content' | 'name' | 'providerOptions'>;

type Fields = Record<string, unknown>;

/** Translates a checked OpenAI message. */
export function fromOpenAi(given: Fields): MessageBody {
  const name = typeof given.name === 'string' ? { name: given.name } : {};
  const { role } = given;
  if (role === 'function') return { role: 'tool', content: [resultOf(given, '')] };
  if (role === 'tool') return { role, content: [resultOf(given, String(given.tool_call_id ?? ''))], ...name };
  if (role === 'assistant') return { role, content: assistantContent(given), ...name };
  return { role: role === 'user' ? 'user' : 'system', content: contentOf(given.content), ...name };
}

function contentOf(content: unknown): string | Part[] {
  return Array.isArray(content) ? content.map(fromOpenAiPart) : ((content ?? '') as string);
}

function fromOpenAiPart(part: OpenAiContentPart): Part {
  if (part.type === 'refusal') return { type: 'text', text: part.refusal, refusal: true };
  if (part.type === 'image_url' || part.type === 'input_audio') return fromOpenAiMedia(part);
  if (part.type === 'file' && 'file' in part) return fromOpenAiMedia(part);
  return part as Part;
}

function assistantContent(given: Fields): string | Part[] {
  const calls = ((given.tool_calls ?? []) as OpenAiToolCall[]).map(fromOpenAiCall);
  const legacy = given.function_call as { name: string; arguments: string } | null | undefined;
  if (legacy)
    calls.push({ type: 'tool-call', toolCallId: '', toolName: legacy.name, ...inputOf(legacy.arguments) });
  const said = contentOf(given.content);
  const refusal = typeof given.refusal === 'string' ? given.refusal : undefined;
  if (calls.length === 0 && refusal === undefined) return said;
  const texts: Part[] = typeof said === 'string' ? (said === '' ? [] : [{ type: 'text', text: said }]) : said;
  return [...texts, ...(refusal === undefined ? [] : [refusalPart(refusal)]), ...calls];
}

function refusalPart(text: string): TextPart {
  return { type: 'text', text, refusal: true };
}

function fromOpenAiCall(call: OpenAiToolCall): ToolCallPart {
  const common = { type: 'tool-call', toolCallId: call.id } as const;
  if ('custom' in call)
    return { ...common, toolName: call.custom.name, input: call.custom.input, custom: true };
  return { ...common, toolName: call.function.name, ...inputOf(call.function.arguments) };
}

/** The arguments of a call; their text is kept only where writing them again would give another one. */
function inputOf(text: string): Pick<ToolCallPart, 'input' | 'inputText'> {
  const input = text.trim() === '' ? {} : parsed(text);
  return argumentsOf(input) === text ? { input } : { input, inputText: text };
}

function argumentsOf(input: unknown): string {
  return typeof input === 'string' ? input : (JSON.stringify(input) ?? '{}');
}

/** The value of a JSON text. The text itself where it is broken, or holds numbers that JavaScript has no place for. */
function parsed(text: string): Json {
  try {
    const value = JSON.parse(text) as Json;
    return isFiniteJson(value) ? value : text;
  } catch {
    return text;
  }
}

function isFiniteJson(value: Json): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isFiniteJson);
}

function resultOf(given: Fields, toolCallId: string): ToolResultPart {
  const toolName = typeof given.name === 'string' ? given.name : '';
  const { content } = given;
  const output = Array.isArray(content)
    ? { type: 'content', value: content }
    : { type: 'text', value: content ?? '' };
  return { type: 'tool-result', toolCallId, toolName, output };
}

/**
 * Writes a message as OpenAI has it. One tool message per result, so this may be several, or none where the message
 * holds only what OpenAI has no word for (tool approvals). Reasoning and provider options are left out.
 */
export function toOpenAi(body: MessageBody): OpenAiMessage[] {
  const { role, content } = body;
  const name = body.name === undefined ? {} : { name: body.name };
  if (role === 'assistant') return toAssistant(content, name);
  if (role === 'tool') return toToolMessages(content, name);
  const written = typeof content === 'string' ? content : content.flatMap(toOpenAiPart);
  return [{ role, content: written, ...name } as OpenAiMessage];
}

const ownTypes = new Set([
  'reasoning',
  'reasoning-file',
  'custom',
  'tool-approval-request',
  'tool-approval-response',
]);

/** Parts of unknown types are handed on as they are: better a word too many than content lost. */
function toOpenAiPart(part: Part): OpenAiContentPart[] {
  if (part.type === 'text') return [toOpenAiText(part as TextPart)];
  if (part.type === 'image') return [toOpenAiMedia(part as ImagePart)];
  if (part.type === 'file' && !('file' in part)) return [toOpenAiMedia(part as FilePart)];
  if (part.type === 'tool-call' || part.type === 'tool-result') return [];
  return ownTypes.has(part.type) ? [] : [part as unknown as OpenAiContentPart];
}

function toOpenAiText(part: TextPart): OpenAiContentPart {
  const { providerOptions: _, ...rest } = part;
  return part.refusal === true ? { type: 'refusal', refusal: part.text } : rest;
}

function toAssistant(content: string | Part[], name: { name?: string }): OpenAiMessage[] {
  if (typeof content === 'string' || content.length === 0) {
    return [{ role: 'assistant', content: content as string, ...name }];
  }
  const calls = content.filter((part): part is ToolCallPart => part.type === 'tool-call');
  const said = content.flatMap((part) => {
    return part.type === 'image' || part.type === 'file' ? [fileText(part)] : toOpenAiPart(part);
  }) as OpenAiAssistantPart[];
  const message: OpenAiMessage = {
    role: 'assistant',
    ...spoken(said, calls.length > 0),
    ...written(calls),
    ...name,
  };
  // What a provider ran by itself has its results right here; OpenAI wants them said by the tool.
  const results = content.filter((part): part is ToolResultPart => part.type === 'tool-result');
  return [message, ...results.map((result) => toToolMessage(result, {}))];
}

function fileText(part: Part): OpenAiText {
  return { type: 'text', text: mediaMarker(part) };
}

function spoken(
  said: OpenAiAssistantPart[],
  withCalls: boolean,
): { content: string | OpenAiAssistantPart[] | null; refusal?: string } {
  const [only, ...others] = said;
  if (only === undefined) return { content: withCalls ? null : '' };
  if (others.length > 0) return { content: said };
  if (only.type === 'refusal') return { content: null, refusal: only.refusal };
  return { content: withCalls && Object.keys(only).length === 2 ? only.text : said };
}

/** Calls as OpenAI has them. A single call without an id is the legacy `function_call`. */
function written(calls: ToolCallPart[]): Partial<Extract<OpenAiMessage, { role: 'assistant' }>> {
  const [only] = calls;
  if (only === undefined) return {};
  if (calls.length === 1 && only.toolCallId === '' && !only.custom)
    return { function_call: functionOf(only) };
  return { tool_calls: calls.map(toOpenAiCall) };
}

function functionOf({ toolName, input, inputText }: ToolCallPart): { name: string; arguments: string } {
  return { name: toolName, arguments: inputText ?? argumentsOf(input) };
}

function toOpenAiCall(call: ToolCallPart): OpenAiToolCall {
  const id = call.toolCallId;
  if (!call.custom) return { id, type: 'function', function: functionOf(call) };
  return { id, type: 'custom', custom: { name: call.toolName, input: argumentsOf(call.input) } };
}

function toToolMessages(content: string | Part[], name: { name?: string }): OpenAiMessage[] {
  const results = typeof content === 'string' ? [] : content.filter((part) => part.type === 'tool-result');
  if (results.length > 0) return results.map((result) => toToolMessage(result as ToolResultPart, name));
  const rest = typeof content === 'string' ? content : content.flatMap(toOpenAiPart);
  // A tool message without a call: not OpenAI's, but given as such and given back.
  return rest.length > 0 || content.length === 0
    ? [{ role: 'tool', content: rest, ...name } as OpenAiMessage]
    : [];
}

function toToolMessage(result: ToolResultPart, name: { name?: string }): OpenAiMessage {
  const content = outputContent(result.output);
  if (result.toolCallId !== '') return { role: 'tool', tool_call_id: result.toolCallId, content, ...name };
  return { role: 'function', name: result.toolName, content: content as string };
}

function outputContent({ type, value, reason }: ToolResultPart['output']): string | OpenAiText[] {
  if (type === 'content' && Array.isArray(value)) return value.map(outputText);
  if (type === 'execution-denied') return typeof reason === 'string' ? reason : 'Tool execution denied.';
  return typeof value === 'string' && !type.endsWith('json') ? value : (JSON.stringify(value) ?? '');
}

const fileOutput = /^(custom|file|file-.+|image-.+)$/;

function outputText(item: Part): OpenAiText {
  if (item.type === 'text') return toOpenAiText(item as TextPart) as OpenAiText;
  return fileOutput.test(item.type) ? fileText(item) : (item as unknown as OpenAiText);
}
