import type { JSONValue, ToolResultPart } from 'ai';

type Output = ToolResultPart['output'];
type Part = Extract<Output, { type: 'content' }>['value'][number];

/** A piece of what an MCP tool gives: see docs/integrations.md. */
interface Block {
  type: string;
  text?: string;
  data?: string;
  mimeType?: string;
}

/**
 * What a model is shown of a result: a text as text, images and sounds of MCP tools as files, all else as JSON.
 * @param output a result of `engine.tools`, which is JSON
 */
export function toModelOutput({ output }: { output: unknown }): Output {
  if (typeof output === 'string') return { type: 'text', value: output };
  const blocks = blocksOf(output);
  if (!blocks) return { type: 'json', value: output as JSONValue };
  return { type: 'content', value: blocks.map(partOf) };
}

/** Of `{content: […]}` with something in it that is to be seen or heard. */
function blocksOf(output: unknown): readonly Block[] | undefined {
  const { content } = (output ?? {}) as { content?: unknown };
  return Array.isArray(content) && content.some(isMedia) ? content : undefined;
}

function isMedia(block: unknown): block is Block & { data: string; mimeType: string } {
  const { type, data, mimeType } = (block ?? {}) as Partial<Block>;
  return (type === 'image' || type === 'audio') && typeof data === 'string' && typeof mimeType === 'string';
}

function partOf(block: Block): Part {
  if (isMedia(block)) {
    return { type: 'file', mediaType: block.mimeType, data: { type: 'data', data: block.data } };
  }
  const text = block.type === 'text' && typeof block.text === 'string' ? block.text : JSON.stringify(block);
  return { type: 'text', text };
}
