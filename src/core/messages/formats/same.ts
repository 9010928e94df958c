import type { ParsedMessage, Part } from '../../model/message.ts';
import { toAiSdk } from './ai-sdk.ts';
import { sameValue } from './values.ts';

type Said = Pick<ParsedMessage, 'role' | 'content' | 'name' | 'providerOptions' | 'wire'>;

/**
 * Whether two messages say the same: role, content, name, provider fields, and what their format says besides.
 * Not compared: id, seq, createdAt, tokens, priority, pinned, metadata. So a stored message can be recognised in a
 * history that is handed in whole.
 *
 * What only one format can say counts only between two messages of that format: a message that came as OpenAI's,
 * was read `as: 'ai-sdk'` and is handed back is the same.
 */
export function sameMessage(a: Said, b: Said): boolean {
  if (a.wire?.format === b.wire?.format && !sameValue(a.wire, b.wire)) return false;
  return sameBody(toAiSdk(a), toAiSdk(b));
}

type Body = Omit<Said, 'wire'>;

function sameBody(a: Body, b: Body): boolean {
  return (
    a.role === b.role &&
    a.name === b.name &&
    sameContent(a.content, b.content) &&
    sameValue(a.providerOptions, b.providerOptions)
  );
}

function sameContent(a: string | Part[], b: string | Part[]): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.length === b.length && a.every((part, index) => samePart(part, b[index]!));
}

/** OpenAI's tool results don't name their tool; a name found for them later makes no difference. */
function samePart(a: Part, b: Part): boolean {
  const nameless = a.type === 'tool-result' && (a.toolName === '' || b.toolName === '');
  return nameless ? sameValue({ ...a, toolName: '' }, { ...b, toolName: '' }) : sameValue(a, b);
}
