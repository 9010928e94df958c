import { cut } from '../cut.ts';
import { textOf } from '../messages/formats/text.ts';
import type { Offload } from '../model/compaction.ts';
import type { Message, Part, ToolResultPart } from '../model/message.ts';

/** How much of a text its marker shows. */
const SHOWN = 160;
/** A shorter text is not worth a marker. */
export const WORTH_OFFLOADING = 1000;
/** The place of a message's whole text, in place of a part's. */
export const WHOLE = -1;

/** The name under which `messages.readOffloaded` gives back what a marker stands for: `@120/0`. */
export function handleOf(seq: number, part: number): string {
  return part === WHOLE ? `@${seq}` : `@${seq}/${part}`;
}

/** @returns undefined for what is no handle */
export function readHandle(handle: string): { seq: number; part: number } | undefined {
  const [, seq, part] = /^@([1-9]\d{0,14})(?:\/(\d{1,6}))?$/.exec(handle) ?? [];
  return seq === undefined
    ? undefined
    : { seq: Number(seq), part: part === undefined ? WHOLE : Number(part) };
}

/**
 * A message with parts of it as markers. The same message gives the same markers: nothing of its text is kept
 * elsewhere. What its format says beyond our fields goes by the content, and goes with it.
 * @param omitted the parts that the message lacks, as `offloads` counts them
 */
export function withMarkers(
  message: Message,
  offloads: readonly Offload[],
  omitted: readonly number[] = [],
): Message {
  const { wire: _, content, ...rest } = message;
  if (typeof content === 'string') {
    const whole = offloads.find(([part]) => part === WHOLE);
    return whole ? { ...rest, content: markerOf(message.seq, whole, content) } : message;
  }
  const places = placesOf(content, omitted);
  const parts = content.map((part, index) => {
    const offload = offloads.find(([place]) => place === places[index]);
    return offload ? markedPart(part, message.seq, offload) : part;
  });
  return { ...rest, content: parts };
}

/** Where the parts of a message, of which some were left out, are in the log. */
export function placesOf(content: readonly Part[], omitted: readonly number[]): number[] {
  const places: number[] = [];
  for (let place = 0; places.length < content.length; place++)
    if (!omitted.includes(place)) places.push(place);
  return places;
}

function markedPart(part: Part, seq: number, offload: Offload): Part {
  const text = markerOf(seq, offload, partText(part));
  if (part.type === 'tool-result')
    return { ...part, output: { type: isError(part) ? 'error-text' : 'text', value: text } };
  return { ...part, text };
}

function isError(part: Part): boolean {
  return (part as ToolResultPart).output.type.startsWith('error-');
}

function markerOf(seq: number, [part, sameAs]: Offload, text: string): string {
  const handle = handleOf(seq, part);
  if (sameAs !== undefined) return `[The same as in message @${sameAs}. Left out here; handle ${handle}]`;
  return leftOut(handle, text);
}

/** What stands for a text that can be read back. */
export function leftOut(handle: string, text: string): string {
  const begin = cut(text, SHOWN).replaceAll(/\s+/g, ' ').trim();
  const length = text.length.toLocaleString('en-US');
  return `[Left out to save room: ${length} characters; read them back with the handle ${handle}. They begin: ${begin}…]`;
}

/** How long the text of a part is that may be offloaded: a tool's result. 0 for others. */
export function offloadableLength(part: Part): number {
  return part.type === 'tool-result' ? partText(part as ToolResultPart).length : 0;
}

export function partText(part: Part): string {
  return textOf({ content: [part] });
}
