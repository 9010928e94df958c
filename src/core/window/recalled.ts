/** How recalled messages and memories are put into words: one message, oldest first, each saying whose and when. */
import { cut } from '../cut.ts';
import { textOf } from '../messages/formats/text.ts';
import type { Message } from '../model/message.ts';
import type { Recalled, WindowManifest } from '../model/window.ts';
import { readQuestion } from '../search/question.ts';
import { termsOf } from '../search/terms.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import { countMessage } from '../tokens/message-tokens.ts';
import type { Counted } from './groups.ts';
import type { History } from './history.ts';
import type { ReplayedWindow } from './manifests.ts';
import { queryOf } from './query.ts';

/** Something that may be recalled, the best first. */
export type Find =
  | { readonly message: Message; readonly version: number; readonly because?: Find & { message: Message } }
  | {
      readonly memory: { readonly id: string; readonly content: string; readonly version: number };
      /** The seqs of the log's messages that it was made from. */
      readonly sources?: readonly number[];
    };

const HEADING = '[Said earlier in this conversation, not now]';
const MEMORIES = '[Remembered of the user]';
/** What ends a line, wherever the text is shown. */
const lineEnds = /[\n\r\v\f\u0085\u2028\u2029]+/;
/** The seq and id of the message that holds what is recalled. It has no place in the log. */
export const RECALLED_SEQ = -1;
const RECALLED_ID = 'recalled';

interface Line {
  readonly ref: Recalled;
  readonly message: Message | undefined;
  readonly text: string;
  readonly tokens: number;
}

export interface RecalledMessage {
  message: Message;
  tokens: number;
  recalled: Recalled[];
}

/** What a recalled text may cost, and what it is looked at for. */
export interface Room {
  counter: TokenCounter;
  /** In tokens, for all of it. */
  tokens: number;
  /** Of a text that is longer than this only the sentences that hold the query's terms are shown. */
  cutTokens: number;
  terms: ReadonlySet<string>;
}

/** Takes of what was found the best that there is room for. @returns undefined where nothing has room */
export function packRecalled(finds: readonly Find[], room: Room): RecalledMessage | undefined {
  if (finds.length === 0) return undefined;
  const lines: Line[] = [];
  const taken = new Set<string>();
  let left = room.tokens - headingTokens(finds, room.counter);
  const add = (find: Find) => {
    const line = toLine(find, room);
    const key = keyOf(line.ref);
    const day = line.message && dayOf(line.message);
    const isNew = day !== undefined && !lines.some(({ message }) => message && dayOf(message) === day);
    const cost = line.tokens + (isNew ? room.counter.count(`${day}\n`) : 0);
    if (taken.has(key) || cost > left) return;
    taken.add(key);
    lines.push(line);
    left -= cost;
  };
  for (const find of finds) {
    add(find);
    if ('message' in find && find.because && taken.has(`${find.message.seq}`)) add(find.because);
  }
  // Pieces that are counted one by one may cost a little more together.
  for (; lines.length > 0; lines.pop()) {
    const packed = render(lines, room.counter);
    if (packed.tokens <= room.tokens) return packed;
  }
  return undefined;
}

function headingTokens(finds: readonly Find[], counter: TokenCounter): number {
  const kinds = [
    ...(finds.some((find) => 'message' in find) ? [HEADING] : []),
    ...(finds.some((find) => 'memory' in find) ? [MEMORIES] : []),
  ];
  return countMessage(counter, { content: `${kinds.join('\n')}\n` });
}

function toLine(find: Find, { counter, cutTokens, terms }: Room): Line {
  if ('memory' in find) {
    const { id, content, version } = find.memory;
    const text = `- ${linesOf(content).join(' ')}`;
    return { ref: { memoryId: id, version }, message: undefined, text, tokens: counter.count(`${text}\n`) };
  }
  const { message, version } = find;
  const said = textOf(message).trim();
  const whole = asSaid(message, said);
  const tokens = counter.count(`${whole}\n`);
  const ref: Recalled = { seq: message.seq, version };
  if (tokens <= cutTokens) return { ref, message, text: whole, tokens };
  const text = asSaid(message, excerptOf(said, terms, cutTokens * 3));
  return { ref, message, text, tokens: counter.count(`${text}\n`) };
}

/** Who said what. Only what we write begins a line: a text can be no heading, and no turn of somebody else's. */
function asSaid({ name, role }: Message, said: string): string {
  return `${linesOf(name ?? role).join(' ')}: ${linesOf(said).join('\n  ')}`;
}

function linesOf(text: string): string[] {
  return text.split(lineEnds).filter((line) => line.trim());
}

