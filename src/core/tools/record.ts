/** What is told of calls afterwards: to tasks, sessions and listeners. */
import type { Json, JsonObject } from '../json.ts';
import type { ToolCallOptions } from './options.ts';
import { plainOf } from './plain.ts';
import type { ToolResult } from './tool.ts';

/** Of an input or result that is recorded in full (UTF-16 code units of JSON): both fit into an update, whatever is in them. */
const MAX_RECORDED = 64 * 1024;
/** How deeply it may be nested in there. */
const MAX_RECORDED_DEPTH = 30;
/** The type of the updates that tell of calls. */
export const TOOL_CALL = 'tool_call';

/** A call that has ended. */
export interface EndedCall {
  readonly tool: string;
  readonly params: unknown;
  readonly options: ToolCallOptions;
  readonly result: ToolResult;
  /** About how long the result is as JSON. */
  readonly resultLength: number;
}

/** A call as it stands in a task's or session's history. */
export function recordOf(call: EndedCall, how: 'summary' | 'full'): JsonObject {
  const { tool, params, options, result, resultLength } = call;
  const { success, error, durationMs, cached, attempts } = result;
  const { toolCallId } = options;
  return {
    tool,
    ...(toolCallId !== undefined && { toolCallId }),
    success,
    ...(error && { code: error.code }),
    durationMs: Math.round(durationMs * 1000) / 1000,
    cached,
    attempts,
    ...(success && { resultLength }),
    ...(how === 'full' && contentOf(params, result)),
  };
}

function contentOf(params: unknown, { result, error }: ToolResult): JsonObject {
  const input = shortened(params);
  return error ? { input, error: error.message } : { input, result: shortened(result) };
}

function shortened(value: unknown): Json {
  try {
    const { value: plain, isCut } = plainOf(value, MAX_RECORDED, MAX_RECORDED_DEPTH);
    return isCut ? { cut: plain } : plain;
  } catch {
    // What is no JSON was no input either.
    return null;
  }
}
