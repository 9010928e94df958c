/** What a message may look like, in all three formats, and how its problems are told. */
import { z } from 'zod';
import { type InputIssue, InvalidInputError, quote } from '../../errors.ts';
import { kindOf, MAX_ID_LENGTH } from '../../ids.ts';
import { encodeJson } from '../../json.ts';
import { messageIdProblem } from './message-id.ts';
import { bytesOf, isPlainObject } from './values.ts';

/** All that is wrong with a message, as far as can be told before it is encoded. Values are named by kind only. */
export function messageIssues(input: unknown, path: string): InputIssue[] {
  const checked = messageSchema.safeParse(input, { error: explain });
  const issues = (checked.error?.issues ?? []).map((issue) => ({
    path: fieldPath(path, issue.path),
    message: issue.message,
  }));
  return isPlainObject(input)
    ? [...issues, ...metadataIssues(input.metadata, fieldPath(path, ['metadata']))]
    : issues;
}

/** Metadata is a JSON object within the limits of a value. Absent metadata is fine. */
export function metadataIssues(metadata: unknown, path: string): readonly InputIssue[] {
  if (metadata === undefined) return [];
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    return [{ path, message: `expected an object, got ${kindOf(metadata)}` }];
  }
  try {
    encodeJson(metadata, path);
    return [];
  } catch (error) {
    if (error instanceof InvalidInputError) return error.issues;
    throw error;
  }
}

function fieldPath(base: string, keys: readonly PropertyKey[]): string {
  let path = base;
  for (const key of keys) {
    if (typeof key === 'number') path += `[${key}]`;
    else path += path === '' ? String(key) : `.${String(key)}`;
  }
  return path;
}

const kinds: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'a boolean',
  object: 'an object',
  record: 'an object',
  array: 'an array',
};

type RawIssue = Parameters<z.core.$ZodErrorMap>[0];

function explain(issue: RawIssue): string {
  const { input } = issue;
  if (issue.code === 'invalid_type')
    return `expected ${kinds[issue.expected] ?? issue.expected}, got ${kindOf(input)}`;
  if (issue.code === 'invalid_value') return expectedOneOf(issue.values.map(String), input);
  if (issue.code === 'too_big' && issue.origin === 'string') {
    return `has ${(input as string).length} characters, the limit is ${issue.maximum}`;
  }
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`;
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}`;
  return `is not valid: got ${kindOf(input)}`;
}

