/** The wire schemas of tools: see schemas.ts. */
import { z } from '@hono/zod-openapi';
import type { ToolStats } from '../core/tools/stats.ts';
import { permissions, type Tool } from '../core/tools/tool.ts';
import type { ListTools } from '../core/tools/tools.ts';
import { count, type Fields, id, integerText, object } from './schemas.ts';

const ms = z.number().min(0).openapi({ description: 'Milliseconds' });
const jsonSchema = object.openapi({ description: 'JSON Schema; absent where the tool can not tell it' });

/** What is told of a tool: not what only its engine has to know. */
const told = {
  name: id,
  description: z.string(),
  category: id.optional(),
  tags: z.array(id),
  permission: z.enum(permissions),
  idempotent: z.boolean().optional(),
  inputJsonSchema: jsonSchema.optional(),
  outputJsonSchema: jsonSchema.optional(),
};
export type ToldTool = Pick<Tool, keyof typeof told>;

export const ToolAnswer = z.object(told).openapi('Tool');
export const ToolList = z.object({ tools: z.array(ToolAnswer) });
export const ToolsQuery = z.strictObject({
  category: id.optional(),
  tag: id.optional(),
} satisfies Fields<ListTools>);

export const ExecuteBody = z
  .strictObject({
    params: z.unknown().optional().openapi({ description: 'What the tool is called with; {} where absent' }),
    sessionId: id.optional(),
    userId: id.optional(),
    toolCallId: id.optional(),
  })
  .openapi('ExecuteTool');

export const ToolResultAnswer = z
  .object({
    success: z.boolean(),
    result: z.unknown(),
    large: z.object({ length: count.optional(), handle: z.string().optional() }).optional(),
    error: z
      .object({
        code: z.string(),
        message: z.string(),
        hint: z.string().optional(),
        details: object.optional(),
      })
      .optional(),
    durationMs: ms,
    cached: z.boolean(),
    attempts: count,
  })
  .openapi('ToolResult');

export const ToolStatsAnswer = z
  .object({
    calls: count,
    succeeded: count,
    failed: count,
    failures: z.record(z.string(), count),
    cached: count,
    attempts: count,
    running: count,
    durationMs: z.object({ min: ms, mean: ms, p50: ms, p95: ms, p99: ms, max: ms }),
  } satisfies Fields<ToolStats>)
  .openapi('ToolStats');

export const ResultQuery = z.strictObject({
  handle: z.string().openapi({ description: 'As results name it: tool:…' }),
  offset: integerText.optional(),
  limit: integerText.optional(),
});
export const ResultAnswer = z.object({
  text: z.string(),
  offset: count,
  length: count,
  nextOffset: count.optional(),
});
