import { z } from 'zod';
import { idSchema } from '../input.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import type { DescribeError } from './failure.ts';
import type { Approve, PermissionOptions, ToolPolicy } from './permission.ts';
import type { ToolSettings, ToolTask } from './tool.ts';

/** How an engine calls its tools. */
export interface ToolOptions {
  /** One attempt's time limit (milliseconds; 30 000), for tools that say nothing else. */
  timeoutMs?: number | undefined;
  /** How large a result may be, as JSON (bytes; 1 MiB), for tools that say nothing else. */
  maxResultBytes?: number | undefined;
  /** What is done with a larger one (`truncate`), for tools that say nothing else. */
  onLargeResult?: ToolSettings['onLargeResult'] | undefined;
  /** Decides who may call what, in place of the rule by roles. */
  policy?: ToolPolicy | undefined;
  /** Asks a person. Without it, what needs to be asked for is denied. */
  approve?: Approve | undefined;
  /** How long that person may take (milliseconds; five minutes). */
  approvalTimeoutMs?: number | undefined;
  /**
   * What is recorded of a call in its task or session: that it was made and what came of it (`summary`, the default),
   * input and result as well (`full`), or nothing (`none`).
   */
  record?: 'none' | 'summary' | 'full' | undefined;
  /** What the caller, a model mostly, is told of a tool's exception. Its message unless given. */
  describeError?: DescribeError | undefined;
}

function hook<T>() {
  return z.custom<T>((value) => typeof value === 'function', 'expected a function').optional();
}

const timer = z.int().min(1).max(MAX_TIMER_MS);

export const toolOptionsSchema = z.strictObject({
  timeoutMs: timer.optional(),
  maxResultBytes: z.int().min(1).optional(),
  onLargeResult: z.enum(['refuse', 'truncate', 'offload']).optional(),
  policy: hook<ToolPolicy>(),
  approve: hook<Approve>(),
  approvalTimeoutMs: timer.optional(),
  record: z.enum(['none', 'summary', 'full']).optional(),
  describeError: hook<DescribeError>(),
});

/** The options with their defaults. */
export interface RunSettings {
  timeoutMs: number;
  maxResultBytes: number;
  onLargeResult: NonNullable<ToolSettings['onLargeResult']>;
  describeError: DescribeError | undefined;
  permission: PermissionOptions;
  onError(error: unknown): void;
}

export function runSettings(options: ToolOptions, onError: (error: unknown) => void): RunSettings {
  const { timeoutMs = 30_000, maxResultBytes = 1024 * 1024, onLargeResult = 'truncate' } = options;
  const { policy, approve, approvalTimeoutMs = 300_000, describeError } = options;
  const permission = { policy, approve, approvalTimeoutMs, policyTimeoutMs: timeoutMs, onError };
  return { timeoutMs, maxResultBytes, onLargeResult, describeError, permission, onError };
}

/** One call. */
export interface ToolCallOptions {
  /** The session in whose timeline the call is recorded, and its large result is kept. */
  sessionId?: string | undefined;
  userId?: string | undefined;
  /** What the caller may call: see `ToolPermission`. Nobody's word but the program's. */
  role?: string | undefined;
  /** A person has said yes to this call: what would be asked for is allowed. Nobody's word but the program's. */
  approved?: boolean | undefined;
  /** The model's id of the call. */
  toolCallId?: string | undefined;
  /** The task in whose history the call is recorded. */
  task?: ToolTask | undefined;
  /** One attempt's time limit (milliseconds), in place of the tool's. */
  timeoutMs?: number | undefined;
  /** Ends the call: with `aborted`. */
  signal?: AbortSignal | undefined;
}

export const executeShape = {
  sessionId: idSchema.optional(),
  userId: idSchema.optional(),
  role: idSchema.optional(),
  toolCallId: idSchema.optional(),
  task: z
    .custom<ToolTask>(
      (value) => typeof (value as ToolTask | null)?.addUpdate === 'function',
      'expected a task context',
    )
    .optional(),
  timeoutMs: timer.optional(),
  signal: z.instanceof(AbortSignal).optional(),
};
/** Of a program. Nobody else's calls are approved by their own word. */
export const executeSchema = z.strictObject({ ...executeShape, approved: z.boolean().optional() });
