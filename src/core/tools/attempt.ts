import { HoldfastError } from '../errors.ts';
import { type DescribeError, toolFailed } from './failure.ts';
import type { Halt } from './halt.ts';
import type { Tool, ToolCall, ToolTask } from './tool.ts';

/** What is known of a call, apart from the attempt. */
export type CallFacts = Omit<ToolCall, 'signal' | 'attempt'>;

export interface AttemptLimits {
  timeoutMs: number;
  halt: Halt;
  describeError: DescribeError | undefined;
  /** Hears when the tool runs no longer: before the result is there, or long after it was given up on. */
  left?: (() => void) | undefined;
}

/**
 * Calls a tool once. One that never settles is given up on; what it says later is heard by nobody.
 * @returns what it gives: not a promise where the tool gave none
 * @throws HoldfastError: `tool-failed`, `timeout`, or the halt's reason
 */
export function attemptOnce(
  tool: Tool,
  input: unknown,
  { facts, attempt }: { facts: CallFacts; attempt: number },
  { timeoutMs, halt, describeError, left }: AttemptLimits,
): unknown {
  const call = new Attempt(facts, attempt);
  let given: unknown;
  let isPromise: boolean;
  try {
    given = tool.run(input, call);
    isPromise = typeof (given as PromiseLike<unknown> | null | undefined)?.then === 'function';
  } catch (error) {
    left?.();
    throw toolFailed(tool.name, error, describeError);
  }
  if (!isPromise) {
    left?.();
    return given;
  }
  return new Promise((resolve, reject) => {
    const end = (reason: HoldfastError) => {
      done();
      reject(reason);
      call.end(reason);
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
        left?.();
        done();
        resolve(value);
      },
      (error: unknown) => {
        left?.();
        done();
        reject(toolFailed(tool.name, error, describeError));
      },
    );
  });
}

/** What a tool is told of its call. Its signal is made only when it is asked for: most tools need none. */
class Attempt implements ToolCall {
  readonly attempt: number;
  readonly tool: string;
  readonly tenant: string;
  readonly sessionId: string | undefined;
  readonly userId: string | undefined;
  readonly role: string | undefined;
  readonly toolCallId: string | undefined;
  readonly task: ToolTask | undefined;
  #controller: AbortController | undefined;
  #over: HoldfastError | undefined;

  constructor({ tool, tenant, sessionId, userId, role, toolCallId, task }: CallFacts, attempt: number) {
    this.attempt = attempt;
    this.tool = tool;
    this.tenant = tenant;
    this.sessionId = sessionId;
    this.userId = userId;
    this.role = role;
    this.toolCallId = toolCallId;
    this.task = task;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#over) this.#controller.abort(this.#over);
    return this.#controller.signal;
  }

  end(reason: HoldfastError): void {
    this.#over = reason;
    this.#controller?.abort(reason);
  }
}

function tookTooLong(tool: string, timeoutMs: number): HoldfastError {
  return new HoldfastError('timeout', `the tool took longer than ${timeoutMs} ms`, {
    hint: 'Ask for less at once, or raise timeoutMs.',
    details: { tool, timeoutMs },
  });
}
