/** What an imported file yields, whatever its format, and how a value that is no conversation is told. */
import { basename, extname } from 'node:path';
import { z } from 'zod';
import type { OpenChannel } from '../../core/channels/channels.ts';
import { ImportError, type InputIssue } from '../../core/errors.ts';
import { idProblem, kindOf } from '../../core/ids.ts';
import type { SessionStatus } from '../../core/model/session.ts';

export interface Conversation {
  /** From the file, or else from the file's name and the conversation's place in it: stable over imports. */
  id: string;
  userId?: string;
  /** Epoch milliseconds. */
  createdAt?: number;
  /** With every field of the conversation that has no place of its own. */
  metadata?: JsonFields;
  /** As the file has them; those of a ChatGPT export as AI SDK model messages. */
  messages: unknown[];
  /** What only an export of Holdfast says. */
  backup?: Backup;
  source: ConversationSource;
}

/** What a session has besides its conversation; in a file under `holdfast`. */
export interface Backup {
  status?: SessionStatus | undefined;
  /** Milliseconds. */
  ttlMs?: number | undefined;
  state?: JsonFields | undefined;
  channels?: ChannelBackup[] | undefined;
}

export interface ChannelBackup extends OpenChannel {
  id: string;
  messages: unknown[];
}

/** A place in a file: `line` counts from 1 and is there in a JSONL file, `index` from 0 and is there in an array. */
export interface ConversationSource {
  file: string;
  line?: number;
  index?: number;
}

/** A value of a file on its way to a conversation; `number` is its place among the conversations, from 1. */
export interface Candidate {
  value: unknown;
  number: number;
  source: ConversationSource;
}

export type JsonFields = Record<string, unknown>;

/** How many problems of one conversation an error lists. */
const MAX_ISSUES = 20;

export function isObject(value: unknown): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object that is checked no further and passed on as it is: zod would copy it, without its `__proto__` key. */
export const anyObject = z.custom<JsonFields>(isObject, {
  error: (issue) => `expected an object, got ${kindOf(issue.input)}`,
});

export const idShape = z.string().superRefine((id, context) => {
  const problem = idProblem(id);
  if (problem) context.addIssue({ code: 'custom', message: problem });
});

/** Parses a candidate, or throws one `ImportError` with all that is wrong with it. */
export function parseShape<T>(shape: z.ZodType<T>, candidate: Candidate): T {
  const result = shape.safeParse(candidate.value);
  if (result.success) return result.data;
  throw brokenConversation(
    candidate,
    result.error.issues.map((issue) => ({ path: fieldPath(issue.path), message: issue.message })),
  );
}

export function brokenConversation(
  { source, number }: Candidate,
  issues: readonly InputIssue[],
): ImportError {
  const { file, line } = source;
  const place = line === undefined ? { file, conversation: number } : { file, line };
  const more = issues.length - MAX_ISSUES;
  if (more <= 0) return new ImportError(place, issues);
  return new ImportError(place, [
    ...issues.slice(0, MAX_ISSUES),
    { path: '', message: `and ${more} more problems` },
  ]);
}

export function defaultId({ source, number }: Candidate): string {
  return `${basename(source.file, extname(source.file))}#${number}`;
}

/** The fields of an object but for some, and but for those that say nothing: null, '', [] and {}. */
export function otherFields(fields: JsonFields, known: ReadonlySet<string>): JsonFields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => !known.has(name) && saysSomething(value)),
  );
}

/** The object, or undefined when it has no fields. */
export function unlessEmpty(fields: JsonFields): JsonFields | undefined {
  return Object.keys(fields).length === 0 ? undefined : fields;
}

/** The object without the fields that are undefined. */
export function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function saysSomething(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${String(step)}`))
    .join('');
}
