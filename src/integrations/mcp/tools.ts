/** The tools that a server lists, as tools of ours. */
import type { Tool as McpTool } from '@modelcontextprotocol/sdk/types.js';
import { cut } from '../../core/cut.ts';
import { HoldfastError, InvalidInputError } from '../../core/errors.ts';
import { kindOf } from '../../core/ids.ts';
import { MAX_TIMER_MS } from '../../core/store-options.ts';
import { type Checker, checkerOf } from '../../core/tools/schema.ts';
import { defineTool, type Tool, type ToolCall } from '../../core/tools/tool.ts';
import type { Connection } from './connection.ts';
import type { Sdk } from './host.ts';
import type { Settings } from './options.ts';
import { resultOf } from './result.ts';
import { tameSchema, tameText } from './tame.ts';

const MAX_TOOLS = 1000;
const MAX_PAGES = 1000;
/** What models take. */
const MAX_NAME = 64;

export interface Source {
  sdk: Sdk;
  connection: Connection;
  settings: Settings;
}

/** All pages of the server's list: whatever it says there. @throws HoldfastError for a list that does not end */
export async function listed({ sdk, connection, settings }: Source): Promise<unknown[]> {
  const found: unknown[] = [];
  if (!connection.hasTools) return found;
  const { ResultSchema } = sdk.types;
  let params: { cursor?: string } = {};
  for (let page = 1; ; page++) {
    const options = { timeout: settings.connectTimeoutMs };
    const { tools, nextCursor } = await connection.request(
      { method: 'tools/list', params },
      ResultSchema,
      options,
    );
    if (Array.isArray(tools)) found.push(...tools);
    if (typeof nextCursor !== 'string') return found;
    if (page === MAX_PAGES || found.length > MAX_TOOLS) {
      throw new HoldfastError(
        'tool-failed',
        `the MCP server lists more than ${MAX_TOOLS} tools, or has no end`,
      );
    }
    params = { cursor: nextCursor };
  }
}

/**
 * One tool of the list as a tool of ours, its category the server's name; undefined where the overrides leave it out.
 * @throws InvalidInputError that says what is wrong with it
 */
export function toolOf(told: unknown, source: Source): Tool | undefined {
  const { prefix = '', overrides = {} } = source.settings;
  const theirs = parsedTool(told, source.sdk);
  if (theirs.execution?.taskSupport === 'required')
    throw unusable('execution', 'only runs as a task of its server');
  const set = typeof overrides === 'function' ? overrides(theirs) : overrides;
  if (set === false) return undefined;
  const category = cut(tameText(source.connection.serverName ?? '').trim(), MAX_NAME);
  const { told: inputJsonSchema, checked: input } = tameSchema(theirs.inputSchema, 'inputSchema');
  const checkOutput =
    theirs.outputSchema && checkerOf(tameSchema(theirs.outputSchema, 'outputSchema').checked, 'outputSchema');
  return defineTool({
    description: tameText(theirs.description ?? theirs.title ?? ''),
    ...(category && { category }),
    ...set,
    name: nameFor(prefix + theirs.name),
    input,
    inputJsonSchema,
    execute: (params, call) => callTool(theirs.name, params, call, checkOutput, source),
  });
}

async function callTool(
  name: string,
  params: Record<string, unknown>,
  call: ToolCall,
  checkOutput: Checker | undefined,
  { sdk, connection, settings: { onProgress } }: Source,
): Promise<unknown> {
  const { signal, tool, toolCallId } = call;
  signal.throwIfAborted();
  // Of its own, since the SDK never takes its listener off, and tells the server the reason.
  const given = new AbortController();
  const giveUp = () => given.abort('given up');
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    const result = await connection.request(
      { method: 'tools/call', params: { name, arguments: params } },
      sdk.types.CallToolResultSchema,
      {
        signal: given.signal,
        // The time limit is the signal's.
        timeout: MAX_TIMER_MS,
        ...(onProgress && {
          onprogress: ({ progress, total, message }) =>
            onProgress({
              tool,
              progress,
              ...(toolCallId !== undefined && { toolCallId }),
              ...(total !== undefined && { total }),
              ...(message !== undefined && { message: tameText(message) }),
            }),
        }),
      },
    );
    return await resultOf(result, checkOutput);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function parsedTool(told: unknown, { types }: Sdk): McpTool {
  const parsed = types.ToolSchema.safeParse(told);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  throw new InvalidInputError('not a tool of the protocol', issues);
}

/** A name that models take. @throws InvalidInputError */
function nameFor(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9_-]+/g, '_');
  if (plain.length > MAX_NAME)
    throw unusable('name', `has ${plain.length} characters, the limit is ${MAX_NAME}`);
  if (/^_*$/.test(plain) || plain in {}) throw unusable('name', 'is none that a tool can have: set a prefix');
  return plain;
}

/** The name of what may be no tool, for messages. */
export function shownName(told: unknown): string {
  const { name } = (told ?? {}) as { name?: unknown };
  return typeof name === 'string' ? tameText(name).slice(0, 80) : `(${kindOf(name)})`;
}

/** What is wrong with a tool of a server. */
export function unusable(path: string, message: string): InvalidInputError {
  return new InvalidInputError('not a tool that can be used', [{ path, message }]);
}
