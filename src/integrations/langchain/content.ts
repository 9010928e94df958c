import type { ContentBlock, MessageContent } from '@langchain/core/messages';

/** A piece of what an MCP tool gives: see docs/integrations.md. */
interface Block {
  type: string;
  text?: string;
  data?: string;
  mimeType?: string;
}

/** What a model is shown of a result: a text as it is, images and sounds of MCP tools as blocks, all else as JSON. */
export function contentOf(result: unknown): MessageContent {
  if (typeof result === 'string') return result;
  const { content } = (result ?? {}) as { content?: unknown };
  if (!Array.isArray(content) || !content.some(isMedia)) return JSON.stringify(result);
  return content.map(blockOf);
}

function isMedia(
  block: unknown,
): block is Block & { type: 'image' | 'audio'; data: string; mimeType: string } {
  const { type, data, mimeType } = (block ?? {}) as Partial<Block>;
  return (type === 'image' || type === 'audio') && typeof data === 'string' && typeof mimeType === 'string';
}

function blockOf(block: Block): ContentBlock {
  if (isMedia(block)) return { type: block.type, mimeType: block.mimeType, data: block.data };
  const text = block.type === 'text' && typeof block.text === 'string' ? block.text : JSON.stringify(block);
  return { type: 'text', text };
}
