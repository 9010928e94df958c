import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { HoldfastError } from '../../core/errors.ts';
import type { Checker } from '../../core/tools/schema.ts';

/**
 * What a call gave: its structured content where it has some, else its text. With images, sounds or resources it is
 * `{content, structuredContent?}`, as the protocol has them.
 * @param checkOutput by the output schema that the tool declares
 * @throws HoldfastError of code `tool-failed` where the server says that the tool failed, or breaks its own word
 */
export async function resultOf(result: CallToolResult, checkOutput: Checker | undefined): Promise<unknown> {
  const { content, structuredContent, isError } = result;
  const texts = content.flatMap((block) => (block.type === 'text' ? [block.text] : []));
  const text = texts.join('\n');
  if (isError) throw new HoldfastError('tool-failed', text || 'the tool failed and did not say why');
  if (checkOutput) {
    const { issues } = structuredContent ? await checkOutput(structuredContent) : { issues: [] };
    if (issues) {
      throw new HoldfastError('tool-failed', 'the server gave a result that its own output schema forbids', {
        details: { issues },
      });
    }
  }
  if (texts.length < content.length) {
    return { content, ...(structuredContent && { structuredContent }) };
  }
  return structuredContent ?? text;
}
