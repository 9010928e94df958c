import { constants } from 'node:buffer';
import type { ImportError } from '../../core/errors.ts';
import { kindOf } from '../../core/ids.ts';
import { chatConversation } from './chat.ts';
import { chatGptConversation } from './chatgpt.ts';
import { brokenConversation, type Candidate, type Conversation, isObject } from './conversation.ts';
import { fileBytes, firstCharacter, type Line, problem, readLines, readText } from './files.ts';
import { type JsonProblem, parseJson } from './json-text.ts';

export interface ReadLimits {
  /** Of one line of a JSONL file. 64 MiB unless said. */
  maxLineBytes?: number;
  /** Of a file that is one JSON document. The longest string of Node, about 512 MiB, unless said. */
  maxDocumentBytes?: number;
}

const MAX_LINE_BYTES = 64 * 1024 * 1024;
const FORMATS = 'Holdfast imports JSONL with a conversation a line, OpenAI chat JSON, and ChatGPT exports.';

/**
 * The conversations of a file, in its order. The format is told from the content:
 *
 * - The first character is `[`: one JSON document, an array of conversations or of messages.
 * - It is `{`, and the first line alone is a JSON object: JSONL, read line by line in bounded memory.
 * - It is `{`, and the first line is but the beginning of an object: one JSON document, a conversation.
 * - A conversation with a `mapping` is one of a ChatGPT export; any other has `messages`.
 *
 * A file without content has no conversations. What can't be read is an `ImportError` with the place; the
 * conversations before that place have been yielded by then.
 * @throws ImportError at once when there is no such regular file
 */
export function readConversations(file: string, limits: ReadLimits = {}): ConversationFile {
  return new ConversationFile(file, limits);
}

/** A file of conversations, and how far it is read. Iterating again starts again. */
export class ConversationFile implements AsyncIterable<Conversation> {
  readonly file: string;
  readonly totalBytes: number;
  readonly #limits: Required<ReadLimits>;
  #bytesRead = 0;

  constructor(file: string, limits: ReadLimits) {
    this.file = file;
    this.totalBytes = fileBytes(file);
    this.#limits = { maxLineBytes: MAX_LINE_BYTES, maxDocumentBytes: constants.MAX_STRING_LENGTH, ...limits };
  }

  /** Of `totalBytes`, up to and with the last conversation yielded; estimated inside a JSON document. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Conversation> {
    this.#bytesRead = 0;
    const layout = await findLayout(this.file, this.#limits.maxLineBytes);
    if (layout === 'lines') yield* this.#readLines();
    if (layout === 'document') yield* this.#readDocument();
    this.#bytesRead = this.totalBytes;
  }

  async *#readLines(): AsyncGenerator<Conversation> {
    const { file } = this;
    let number = 0;
    for await (const line of readLines(file, this.#limits.maxLineBytes)) {
      this.#bytesRead += line.bytes;
      if (isBlank(line.text)) continue;
      const parsed = parseJson(line.text);
      if (parsed.problem) throw brokenLine(file, line, parsed.problem);
      number++;
      yield toConversation({ value: parsed.value, number, source: { file, line: line.number } });
    }
  }

  async *#readDocument(): AsyncGenerator<Conversation> {
    const candidates = await this.#parseDocument();
    for (const candidate of candidates) {
      const conversation = toConversation(candidate);
      this.#bytesRead = Math.floor((this.totalBytes * candidate.number) / candidates.length);
      yield conversation;
    }
  }

  async #parseDocument(): Promise<Candidate[]> {
    const { file, totalBytes } = this;
    const { maxDocumentBytes } = this.#limits;
    if (totalBytes > maxDocumentBytes) {
      throw problem(
        { file },
        `a JSON document of ${totalBytes} bytes is too large, the limit is ${maxDocumentBytes}`,
        'Split it, or convert it to JSONL with one conversation a line: that may have any size.',
      );
    }
    const text = await readText(file);
    const parsed = parseJson(text);
    if (parsed.problem) throw brokenDocument(file, text, parsed.problem);
    const { value } = parsed;
    if (!Array.isArray(value)) return [{ value, number: 1, source: { file } }];
    if (isMessage(value[0])) return [{ value: { messages: value }, number: 1, source: { file } }];
    return value.map((element, index) => ({ value: element, number: index + 1, source: { file, index } }));
  }
}

async function findLayout(file: string, maxLineBytes: number): Promise<'lines' | 'document' | 'empty'> {
  const first = await firstCharacter(file);
  if (first === undefined) return 'empty';
  if (first === '[') return 'document';
  if (first !== '{') {
    const hint = first === 'P' ? `${FORMATS} Unpack an archive first.` : FORMATS;
    throw problem({ file }, 'is neither JSON nor JSONL: it starts with neither { nor [', hint);
  }
  for await (const { text } of readLines(file, maxLineBytes)) {
    if (isBlank(text)) continue;
    // A line that is wrong in its middle would be wrong in a document too: as a line it is told better.
    return parseJson(text).problem?.cutOff ? 'document' : 'lines';
  }
  return 'empty';
}

function toConversation(candidate: Candidate): Conversation {
  const { value } = candidate;
  if (!isObject(value)) {
    throw brokenConversation(candidate, [
      { path: '', message: `expected a conversation, got ${kindOf(value)}` },
    ]);
  }
  return Object.hasOwn(value, 'mapping') ? chatGptConversation(candidate) : chatConversation(candidate);
}

function isMessage(value: unknown): boolean {
  return isObject(value) && Object.hasOwn(value, 'role');
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function brokenLine(file: string, line: Line, { reason, offset, cutOff }: JsonProblem): ImportError {
  if (cutOff && !line.ended) return tornFile(file, line.number);
  const column = offset === undefined ? {} : { column: offset + 1 };
  return problem({ file, line: line.number, ...column }, `is not JSON: ${reason}`);
}

function brokenDocument(file: string, text: string, { reason, offset, cutOff }: JsonProblem): ImportError {
  if (cutOff) return tornFile(file, lineAt(text, text.trimEnd().length));
  if (offset === undefined) return problem({ file }, `is not JSON: ${reason}`);
  const column = offset - text.lastIndexOf('\n', offset - 1);
  return problem({ file, line: lineAt(text, offset), column }, `is not JSON: ${reason}`);
}

function tornFile(file: string, line: number): ImportError {
  return problem(
    { file, line },
    'is cut off: the file ends in the middle of a conversation',
    'Get the whole file and import it again; what was imported already is not doubled.',
  );
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}