function render(lines: readonly Line[], counter: TokenCounter): RecalledMessage {
  const memories = lines.filter(({ message }) => !message);
  const messages = lines
    .filter((line): line is Line & { message: Message } => line.message !== undefined)
    .sort((a, b) => a.message.seq - b.message.seq);
  const told: string[] = [];
  if (memories.length > 0) told.push(MEMORIES, ...memories.map(({ text }) => text));
  if (messages.length > 0) told.push(HEADING);
  let day = '';
  for (const { message, text } of messages) {
    if (dayOf(message) !== day) {
      day = dayOf(message);
      told.push(day);
    }
    told.push(text);
  }
  const recalled = [...memories, ...messages].map(({ ref }) => ref);
  const content = told.join('\n');
  const createdAt = Math.max(0, ...messages.map(({ message }) => message.createdAt));
  const message: Message = {
    id: RECALLED_ID,
    seq: RECALLED_SEQ,
    role: 'user',
    content,
    metadata: { recalled: true },
    createdAt,
  };
  const tokens = countMessage(counter, message);
  return { message: { ...message, tokens }, tokens, recalled };
}

export function keyOf(ref: Recalled): string {
  return 'memoryId' in ref ? `memory ${ref.memoryId}` : `${ref.seq}`;
}

const day = new Intl.DateTimeFormat('en-GB', {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
  timeZone: 'UTC',
});

/** The weekday is what "last Friday" is counted from. */
function dayOf({ createdAt }: Message): string {
  return day.format(createdAt).replace(',', '');
}

/** Of a long text, the lines and sentences that hold the query's terms, as far as there is room; else its beginning. */
function excerptOf(text: string, terms: ReadonlySet<string>, maxChars: number): string {
  const sentences = text.match(/[^.!?\n]+(?:[.!?]+|\n|$)/g) ?? [text];
  const telling = sentences.filter((sentence) => termsOf(sentence).some((term) => terms.has(term)));
  let excerpt = '';
  for (const sentence of telling.length > 0 ? telling : sentences) {
    const piece = sentence.trim();
    if (excerpt.length + piece.length > maxChars) break;
    excerpt += excerpt ? ` … ${piece}` : piece;
  }
  return `${excerpt || cut(text, maxChars)} …`;
}

/** What of it was changed since, and what is gone: seqs, and ids of memories. */
interface ReplayedRecall
  extends Pick<ReplayedWindow, 'changed' | 'gone' | 'changedMemories' | 'goneMemories'> {
  item?: Counted;
}

/** What a recorded window recalled, put into words again as it is now. */
export async function replayRecalled(
  { sections, recall }: Pick<WindowManifest, 'sections' | 'recall'>,
  from: {
    history: History;
    counter: TokenCounter;
    memory: (id: string) => Promise<{ id: string; content: string; version: number } | undefined>;
  },
): Promise<ReplayedRecall> {
  const shown = sections.find(({ name }) => name === 'recalled')?.items[0];
  if (!shown?.recalled || !recall) return { changed: [], gone: [], changedMemories: [], goneMemories: [] };
  const messages = shown.recalled.filter((ref) => 'seq' in ref);
  const memories = shown.recalled.filter((ref) => 'memoryId' in ref);
  const [found, remembered] = await Promise.all([
    from.history.at(messages.map(({ seq }) => seq)),
    Promise.all(memories.map(({ memoryId }) => from.memory(memoryId))),
  ]);
  const finds: Find[] = [
    ...remembered.flatMap((memory) => (memory ? [{ memory }] : [])),
    ...messages.flatMap(({ seq }) => found.get(seq) ?? []),
  ];
  const { querySeq, cutTokens } = recall;
  const asked = querySeq === undefined ? undefined : (await from.history.at([querySeq])).get(querySeq);
  const query = recall.query ?? (asked ? queryOf(asked.message) : '');
  const terms = new Set(readQuestion(query).terms);
  const room = { counter: from.counter, tokens: Number.MAX_SAFE_INTEGER, cutTokens, terms };
  const packed = packRecalled(finds, room);
  const versions = new Map(remembered.flatMap((memory) => (memory ? [[memory.id, memory.version]] : [])));
  const isChanged = (now: number | undefined, version: number) => now !== undefined && now !== version;
  return {
    ...(packed && { item: { ...packed, version: 1 } }),
    changed: messages
      .filter(({ seq, version }) => isChanged(found.get(seq)?.version, version))
      .map(({ seq }) => seq),
    gone: messages.filter(({ seq }) => !found.has(seq)).map(({ seq }) => seq),
    changedMemories: memories
      .filter(({ memoryId, version }) => isChanged(versions.get(memoryId), version))
      .map(({ memoryId }) => memoryId),
    goneMemories: memories.filter(({ memoryId }) => !versions.has(memoryId)).map(({ memoryId }) => memoryId),
  };
}
