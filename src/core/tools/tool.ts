/** What a tool is: its definition, and what it is given and gives. */

import type { StandardSchemaV1 } from '@standard-schema/spec';
import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import { idSchema, parseInput } from '../input.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import {
  type Checked,
  checkerOf,
  isJsonSchema,
  type JsonSchema,
  jsonSchemaOf,
  schemaSchema,
} from './schema.ts';

/** What a tool accepts or gives: a schema of zod, valibot, arktype and others, or JSON Schema. */
export type ToolSchema = StandardSchemaV1 | JsonSchema;

/** What a caller passes, where a schema says so. */
export type ToolParams<S> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferInput<S>
  : Record<string, unknown>;

/** What the tool is handed: the same, with defaults and transforms. */
export type ToolInput<S> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<S>
  : Record<string, unknown>;

/**
 * Who may call a tool: everybody; those that the policy lets; callers in the role `admin`; or nobody without asking a
 * person first. What the words mean is the policy's: see docs/tools.md.
 */
export type ToolPermission = (typeof permissions)[number];
export const permissions = ['public', 'restricted', 'admin', 'ask'] as const;

/** Whose calls are counted together, or share results: everybody's of a tenant, a user's, a session's. */
export type ToolScope = (typeof scopes)[number];
const scopes = ['tool', 'user', 'session'] as const;

const scopeSchema = z.enum(scopes).optional();
const timerSchema = z.int().min(1).max(MAX_TIMER_MS);
const definitionShape = {
  name: idSchema,
  description: z.string().max(65_536),
  category: idSchema.optional(),
  tags: z.array(idSchema).max(64).optional(),
  input: schemaSchema,
  output: schemaSchema.optional(),
  inputJsonSchema: z.custom<JsonSchema>(isJsonSchema, 'expected JSON Schema').optional(),
  timeoutMs: timerSchema.optional(),
  permission: z.enum(permissions).optional(),
  rateLimit: z
    .strictObject({ calls: z.int().min(1).max(1e9), perMs: timerSchema, scope: scopeSchema })
    .optional(),
  cache: z
    .strictObject({
      ttlMs: z.int().min(1),
      scope: scopeSchema,
      maxEntries: z.int().min(1).max(1e6).optional(),
    })
    .optional(),
  idempotent: z.boolean().optional(),
  retries: z
    .strictObject({
      attempts: z.int().min(1).max(20),
      backoffMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
      maxBackoffMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
    })
    .optional(),
  maxConcurrent: z.int().min(1).optional(),
  maxResultBytes: z.int().min(1).optional(),
  onLargeResult: z.enum(['refuse', 'truncate', 'offload']).optional(),
  execute: z.custom<(...args: never[]) => unknown>(
    (value) => typeof value === 'function',
    'expected a function',
  ),
};
const definitionSchema = z
  .strictObject(definitionShape)
  .refine(({ retries, idempotent }) => !retries || idempotent === true, {
    path: ['retries'],
    message: 'need idempotent: true, since a retry may do again what was done',
  });

/** How a tool is to be called, and kept from harm. Everything but name, description, input and `execute` has a default. */
export interface ToolSettings {
  /** Unique in an engine: 1 to 256 characters. Models take letters, digits, `_` and `-`, 64 at most. */
  name: string;
  /** What it does, and when to call it: models choose by this. */
  description: string;
  category?: string;
  tags?: readonly string[];
  /** The input's JSON Schema, where the library of `input` can't tell it (valibot alone can't). */
  inputJsonSchema?: JsonSchema;
  /** One attempt's time limit (milliseconds; 30 000 unless the engine says otherwise). */
  timeoutMs?: number;
  /** `public` unless given. */
  permission?: ToolPermission;
  /** `calls` in each window of `perMs` milliseconds, counted for each `tool` (the default), `user` or `session`. */
  rateLimit?: { calls: number; perMs: number; scope?: ToolScope };
  /**
   * Successes are given again for `ttlMs` milliseconds to equal input, to all of a tenant (`tool`, the default), to the
   * same `user` or `session`. `maxEntries`: 1000 of a tenant.
   */
  cache?: { ttlMs: number; scope?: ToolScope; maxEntries?: number };
  /** Calling it twice does what calling it once does. */
  idempotent?: boolean;
  /**
   * Of an idempotent tool: how many `attempts` in all, and how long to wait after the first (`backoffMs`, 100), twice as
   * long after each further one, `maxBackoffMs` (10 000) at most.
   */
  retries?: { attempts: number; backoffMs?: number; maxBackoffMs?: number };
  /** How many calls of it may run at a time in this process; others wait. No bound unless given. */
  maxConcurrent?: number;
  /** How large a result may be, as JSON (bytes; 1 MiB unless the engine says otherwise). */
  maxResultBytes?: number;
  /** What is done with a larger one: see docs/tools.md. `truncate` unless the engine says otherwise. */
  onLargeResult?: 'refuse' | 'truncate' | 'offload';
}

/** What is set of a tool that comes from elsewhere: of another library, or of a server. */
export type ToolOverrides = Partial<Omit<ToolSettings, 'name'>>;

