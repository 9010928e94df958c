/** Tools of LangChain as tools of Holdfast. */
import { HoldfastError } from '../../core/errors.ts';
import { newId } from '../../core/ids.ts';
import { isStandard, type JsonSchema } from '../../core/tools/schema.ts';
import {
  defineTool,
  type Tool,
  type ToolCall,
  type ToolOverrides,
  type ToolSchema,
} from '../../core/tools/tool.ts';
import { loadLangChain } from './host.ts';

/** What is used of a tool of LangChain: every `StructuredTool` has it. */
export interface LangChainTool {
  readonly name: string;
  readonly description: string;
  readonly schema: unknown;
  invoke(call: never, config: never): Promise<unknown>;
}

/**
 * A tool of LangChain as one of Holdfast: what `tool()` makes, `DynamicTool`, and any `StructuredTool`. Its result is the
 * content of its message; where it has an artifact, `{content, artifact}`.
 * @param overrides settings that LangChain's tools don't have: permission, rate limit, cache, …
 * @throws InvalidInputError, MissingPackageError
 */
export async function fromLangChainTool(tool: LangChainTool, overrides: ToolOverrides = {}): Promise<Tool> {
  const { toJsonSchema } = await loadLangChain();
  const json = toJsonSchema(tool.schema as never) as JsonSchema;
  return defineTool({
    description: tool.description,
    ...overrides,
    name: tool.name,
    input: schemaOf(tool.schema, json),
    inputJsonSchema: json,
    execute: (input, call) => invoke(tool, input, call),
  });
}

async function invoke(tool: LangChainTool, args: unknown, call: ToolCall): Promise<unknown> {
  const toolCall = {
    type: 'tool_call' as const,
    id: call.toolCallId ?? newId(),
    name: tool.name,
    args: args as Record<string, unknown>,
  };
  const given = await tool.invoke(toolCall as never, { signal: call.signal } as never);
  if (!isMessage(given)) return given;
  const { content, artifact, status } = given;
  if (status === 'error') {
    throw new HoldfastError('tool-failed', typeof content === 'string' ? content : JSON.stringify(content));
  }
  return artifact === undefined || artifact === null ? content : { content, artifact };
}

/** What a tool gives to a call. Some give another thing, which is for a graph: it is left as it is. */
interface Message {
  content: unknown;
  artifact?: unknown;
  status?: 'success' | 'error';
}

function isMessage(given: unknown): given is Message {
  const { type, content } = (given ?? {}) as { type?: unknown; content?: unknown };
  return type === 'tool' && content !== undefined;
}

/** The schema to check by. What it makes of the input is left to LangChain, which makes the same of it again. */
function schemaOf(schema: unknown, json: JsonSchema): ToolSchema {
  if (!isStandard(schema)) return json;
  const { validate } = schema['~standard'];
  return {
    '~standard': {
      version: 1,
      vendor: 'langchain',
      validate: async (value: unknown) => {
        const { issues } = await validate(value);
        return issues ? { issues } : { value };
      },
    },
  };
}
