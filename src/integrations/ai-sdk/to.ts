/** Tools of Holdfast as tools of the AI SDK. */
import type { JSONSchema7, ToolSet } from 'ai';
import { errorOf } from '../../core/tools/failure.ts';
import type { Tool } from '../../core/tools/tool.ts';
import type { ToolCallOptions, ToolService } from '../../core/tools/tools.ts';
import { loadSdk } from './host.ts';
import { toModelOutput } from './model-output.ts';

/** For whom the tools are called, and which of them are offered. */
export interface ToAiSdkOptions extends Omit<ToolCallOptions, 'signal' | 'toolCallId'> {
  /** The tools to offer, by name. All that are registered unless given. */
  names?: readonly string[];
}

/**
 * The tools of an engine as a `ToolSet` for `generateText`, `streamText` and agents. Each call goes through
 * `engine.tools.execute`: what holds there, holds here. A call that fails throws an error with our code and message, which
 * the AI SDK tells the model.
 * @param tools `engine.tools`
 * @throws NotFoundError for a name that is not registered, MissingPackageError
 */
export async function toAiSdkTools(tools: ToolService, options: ToAiSdkOptions = {}): Promise<ToolSet> {
  const { jsonSchema } = await loadSdk();
  const { names, ...who } = options;
  const offered = names ? names.map((name) => tools.get(name)) : tools.list();
  const entries = offered.map((tool): [string, ToolSet[string]] => [
    tool.name,
    {
      description: tool.description,
      // Without a validator: what is wrong with an input is found, and recorded, by the call.
      inputSchema: jsonSchema(schemaOf(tool)),
      toModelOutput,
      execute: (input: unknown, { abortSignal, toolCallId }) =>
        call(tools, tool.name, input, { ...who, toolCallId, ...(abortSignal && { signal: abortSignal }) }),
    },
  ]);
  // Which makes own fields of them, whatever they are called.
  return Object.fromEntries(entries);
}

async function call(
  tools: ToolService,
  name: string,
  input: unknown,
  options: ToolCallOptions,
): Promise<unknown> {
  const { success, result, error } = await tools.execute(name, input, options);
  if (!success) throw errorOf(error);
  return result;
}

function schemaOf({ inputJsonSchema }: Tool): JSONSchema7 {
  return (inputJsonSchema ?? { type: 'object' }) as JSONSchema7;
}
