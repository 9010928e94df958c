import { HoldfastError } from '../errors.ts';
import { type DescribeError, toolFailed } from './failure.ts';
import type { Halt } from './halt.ts';
import type { Tool, ToolCall } from './tool.ts';

/** What is known of a call, apart from the attempt. */
export type CallFacts = Omit<ToolCall, 'signal' | 'attempt'>;

export interface AttemptLimits {
  timeoutMs: number;
  halt: Halt;
  describeError: DescribeError | undefined;
}

/**
 * Calls a tool once. One that never settles is given up on; what it says later is heard by nobody. Its signal is made
 * only when it is asked for: most tools need none.
 * @returns what it gives: not a promise where the tool gave none
 * @throws HoldfastError: `tool-failed`, `timeout`, or the halt's reason
 */
export function attemptOnce(
  tool: Tool,
  input: unknown,
  { facts, attempt }: { facts: CallFacts; attempt: number },
  { timeoutMs, halt, describeError }: AttemptLimits,
): unknown {
  let controller: AbortController | undefined;
  let over: HoldfastError | undefined;
  const call: ToolCall = {
    tool: facts.tool,
    tenant: facts.tenant,
    sessionId: facts.sessionId,
    userId: facts.userId,
    role: facts.role,
    toolCallId: facts.toolCallId,
    task: facts.task,
    attempt,
    get signal() {
      controller ??= new AbortController();
      if (over) controller.abort(over);
      return controller.signal;
    },
  };
  let given: unknown;
  let isPromise: boolean;
  try {
    given = tool.run(input, call);
    isPromise = typeof (given as PromiseLike<unknown> | null | undefined)?.then === 'function';
  } catch (error) {
    throw toolFailed(tool.name, error, describeError);
  }
  if (!isPromise) return given;
  return new Promise((resolve, reject) => {
    const end = (reason: HoldfastError) => {
      over = reason;
      done();
      reject(reason);
      controller?.abort(reason);
    };
    const timer = setTimeout(() => end(tookTooLong(tool.name, timeoutMs)), timeoutMs);
    let off: (() => void) | undefined;
    const done = () => {
      clearTimeout(timer);
      off?.();
    };
    off = halt.onStop(end);
    Promise.resolve(given).then(
      (value) => {
        done();
        resolve(value);
      },
      (error: unknown) => {
        done();
        reject(toolFailed(tool.name, error, describeError));
      },
    );
  });
}

function tookTooLong(tool: string, timeoutMs: number): HoldfastError {
  return new HoldfastError('timeout', `the tool took longer than ${timeoutMs} ms`, {
    hint: 'Ask for less at once, or raise timeoutMs.',
    details: { tool, timeoutMs },
  });
}
