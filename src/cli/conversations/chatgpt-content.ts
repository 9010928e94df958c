/** The contents of ChatGPT's messages, by `content_type`, as parts. */
import type { Json, JsonObject } from '../../core/json.ts';
import type { Part, TextPart } from '../../core/model/message.ts';
import { isObject, type JsonFields, otherFields } from './conversation.ts';

export interface GptContent {
  /** The `content_type`. */
  type: string;
  /** None when the content is empty. */
  parts: Part[];
  /** The fields that no part tells. */
  rest: JsonFields;
  /** Of a `code`: the code without its fence. */
  code?: string;
}

type Converter = (content: JsonFields) => Omit<GptContent, 'type'>;

const converters = new Map<unknown, Converter>([
  [
    'text',
    (content) => ({ parts: list(content.parts).flatMap(convertPart), rest: others(content, 'parts') }),
  ],
  [
    'multimodal_text',
    (content) => ({ parts: list(content.parts).flatMap(convertPart), rest: others(content, 'parts') }),
  ],
  ['code', convertCode],
  ['execution_output', (content) => ({ parts: texts(content.text), rest: others(content, 'text') })],
  ['system_error', (content) => joined(content, ': ', 'name', 'text')],
  ['tether_quote', (content) => joined(content, '\n', 'title', 'url', 'text')],
  ['sonic_webpage', (content) => joined(content, '\n', 'title', 'url', 'text')],
  ['tether_browsing_display', (content) => joined(content, '\n\n', 'summary', 'result')],
  ['user_editable_context', (content) => joined(content, '\n\n', 'user_profile', 'user_instructions')],
  ['model_editable_context', (content) => joined(content, '\n\n', 'model_set_context')],
  ['thoughts', convertThoughts],
  ['reasoning_recap', (content) => ({ parts: reasoning(content.content), rest: others(content, 'content') })],
]);

export function convertContent(content: JsonFields): GptContent {
  const type = String(content.content_type ?? 'text');
  const converter = converters.get(type) ?? convertUnknown;
  return { type, ...converter(content) };
}

export function isText(part: Part): part is TextPart {
  return part.type === 'text' && typeof part.text === 'string';
}

export function joinTexts(parts: readonly Part[]): string {
  return parts
    .filter(isText)
    .map(({ text }) => text)
    .join('\n\n');
}

/** A string is text, a transcription too; pointers to images, audio and video are kept as parts of their own type. */
function convertPart(part: unknown): Part[] {
  if (typeof part === 'string') return texts(part);
  if (!isObject(part)) return [];
  const { content_type: type, ...fields } = part;
  if (type === 'audio_transcription' && typeof fields.text === 'string') {
    const { text, ...rest } = fields;
    return texts(text).map((one) => ({ ...one, providerOptions: { chatgpt: rest as JsonObject } }));
  }
  return [{ ...fields, type: typeof type === 'string' ? type : 'unknown' }];
}

function convertCode(content: JsonFields): Omit<GptContent, 'type'> {
  // Most codes have `text`, some of the newer ones `parts`.
  const code = firstText(content.text) ?? list(content.parts).filter(isString).join('\n');
  const language = content.language === 'unknown' ? '' : (firstText(content.language) ?? '');
  // In a tool call there is no fence to tell the language.
  const rest = others(content, 'text', 'parts', ...(language === '' ? ['language'] : []));
  if (code.trim() === '') return { parts: [], rest, code };
  return { parts: texts(fenced(code, language)), rest, code };
}

function fenced(code: string, language: string): string {
  const ticks = Math.max(2, ...[...code.matchAll(/`+/g)].map(([run]) => run.length)) + 1;
  const fence = '`'.repeat(ticks);
  return `${fence}${language}\n${code}\n${fence}`;
}

function convertThoughts(content: JsonFields): Omit<GptContent, 'type'> {
  const thoughts = Array.isArray(content.thoughts)
    ? content.thoughts
    : [content.thoughts, ...list(content.parts)];
  const parts = thoughts.flatMap((thought) =>
    isObject(thought)
      ? reasoning([thought.summary, thought.content].filter(isString).filter(Boolean).join('\n\n'))
      : reasoning(thought),
  );
  return { parts, rest: others(content, 'thoughts', 'parts') };
}

/** A type that no export had so far: its text where it has one, or else the whole as a part of that type. */
function convertUnknown(content: JsonFields): Omit<GptContent, 'type'> {
  for (const field of ['text', 'result', 'content', 'summary']) {
    const parts = texts(content[field]);
    if (parts.length > 0) return { parts, rest: others(content, field) };
  }
  if (list(content.parts).length > 0) {
    return { parts: list(content.parts).flatMap(convertPart), rest: others(content, 'parts') };
  }
  const fields = others(content);
  return {
    parts: Object.keys(fields).length === 0 ? [] : [{ ...fields, type: String(content.content_type) }],
    rest: {},
  };
}

function joined(content: JsonFields, separator: string, ...fields: string[]): Omit<GptContent, 'type'> {
  const text = fields
    .map((field) => content[field])
    .filter(isString)
    .filter(Boolean)
    .join(separator);
  return { parts: texts(text), rest: others(content, ...fields) };
}

function texts(text: unknown): TextPart[] {
  return typeof text === 'string' && text.trim() !== '' ? [{ type: 'text', text }] : [];
}

function reasoning(text: unknown): Part[] {
  return typeof text === 'string' && text.trim() !== '' ? [{ type: 'reasoning', text }] : [];
}

function others(content: JsonFields, ...fields: string[]): JsonFields {
  return otherFields(content, new Set(['content_type', ...fields]));
}

function firstText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value : [];
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}
