/** Results that are to be seen or heard, in the form that MCP gives them: `{content: [{type: 'image', data, mimeType}]}`. */

/** One piece of such a result. */
export type ResultBlock = { type: 'text'; text: string } | MediaBlock;
type MediaBlock = {
  type: 'image' | 'audio';
  /** Base64. */
  data: string;
  mimeType: string;
};

/**
 * The pieces of a result that has images or sounds among them; of what is neither these nor text, its JSON.
 * @returns undefined for any other result
 */
export function mediaOf(result: unknown): ResultBlock[] | undefined {
  const { content } = (result ?? {}) as { content?: unknown };
  if (!Array.isArray(content) || !content.some(isMedia)) return undefined;
  return content.map((block: unknown) => {
    if (isMedia(block)) return block;
    const { type, text } = (block ?? {}) as { type?: unknown; text?: unknown };
    return { type: 'text', text: type === 'text' && typeof text === 'string' ? text : JSON.stringify(block) };
  });
}

function isMedia(block: unknown): block is MediaBlock {
  const { type, data, mimeType } = (block ?? {}) as Partial<MediaBlock>;
  return (type === 'image' || type === 'audio') && typeof data === 'string' && typeof mimeType === 'string';
}
