/** Tools of Holdfast as tools of LangChain. */
import type { MessageContent } from '@langchain/core/messages';
import type { DynamicStructuredTool, ToolRunnableConfig } from '@langchain/core/tools';
import { parseInput } from '../../core/input.ts';
import { errorOf } from '../../core/tools/failure.ts';
import { type HandedOutOptions, handedOut, handedOutSchema } from '../../core/tools/handed-out.ts';
import { mediaOf } from '../../core/tools/media.ts';
import type { ToolService } from '../../core/tools/tools.ts';
import { loadLangChain } from './host.ts';

/** For whom the tools are called, and which of them are offered. */
export type ToLangChainOptions = HandedOutOptions;

/**
 * The tools of an engine as tools of LangChain, for `bindTools`, agents and graphs. Each call goes through
 * `engine.tools.execute`: what holds there, holds here. The content of a message is the result as text; its artifact is
 * the `ToolResult`. A call that fails throws an error with our code and message.
 * @param tools `engine.tools`
 * @throws InvalidInputError, NotFoundError for a name that is not registered, MissingPackageError
 */
export async function toLangChainTools(
  tools: ToolService,
  options: ToLangChainOptions = {},
): Promise<DynamicStructuredTool[]> {
  const { DynamicStructuredTool } = await loadLangChain();
  const { names, ...who } = parseInput(handedOutSchema, options, 'toLangChainTools');
  return handedOut(tools, names, 'toLangChainTools').map(
    ({ name, description, inputJsonSchema }) =>
      new DynamicStructuredTool({
        name,
        description,
        schema: inputJsonSchema ?? { type: 'object' },
        responseFormat: 'content_and_artifact',
        func: async (input, _manager, config) => {
          const { signal, toolCall } = (config ?? {}) as ToolRunnableConfig;
          const result = await tools.execute(name, input, {
            ...who,
            signal,
            toolCallId: toolCall?.id,
          });
          if (!result.success) throw errorOf(result.error);
          return [contentOf(result.result), result];
        },
      }),
  );
}

/** What a model is shown of a result: a text as it is, images and sounds as blocks, all else as JSON. */
function contentOf(result: unknown): MessageContent {
  if (typeof result === 'string') return result;
  return mediaOf(result) ?? JSON.stringify(result);
}
