import { parseInput } from '../../core/input.ts';
import type { Tool, ToolResult } from '../../core/tools/tool.ts';
import { plain, statusOf } from '../errors.ts';
import { route } from '../route.ts';
import * as wire from '../tool-schemas.ts';

/** Nobody vouches for who calls over HTTP. */
const ROLE = 'public';

export const toolRoutes = [
  route({
    method: 'get',
    path: '/v1/tools',
    summary: 'Lists tools, of a category or with a tag',
    query: wire.ToolsQuery,
    answer: wire.ToolList,
    handle: ({ engine, query }) => ({ tools: engine.tools.list(query).map(toldOf) }),
  }),
  route({
    method: 'get',
    path: '/v1/tools/{name}',
    summary: 'Gives a tool',
    answer: wire.ToolAnswer,
    handle: ({ engine, params }) => toldOf(engine.tools.get(params.name)),
  }),
  route({
    method: 'get',
    path: '/v1/tools/{name}/stats',
    summary: "Tells what came of a tool's calls in this process",
    answer: wire.ToolStatsAnswer,
    handle: ({ engine, params }) => engine.tools.stats(params.name),
  }),
  route({
    method: 'post',
    path: '/v1/tools/{name}/execute',
    summary: 'Calls a tool, as somebody without a role',
    body: wire.ExecuteBody,
    bodyOptional: true,
    answer: wire.ToolResultAnswer,
    handle: async ({ engine, params, body, request: { signal } }) => {
      const { params: given, ...who } = parseInput(wire.ExecuteBody, body, 'tools.execute');
      const result = await engine.tools.execute(params.name, given, { ...who, role: ROLE, signal });
      const status = result.success ? 200 : statusOf(result.error.code);
      return Response.json(result, { status, headers: { ...retryAfter(result), ...plain } });
    },
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/tool-results',
    summary: 'Reads a large result back, piece by piece',
    query: wire.ResultQuery,
    answer: wire.ResultAnswer,
    handle: ({ engine, params, query: { handle, ...range } }) =>
      engine.tools.readResult(params.sessionId, handle, range),
  }),
];

/** When to come again, of a call over its limit. */
function retryAfter({ error }: ToolResult): Record<string, string> {
  const ms = error?.details?.retryAfterMs;
  return typeof ms === 'number' ? { 'retry-after': String(Math.ceil(ms / 1000)) } : {};
}

function toldOf(tool: Tool): wire.ToldTool {
  const { name, description, category, tags, permission, idempotent, inputJsonSchema, outputJsonSchema } =
    tool;
  return {
    name,
    description,
    ...(category !== undefined && { category }),
    tags,
    permission,
    ...(idempotent !== undefined && { idempotent }),
    ...(inputJsonSchema && { inputJsonSchema }),
    ...(outputJsonSchema && { outputJsonSchema }),
  };
}
