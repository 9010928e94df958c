/** Calls one after another, each with what the one before gave. */
import { z } from 'zod';
import { idSchema, parseInput } from '../input.ts';
import { failureOf, toolFailed } from './failure.ts';
import { abortedByCaller, Halt } from './halt.ts';
import { executeSchema, type ToolCallOptions } from './options.ts';
import type { Tool, ToolFailure, ToolResult } from './tool.ts';
import { isTool } from './tool.ts';

/** One call of a chain. */
export interface ChainStep {
  tool: string | Tool;
  /**
   * What it is called with, or a function that makes it of what came before: the result of the step before (of a group:
   * an array; of the first step: undefined), and the results of all of them. Absent: the result of the step before.
   */
  params?: unknown;
}

/** Steps in an array are called side by side. */
export type Chain = readonly (ChainStep | readonly ChainStep[])[];

export interface ChainResult {
  success: boolean;
  /** What the last step gave. */
  result?: unknown;
  error?: ToolFailure;
  /** Which call failed: the step's place, and within a group the call's. */
  failedAt?: { step: number; call?: number; tool: string };
  /** What came of each step, up to the one that failed. */
  steps: (ToolResult | ToolResult[])[];
  durationMs: number;
}

const stepSchema = z.strictObject({
  tool: z.custom<string | Tool>(
    (value) => isTool(value) || idSchema.safeParse(value).success,
    'expected the name of a tool, or a tool',
  ),
  params: z.unknown().optional(),
});
const chainSchema = z
  .array(z.union([stepSchema, z.array(stepSchema).min(1).max(100)]))
  .min(1)
  .max(1000);

export type Execute = (tool: string | Tool, params: unknown, options: ToolCallOptions) => Promise<ToolResult>;

/** Never throws. A failure ends the chain; what runs beside it is aborted. */
export async function runChain(
  execute: Execute,
  chain: Chain,
  options: ToolCallOptions = {},
): Promise<ChainResult> {
  const startedAt = performance.now();
  const steps: ChainResult['steps'] = [];
  const ended = (rest: Omit<ChainResult, 'steps' | 'durationMs'>): ChainResult => {
    const durationMs = performance.now() - startedAt;
    return { ...rest, steps, durationMs };
  };
  try {
    parseInput(chainSchema, chain, 'tools.chain');
    parseInput(executeSchema, options, 'tools.chain: options');
  } catch (error) {
    return ended({ success: false, error: failureOf(error) });
  }
  const results: unknown[] = [];
  for (const [step, one] of chain.entries()) {
    const isGroup = Array.isArray(one);
    const calls = (isGroup ? one : [one]) as readonly ChainStep[];
    const given = await runGroup(execute, { calls, results }, options);
    steps.push(isGroup ? given : given[0]!);
    const failed = firstFailure(given);
    if (failed >= 0) {
      const tool = nameOf(calls[failed]!);
      const failedAt = isGroup ? { step, call: failed, tool } : { step, tool };
      return ended({ success: false, error: given[failed]!.error!, failedAt });
    }
    results.push(isGroup ? given.map(({ result }) => result) : given[0]!.result);
  }
  return ended({ success: true, result: results.at(-1) });
}

/** Of several failures: that which was none of being aborted, since others may have been for its sake. */
function firstFailure(results: readonly ToolResult[]): number {
  const own = results.findIndex(({ error }) => error && error.code !== 'aborted');
  return own >= 0 ? own : results.findIndex(({ success }) => !success);
}

async function runGroup(
  execute: Execute,
  { calls, results }: { calls: readonly ChainStep[]; results: readonly unknown[] },
  options: ToolCallOptions,
): Promise<ToolResult[]> {
  if (calls.length === 1) return [await runStep(execute, calls[0]!, results, options)];
  const failing = new AbortController();
  const { signal } = options;
  const either = signal ? AbortSignal.any([signal, failing.signal]) : failing.signal;
  return Promise.all(
    calls.map(async (call) => {
      const result = await runStep(execute, call, results, { ...options, signal: either });
      if (!result.success) failing.abort();
      return result;
    }),
  );
}

async function runStep(
  execute: Execute,
  { tool, params }: ChainStep,
  results: readonly unknown[],
  options: ToolCallOptions,
): Promise<ToolResult> {
  const before = results.at(-1);
  let given = params === undefined ? before : params;
  if (typeof params === 'function') {
    const halt = new Halt();
    if (options.signal) halt.follow(options.signal, abortedByCaller);
    try {
      halt.throwIfStopped();
      given = await halt.race(Promise.resolve(params(before, results)));
    } catch (error) {
      const failure =
        halt.reason ?? toolFailed(nameOf({ tool }), error, () => 'its parameters could not be made');
      return { success: false, error: failureOf(failure), durationMs: 0, cached: false, attempts: 0 };
    } finally {
      halt.release();
    }
  }
  return execute(tool, given, options);
}

function nameOf({ tool }: ChainStep): string {
  return typeof tool === 'string' ? tool : tool.name;
}