export interface ToolDefinition<I extends ToolSchema, O extends ToolSchema | undefined, R>
  extends ToolSettings {
  /** What it accepts. A schema of any library of Standard Schema, or JSON Schema (2020-12, or draft-07 by `$schema`). */
  input: I;
  /** What it gives; checked where given. */
  output?: O;
  /** Does the work. What it throws becomes a failed result, and what it returns has to be JSON. */
  execute(input: ToolInput<I>, call: ToolCall): R | PromiseLike<R>;
}

/** The task context that a call is recorded in. */
export interface ToolTask {
  /** Of which session it is: what it is told stands in that session's timeline as well. */
  readonly sessionId?: string | undefined;
  addUpdate(updateType: string, data: Record<string, unknown>): unknown;
}

/** What `execute` is told of the call. */
export interface ToolCall {
  readonly tool: string;
  /** Aborted when the caller gives up, the time is over, or the engine closes. Made when it is read; copies of the call lack it. */
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly attempt: number;
  readonly tenant: string;
  readonly sessionId?: string | undefined;
  readonly userId?: string | undefined;
  readonly role?: string | undefined;
  readonly toolCallId?: string | undefined;
  readonly task?: ToolTask | undefined;
}

/** Why a call failed: the fields of a `HoldfastError`, as data that can go to a model. */
export interface ToolFailure {
  code: ErrorCode;
  message: string;
  /** One sentence that says how to mend it. */
  hint?: string;
  /** `issues` of `invalid-input`, `retryAfterMs` of `rate-limited`, … */
  details?: Record<string, unknown>;
}

interface Told {
  /** From the call to the result (milliseconds), with waiting for a person, retries and all. */
  durationMs: number;
  /** The result was made by an earlier call, or by one that was under way. */
  cached: boolean;
  /** How often the tool was called for it: 0 where it was not. */
  attempts: number;
}

/** A result that was too large. */
export interface LargeResult {
  /** How long it is as text (UTF-16 code units); absent where it was not looked at to its end. */
  length?: number;
  /** Reads it back, where it was offloaded: `tools.readResult(sessionId, handle)`. */
  handle?: string;
}

/** What comes of every call. `large` is there where `result` is a shortened text in place of what the tool gave. */
export type ToolResult<R = unknown> =
  | (Told & { success: true; result: R; large?: LargeResult; error?: undefined })
  | (Told & { success: false; error: ToolFailure; result?: undefined; large?: undefined });

/** A tool: made by {@link defineTool}, called through `engine.tools`. Frozen. */
export interface Tool<Params = unknown, R = unknown> extends Readonly<ToolSettings> {
  readonly tags: readonly string[];
  readonly permission: ToolPermission;
  /** The schemas as they were given. */
  readonly input: ToolSchema;
  readonly output?: ToolSchema;
  /** What the input is as JSON Schema; undefined where neither the library nor the definition tells it. */
  readonly inputJsonSchema?: JsonSchema;
  readonly outputJsonSchema?: JsonSchema;
  /** The value as the schema makes it, or all that is wrong with it. May change what it is given. */
  checkInput(value: unknown): Checked | Promise<Checked>;
  checkOutput(value: unknown): Checked | Promise<Checked>;
  /** Does the work, on checked input: call `engine.tools.execute` instead. */
  run(input: unknown, call: ToolCall): unknown;
  /** For the type checker alone. */
  readonly types?: { params: Params; result: R };
}

const marker = Symbol.for('holdfast.tool');

/** Whether a value was made by `defineTool`, whichever copy of the package it came from. */
export function isTool(value: unknown): value is Tool {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[marker] === true;
}

/**
 * Makes a tool. Parameters and result are typed by the schemas; without `output`, the result is what `execute` returns.
 * @throws InvalidInputError for a definition that is not one, and for JSON Schema that does not compile
 */
export function defineTool<I extends StandardSchemaV1, O extends StandardSchemaV1>(
  definition: ToolDefinition<I, O, StandardSchemaV1.InferInput<O>> & { output: O },
): Tool<ToolParams<I>, StandardSchemaV1.InferOutput<O>>;
export function defineTool<I extends ToolSchema, R>(
  definition: ToolDefinition<I, ToolSchema | undefined, R>,
): Tool<ToolParams<I>, Awaited<R>>;
export function defineTool(definition: ToolDefinition<ToolSchema, ToolSchema | undefined, unknown>): Tool {
  parseInput(definitionSchema, definition, 'defineTool');
  const { input, output, inputJsonSchema, execute, tags = [], permission = 'public', ...rest } = definition;
  const tool = {
    ...rest,
    tags: Object.freeze([...tags]),
    permission,
    input,
    inputJsonSchema: inputJsonSchema ?? jsonSchemaOf(input, 'input'),
    checkInput: checkerOf(input, 'input'),
    ...(output && { output, outputJsonSchema: jsonSchemaOf(output, 'output') }),
    checkOutput: output ? checkerOf(output, 'output') : asItIs,
    run: (value: unknown, call: ToolCall) => execute.call(definition, value as never, call),
    [marker]: true,
  };
  return Object.freeze(tool) as Tool;
}

function asItIs(value: unknown): Checked {
  return { value };
}
