/** What ranking needs to know of a message or a memory, read from it once. */
import { textOf } from '../messages/formats/text.ts';
import type { Message, Part, ToolResultPart } from '../model/message.ts';
import { type Signals, signalsOf } from './signals.ts';
import { termsOf } from './terms.ts';

/** One analysed message or memory. */
export interface Turn extends Signals {
  /** Its place in the log. */
  seq: number;
  /** The version of the entry that was analysed. */
  version: number;
  /** Who says it: `user`, `assistant`, `system`, `tool`; `memory` where it is none of a conversation. */
  role: string;
  /** Who says it, by name: `name` of the message, the tool of a result. */
  name?: string;
  /** Epoch milliseconds. */
  createdAt: number;
  /** How often it says each term: its text, the output of tools, its tags. */
  body: ReadonlyMap<string, number>;
  /** The same for what only goes with it: captions and names of files, calls of tools, reasoning. */
  extra: ReadonlyMap<string, number>;
  /** 0 to 1, where it is known. */
  importance?: number;
}

/** A message, or anything that can be seen as one. */
export interface Analysable extends Pick<Message, 'content' | 'createdAt' | 'name' | 'metadata'> {
  seq: number;
  version: number;
  role: string;
  tags?: readonly string[];
  importance?: number;
}

/** The fields, of parts and of a message's metadata, whose text tells of what is attached. */
const describing = ['caption', 'alt', 'description', 'title', 'filename', 'query', 'imageQuery'] as const;
/** Parts that go with what is said, rather than say it. */
const beside = ['reasoning', 'image', 'file', 'tool-call'];

/** The terms, the speaker, the signals of a message or a memory. */
export function analyse(message: Analysable): Turn {
  const { content, metadata, seq, version, role, createdAt, tags = [], importance } = message;
  const parts = typeof content === 'string' ? [] : content;
  const [attached, said] = partition(parts);
  const text = typeof content === 'string' ? content : textOf({ content: said });
  const extra = [textOf({ content: attached }), ...attached.flatMap(descriptions), ...descriptions(metadata)];
  const name = message.name ?? toolOf(parts);
  return {
    seq,
    version,
    role,
    ...(name ? { name } : {}),
    createdAt,
    body: count([text, ...tags]),
    extra: count(extra),
    ...(importance === undefined ? {} : { importance }),
    ...signalsOf(text),
  };
}

function partition(parts: readonly Part[]): [attached: Part[], said: Part[]] {
  const attached: Part[] = [];
  const said: Part[] = [];
  for (const part of parts) (beside.includes(part.type) ? attached : said).push(part);
  return [attached, said];
}

/** Captions, titles and names of what is attached. */
export function descriptions(holder: { [field: string]: unknown } | undefined): string[] {
  if (!holder) return [];
  return describing.map((field) => holder[field]).filter((value) => typeof value === 'string');
}

/** Who speaks in a message of results is the tool. */
function toolOf(parts: readonly Part[]): string | undefined {
  const result = parts.find(({ type }) => type === 'tool-result') as ToolResultPart | undefined;
  return result?.toolName;
}

function count(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) for (const term of termsOf(text)) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}
