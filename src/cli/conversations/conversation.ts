/** What an imported file yields, whatever its format, and how a value that is no conversation is told. */
import { basename, extname, resolve } from 'node:path';
import { z } from 'zod';
import type { OpenChannel } from '../../core/channels/channels.ts';
import { ImportError, type InputIssue, quote } from '../../core/errors.ts';
import { idProblem, kindOf } from '../../core/ids.ts';
import { inputIssues } from '../../core/input.ts';
import type { SessionStatus } from '../../core/model/session.ts';
import { nearest } from '../../core/suggest.ts';

export interface Conversation {
  /** From the file, or else from the file's name and the conversation's place in it: stable over imports. */
  id: string;
  /** The file's absolute path, where the id is made from its name: two files may have the same name. */
  importedFrom?: string;
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
export function parseShape<T extends z.ZodObject>(shape: T, candidate: Candidate): z.output<T> {
  const { value } = candidate;
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const issues = inputIssues(result.error, value, shape);
  const others = Object.keys(value as JsonFields).filter((name) => !Object.hasOwn(shape.shape, name));
  throw brokenConversation(
    candidate,
    issues.map((issue) => withMisnamed(issue, value as JsonFields, others)),
  );
}

/** Other names are no mistake by themselves, they become metadata; but one may be what a missing field was to be. */
function withMisnamed(
  { path, message }: InputIssue,
  value: JsonFields,
  others: readonly string[],
): InputIssue {
  const isMissing = /^\w+$/.test(path) && !Object.hasOwn(value, path);
  const misnamed = isMissing && others.find((name) => nearest(name, [path]) || abbreviates(name, path));
  return { path, message: misnamed ? `${message}; is ${quote(misnamed)} meant to be ${path}?` : message };
}

/** `msgs` of `messages`: its letters, the first among them, in their order. */
function abbreviates(short: string, name: string): boolean {
  if (short.length < 3 || short[0] !== name[0]) return false;
  let at = -1;
  return [...short].every((letter) => {
    at = name.indexOf(letter, at + 1);
    return at !== -1;
  });
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

/** A conversation's own id, or else one from the file's name and its place in it. */
export function identity(
  ownId: string | null | undefined,
  { source: { file }, number }: Candidate,
): Pick<Conversation, 'id' | 'importedFrom'> {
  if (typeof ownId === 'string') return { id: ownId };
  return { id: `${basename(file, extname(file))}#${number}`, importedFrom: resolve(file) };
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
