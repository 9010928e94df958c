import { InvalidInputError } from '../errors.ts';
import type { Message, Part } from '../model/message.ts';
import { textOf } from './formats/text.ts';

/** What a marker stands for. */
export interface Offloaded {
  messageId: string;
  seq: number;
  /** The part as it is in the message; absent where the handle means a message that is one text. */
  part?: Part;
  /** All its text. */
  text: string;
}

/** @param index of the part; −1 for all of the message */
export function offloadedIn(message: Message, index: number): Offloaded | undefined {
  const { id: messageId, seq, content } = message;
  if (index < 0) return { messageId, seq, text: textOf(message) };
  const part = typeof content === 'string' ? undefined : content[index];
  return part && { messageId, seq, part, text: textOf({ content: [part] }) };
}

export function noHandle(): InvalidInputError {
  const message = 'expected a handle as markers name it: @120/0, or @120 for a whole message';
  return new InvalidInputError('messages.readOffloaded', [{ path: 'handle', message }]);
}
