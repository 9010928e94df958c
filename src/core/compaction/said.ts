import type { Message } from '../model/message.ts';
import type { Counted } from '../window/groups.ts';
import { placesOf } from './marker.ts';

/** A message as it was said, for who makes a summary of it: without markers, and without what a later one says again. */
export function said({ message, whole, offloaded = [], omitted = [] }: Counted): Message {
  if (!whole) return message;
  const { content } = whole;
  const again = new Set(offloaded.flatMap(([part, sameAs]) => (sameAs === undefined ? [] : [part])));
  if (again.size === 0) return whole;
  if (typeof content === 'string') return { ...whole, content: '' };
  const places = placesOf(content, omitted);
  return { ...whole, content: content.filter((_, index) => !again.has(places[index]!)) };
}
