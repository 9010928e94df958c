/** Tools of Holdfast as tools of the AI SDK. */
import type { JSONSchema7, ToolSet } from 'ai';
import { z } from 'zod';
import { parseInput } from '../../core/input.ts';
import { errorOf } from '../../core/tools/failure.ts';
import { type HandedOutOptions, handedOut, handedOutSchema } from '../../core/tools/handed-out.ts';
import type { Tool } from '../../core/tools/tool.ts';
import type { ToolCallOptions, ToolService } from '../../core/tools/tools.ts';
import { loadSdk } from './host.ts';
import { toModelOutput } from './model-output.ts';

/** For whom the tools are called, and which of them are offered. */
export interface ToAiSdkOptions extends HandedOutOptions {
  /**
   * Who asks a person about a tool with the permission `ask`: the hook of the engine (`engine`, the default), while the
   * call waits; or the AI SDK, which ends its step with a request for approval (`ai-sdk`).
   */
  approval?: 'engine' | 'ai-sdk';
}

const optionsSchema = handedOutSchema.extend({ approval: z.enum(['engine', 'ai-sdk']).optional() });

/**
 * The tools of an engine as a `ToolSet` for `generateText`, `streamText` and agents. Each call goes through
 * `engine.tools.execute`: what holds there, holds here. A call that fails throws an error with our code and message, which
 * the AI SDK tells the model.
 * @param tools `engine.tools`
 * @throws InvalidInputError, NotFoundError for a name that is not registered, MissingPackageError
 */
export async function toAiSdkTools(tools: ToolService, options: ToAiSdkOptions = {}): Promise<ToolSet> {
  const { jsonSchema } = await loadSdk();
  const { names, approval = 'engine', ...who } = parseInput(optionsSchema, options, 'toAiSdkTools');
  const asksThere = ({ permission }: Tool) => approval === 'ai-sdk' && permission === 'ask';
  const entries = handedOut(tools, names, 'toAiSdkTools').map((tool): [string, ToolSet[string]] => [
    tool.name,
    {
      description: tool.description,
      // Without a validator: what is wrong with an input is found, and recorded, by the call.
      inputSchema: jsonSchema(schemaOf(tool)),
      toModelOutput,
      ...(asksThere(tool) && { needsApproval: true }),
      execute: (input: unknown, { abortSignal, toolCallId }) =>
        call(tools, tool.name, input, {
          ...who,
          toolCallId,
          // Nobody gets here without the approval that was asked for.
          approved: asksThere(tool),
          signal: abortSignal,
        }),
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
