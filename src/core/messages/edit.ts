import { InvalidInputError } from '../errors.ts';
import { objectSchema, parseInput } from '../input.ts';
import type { Message, ParsedMessage } from '../model/message.ts';
import { parseMessage } from './formats/parse.ts';

/** Fields of a message that can be edited. What is absent stays; null takes a name, a priority or metadata away. */
export interface EditMessage {
  /** For a tool's message a text is what the tool says: it still answers its call. */
  content?: unknown;
  name?: string | null;
  priority?: Message['priority'] | null;
  pinned?: boolean;
  metadata?: Record<string, unknown> | null;
}

const editable: readonly string[] = ['content', 'name', 'priority', 'pinned', 'metadata'];

/** The message as it is after the changes, checked like a new one. @throws InvalidInputError */
export function applyEdit(before: Message, changes: EditMessage): ParsedMessage {
  parseInput(objectSchema, changes, 'messages.edit: changes');
  const unknown = Object.keys(changes).filter((field) => !editable.includes(field));
  if (unknown.length > 0) {
    const issues = unknown.map((path) => ({ path, message: `can't be edited; ${editable.join(', ')} can` }));
    throw new InvalidInputError('messages.edit', issues);
  }
  const { id: _, seq: __, tokens: ___, wire, ...fields } = before;
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  const edited = { ...fields, ...Object.fromEntries(given) };
  if (typeof changes.content === 'string') edited.content = withText(before, changes.content);
  const kept = Object.fromEntries(Object.entries(edited).filter(([, value]) => value !== null));
  const parsed = parseMessage(kept, 'message');
  // Leftovers of a foreign format go by the places of parts: they hold only as long as the content does.
  return changes.content === undefined && wire ? { ...parsed, wire } : parsed;
}

function withText({ role, content }: Message, text: string): Message['content'] {
  const [part, ...others] = typeof content === 'string' ? [] : content;
  if (role !== 'tool' || part?.type !== 'tool-result' || others.length > 0) return text;
  return [{ ...part, output: { type: 'text', value: text } }];
}
