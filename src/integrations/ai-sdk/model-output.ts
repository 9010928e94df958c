import type { JSONValue, ToolResultPart } from 'ai';
import { mediaOf } from '../../core/tools/media.ts';

type Output = ToolResultPart['output'];

/**
 * What a model is shown of a result: a text as text, images and sounds as files, all else as JSON.
 * @param output a result of `engine.tools`, which is JSON
 */
export function toModelOutput({ output }: { output: unknown }): Output {
  if (typeof output === 'string') return { type: 'text', value: output };
  const blocks = mediaOf(output);
  if (!blocks) return { type: 'json', value: output as JSONValue };
  const value = blocks.map((block) => {
    if (block.type === 'text') return block;
    const data = { type: 'data' as const, data: block.data };
    return { type: 'file' as const, mediaType: block.mimeType, data };
  });
  return { type: 'content', value };
}
