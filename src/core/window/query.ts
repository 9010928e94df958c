/** What a user's turn asks: the query of a window that is given none. */
import { cut } from '../cut.ts';
import { textOf } from '../messages/formats/text.ts';
import type { Message } from '../model/message.ts';
import { signalsOf } from '../search/signals.ts';

/** A turn that begins like that wants something found, though it asks nothing. */
const wanting =
  /^(?:(?:please|can you|could you|now|ok(?:ay)?,?|and)\s+)*(?:find|look up|search|remind|recall|tell me|show|list|give me|repeat|summari[sz]e|compare|explain|check|who|what|when|where|which|why|how)\b/i;
/** Of a longer turn, the sentences that ask are what it is about. */
const LONG_QUERY = 1000;

/** How much of a turn wants an answer, 0 to 1. */
export function askingOf(text: string): number {
  return wanting.test(text.trimStart()) ? 1 : signalsOf(text).asking;
}

/** What a turn is about: of a long one, what it asks. */
export function queryOf(turn: Pick<Message, 'content'>): string {
  const text = textOf(turn);
  if (text.length <= LONG_QUERY) return text;
  const asked = (text.match(/[^.!?\n]+[.!?]*/g) ?? []).filter((sentence) => sentence.includes('?'));
  return cut(asked.length > 0 ? asked.join(' ') : text, LONG_QUERY);
}
