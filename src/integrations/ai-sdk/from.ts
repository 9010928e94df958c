/** Tools of the AI SDK as tools of Holdfast. */
import type { FlexibleSchema, Tool as SdkTool, ToolExecutionOptions, ToolSet } from 'ai';
import { type InputIssue, InvalidInputError } from '../../core/errors.ts';
import { newId } from '../../core/ids.ts';
import { isStandard, type JsonSchema } from '../../core/tools/schema.ts';
import {
  defineTool,
  type Tool,
  type ToolCall,
  type ToolOverrides,
  type ToolSchema,
} from '../../core/tools/tool.ts';
import { loadSdk } from './host.ts';

/** What to set of a tool besides what the AI SDK's definition says. */
export interface AiSdkOverrides extends ToolOverrides {
  /** Does the work of a tool that has no `execute` of its own. */
  execute?: (input: unknown, call: ToolCall) => unknown;
  /** What the tool gets as its `context`. */
  context?: unknown;
}

/**
 * A tool of the AI SDK as one of Holdfast. One that needs approval has the permission `ask`; of a stream of results the
 * last one counts.
 * @param overrides settings that the AI SDK's tools don't have: permission, rate limit, cache, …
 * @throws InvalidInputError for a tool without `execute`, which is for a client or a provider to run, unless
 * `overrides.execute` is given; MissingPackageError
 */
export async function fromAiSdkTool(
  name: string,
  tool: ToolSet[string],
  overrides: AiSdkOverrides = {},
): Promise<Tool> {
  const problem = executeProblem(tool, overrides);
  if (problem) throw new InvalidInputError(`fromAiSdkTool ${name}`, [{ path: 'execute', message: problem }]);
  const { execute, context, ...settings } = overrides;
  const { description, needsApproval } = tool as SdkTool;
  const { schema: input, json: inputJsonSchema } = await schemaOf(tool.inputSchema);
  const output = tool.outputSchema && (await schemaOf(tool.outputSchema)).schema;
  return defineTool({
    description: typeof description === 'function' ? description({ context } as never) : (description ?? ''),
    ...(needsApproval && { permission: 'ask' }),
    ...settings,
    name,
    input,
    inputJsonSchema,
    ...(output && { output }),
    execute: (params, call) =>
      execute ? execute(params, call) : lastOf(tool.execute!(params, optionsOf(call, context)), call.signal),
  });
}

/**
 * All tools of a set, by their names.
 * @param overrides by name; `false` leaves a tool out
 * @throws InvalidInputError that names each tool without `execute`, and each override of no tool; MissingPackageError
 */
export async function fromAiSdkTools(
  tools: ToolSet,
  overrides: Readonly<Record<string, AiSdkOverrides | false>> = {},
): Promise<Tool[]> {
  const own = (name: string) => (Object.hasOwn(overrides, name) ? overrides[name] : undefined);
  const strangers = Object.keys(overrides).filter((name) => !Object.hasOwn(tools, name));
  if (strangers.length > 0) {
    // Whoever wanted a tool to ask first, or not to be there, must not get it as it is.
    throw new InvalidInputError(
      'fromAiSdkTools',
      strangers.map((name) => ({ path: name, message: 'is set, but not a tool of the set' })),
    );
  }
  const wanted = Object.entries(tools).filter(([name]) => own(name) !== false);
  const issues = wanted.flatMap(([name, tool]): InputIssue[] => {
    const message = executeProblem(tool, own(name) || {});
    return message ? [{ path: name, message }] : [];
  });
  if (issues.length > 0) throw new InvalidInputError('fromAiSdkTools', issues);
  return Promise.all(wanted.map(([name, tool]) => fromAiSdkTool(name, tool, own(name) || {})));
}

function executeProblem(tool: ToolSet[string], overrides: AiSdkOverrides): string | undefined {
  if (overrides.execute || tool.execute) return undefined;
  const who = tool.type === 'provider' ? 'its provider' : 'a client';
  return `is missing: the tool is run by ${who}. Give overrides.execute, or leave it out`;
}

function optionsOf(call: ToolCall, context: unknown): ToolExecutionOptions<unknown> {
  return { toolCallId: call.toolCallId ?? newId(), messages: [], abortSignal: call.signal, context };
}

/** What a tool gives: of a stream the last, as the AI SDK does. */
async function lastOf(given: unknown, signal: AbortSignal): Promise<unknown> {
  if (!isStream(given)) return given;
  let last: unknown;
  for await (const result of given) {
    signal.throwIfAborted();
    last = result;
  }
  return last;
}

function isStream(given: unknown): given is AsyncIterable<unknown> {
  return (
    typeof (given as Partial<AsyncIterable<unknown>> | null | undefined)?.[Symbol.asyncIterator] ===
    'function'
  );
}

/** The schema, to check by, and as JSON Schema, to tell. */
async function schemaOf(given: FlexibleSchema): Promise<{ schema: ToolSchema; json: JsonSchema }> {
  const { asSchema } = await loadSdk();
  const { jsonSchema, validate } = asSchema(given);
  const json = (await jsonSchema) as JsonSchema;
  if (isStandard(given)) return { schema: given, json };
  return { schema: validate ? standardOf(validate) : json, json };
}

type Validate = NonNullable<ReturnType<Awaited<ReturnType<typeof loadSdk>>['asSchema']>['validate']>;

/** A validator of the AI SDK as a Standard Schema. What its errors say is not told: they quote the value. */
function standardOf(validate: Validate): ToolSchema {
  return {
    '~standard': {
      version: 1,
      vendor: 'ai-sdk',
      validate: async (value: unknown) => {
        const result = await validate(value);
        return result.success
          ? { value: result.value }
          : { issues: [{ message: 'does not match the schema of the tool' }] };
      },
    },
  };
}