function expectedOneOf(names: string[], input: unknown): string {
  const list = `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  return `expected ${list}, got ${typeof input === 'string' ? quote(input) : kindOf(input)}`;
}

type Payload = z.core.ParsePayload<unknown>;

/** A field with a check of its own: the check says what is wrong. */
function field(problemOf: (value: unknown) => string | undefined) {
  return z
    .unknown()
    .optional()
    .check((payload) => report(payload, problemOf(payload.value)));
}

/** A field whose schema is chosen by looking at its value. */
function chosen(schemaOf: (value: unknown) => z.ZodType) {
  return z
    .unknown()
    .optional()
    .check((payload) => check(payload, payload.value, schemaOf(payload.value)));
}

function check(payload: Payload, value: unknown, schema: z.ZodType, path: PropertyKey[] = []): void {
  const { error } = schema.safeParse(value, { error: explain });
  for (const issue of error?.issues ?? []) report(payload, issue.message, [...path, ...issue.path]);
}

function report(payload: Payload, message: string | undefined, path: PropertyKey[] = []): void {
  if (message !== undefined) payload.issues.push({ code: 'custom', input: payload.value, message, path });
}

const text = z.string();
const providerFields = z.record(z.string(), z.looseObject({})).optional();

/** A URL, base64 text, bytes, or an object by which a provider finds the file. */
const data = field((value) => {
  const known = typeof value === 'string' || value instanceof URL || bytesOf(value) || isPlainObject(value);
  return known ? undefined : `expected a string, a URL, bytes or an object, got ${kindOf(value)}`;
});

const anyTyped = z.looseObject({ type: text });
const contentOutput = z.looseObject({ value: z.array(anyTyped) });
const output = chosen((value) =>
  isPlainObject(value) && value.type === 'content' ? contentOutput : anyTyped,
);
const called = { toolCallId: text, toolName: text };

const knownParts: Record<string, z.ZodType> = {
  text: z.looseObject({ text, providerOptions: providerFields }),
  reasoning: z.looseObject({ text, providerOptions: providerFields }),
  image: z.looseObject({ image: data, mediaType: text.optional(), providerOptions: providerFields }),
  'tool-call': z.looseObject({ ...called, inputText: text.optional(), providerOptions: providerFields }),
  'tool-result': z.looseObject({ ...called, output, providerOptions: providerFields }),
  refusal: z.looseObject({ refusal: text }),
  image_url: z.looseObject({ image_url: z.looseObject({ url: text, detail: text.optional() }) }),
  input_audio: z.looseObject({ input_audio: z.looseObject({ data: text, format: text }) }),
};
const aiSdkFile = z.looseObject({
  data,
  mediaType: text,
  filename: text.optional(),
  providerOptions: providerFields,
});
const openAiFile = z.looseObject({
  file: z.looseObject({ file_data: text.nullish(), file_id: text.nullish(), filename: text.nullish() }),
});

/** Any `{type}` will do: parts of unknown types are kept as they are. */
const parts = z.array(
  chosen((part) => {
    if (!isPlainObject(part) || typeof part.type !== 'string') return anyTyped;
    if (part.type === 'file') return part.file === undefined ? aiSdkFile : openAiFile;
    return Object.hasOwn(knownParts, part.type) ? knownParts[part.type]! : anyTyped;
  }),
);

const functionFields = z.looseObject({ name: text, arguments: text });
const functionCall = z.looseObject({ id: text, function: functionFields });
const customCall = z.looseObject({ id: text, custom: z.looseObject({ name: text, input: text }) });
const toolCall = chosen((call) => (isPlainObject(call) && 'custom' in call ? customCall : functionCall));

const roles = new Set<unknown>(['system', 'user', 'assistant', 'tool', 'developer', 'function']);
const mayLackContent = new Set<unknown>(['assistant', 'tool', 'function']);

const messageFields = z.looseObject({
  role: field((role) =>
    roles.has(role) ? undefined : expectedOneOf(['system', 'user', 'assistant', 'tool'], role),
  ),
  id: field((id) => (id === undefined ? undefined : messageIdProblem(id))),
  name: text.max(MAX_ID_LENGTH).nullish(),
  priority: z.enum(['low', 'normal', 'high']).optional(),
  pinned: z.boolean().optional(),
  createdAt: z.int().min(0).optional(),
  providerOptions: providerFields,
  tool_calls: z.array(toolCall).nullish(),
  function_call: functionFields.nullish(),
  tool_call_id: text.nullish(),
  refusal: text.nullish(),
});

// The checks that look at two fields run whatever the others find: all problems are told at once.
const messageSchema = z.unknown().check((payload) => {
  check(payload, payload.value, messageFields);
  if (typeof payload.value !== 'object' || payload.value === null || Array.isArray(payload.value)) return;
  const { role, content, name } = payload.value as Record<string, unknown>;
  checkContent(payload, role, content);
  if (role === 'function' && (name === undefined || name === null)) {
    report(payload, `expected a string, got ${kindOf(name)}`, ['name']);
  }
});

function checkContent(payload: Payload, role: unknown, content: unknown): void {
  if (typeof content === 'string') return;
  if ((content === null || content === undefined) && mayLackContent.has(role)) return;
  if (Array.isArray(content)) check(payload, content, parts, ['content']);
  else report(payload, `expected a string or an array of parts, got ${kindOf(content)}`, ['content']);
}
