/** The nodes of one branch of a ChatGPT conversation, as AI SDK model messages. */
import type { Json } from '../../core/json.ts';
import type { MessageInput, Part, ToolResultPart } from '../../core/model/message.ts';
import { convertContent, type GptContent, isText, joinTexts } from './chatgpt-content.ts';
import { defined, isObject, type JsonFields, otherFields, unlessEmpty } from './conversation.ts';

export interface GptMessage {
  /** The node's id. */
  id: string;
  role: string;
  /** A tool's name, where the author is one. */
  author: string | undefined;
  /** `all`, or the tool that an assistant's message calls. */
  recipient: string;
  /** Epoch milliseconds. */
  createdAt: number | undefined;
  content: JsonFields;
  metadata: JsonFields;
  /** The message as the file has it. */
  raw: JsonFields;
}

/** A tool call and its answers. An export may lack either side: a turn that was stopped, a file that was read unasked. */
interface Exchange {
  call?: GptMessage;
  answers: GptMessage[];
}
type Entry = GptMessage | Exchange;

const NOT_TOOLS: ReadonlySet<string> = new Set(['all', 'assistant', 'user']);
/** Custom instructions and memories: what ChatGPT itself tells the model as the system. */
const SYSTEM_CONTENT: ReadonlySet<unknown> = new Set(['user_editable_context', 'model_editable_context']);
const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant', 'tool']);
/** Fields of a message that are told by fields of ours; `content` leaves what is not understood by itself. */
const KNOWN_FIELDS = new Set([
  'id',
  'author',
  'create_time',
  'recipient',
  'content',
  'metadata',
  'weight',
  'end_turn',
]);
const KNOWN_METADATA = new Set(['model_slug']);

/**
 * Messages with the nodes' ids. Empty nodes and the hidden ones of the system are left out. A call is followed by
 * its one result, in which all answers of the tool are joined; the side that the export lacks is made up, and
 * marked `metadata.chatgpt.implied`. A message without a time has that of the one before it, at first `startedAt`.
 */
export function chatGptMessages(
  branch: readonly GptMessage[],
  startedAt: number | undefined,
): MessageInput[] {
  let createdAt = startedAt;
  const timed = branch.map((message) => {
    createdAt = message.createdAt ?? createdAt;
    return { ...message, createdAt };
  });
  return pairTools(timed.filter((message) => !isHiddenSystem(message))).flatMap((entry) =>
    'answers' in entry ? exchangeMessages(entry) : plainMessage(entry),
  );
}

function isHiddenSystem({ role, metadata }: GptMessage): boolean {
  return role === 'system' && metadata.is_visually_hidden_from_conversation === true;
}

/** Finds the call of each answer: calls may be answered after a thought, or in another order than they were made. */
function pairTools(branch: readonly GptMessage[]): Entry[] {
  const entries: Entry[] = [];
  let turn: Exchange[] = [];
  for (const message of branch) {
    if (message.role === 'tool') {
      const exchange = findCall(turn, message.author);
      if (exchange) exchange.answers.push(message);
      else if (!isEmpty(message)) {
        const implied = { answers: [message] };
        entries.push(implied);
        turn.push(implied);
      }
    } else if (message.role === 'assistant' && !NOT_TOOLS.has(message.recipient)) {
      const exchange = { call: message, answers: [] };
      entries.push(exchange);
      turn.push(exchange);
    } else {
      if (message.role === 'user') turn = [];
      entries.push(message);
    }
  }
  return entries;
}

/** The oldest open call of this tool, or else of any; without an open one, more is said to the tool's last call. */
function findCall(turn: readonly Exchange[], tool: string | undefined): Exchange | undefined {
  const open = turn.filter(({ answers }) => answers.length === 0);
  return open.find((one) => toolOf(one) === tool) ?? open[0] ?? turn.findLast((one) => toolOf(one) === tool);
}

function toolOf({ call, answers }: Exchange): string {
  return call?.recipient ?? answers[0]?.author ?? 'unknown';
}

function exchangeMessages(exchange: Exchange): MessageInput[] {
  const { call, answers } = exchange;
  const first = answers[0];
  const toolCallId = (call ?? first)!.id;
  const tool = { toolCallId, toolName: toolOf(exchange) };
  const callContent = call && convertContent(call.content);
  const input: Json = callContent ? toolInput(callContent) : {};
  const results = answers.map((answer) => convertContent(answer.content));
  const output = first
    ? toolOutput(results)
    : { type: 'error-text', value: 'The export has no result of this call.' };
  return [
    {
      ...(call ? header(call, callContent!.rest) : impliedHeader(`${toolCallId}:call`, first!)),
      role: 'assistant',
      content: [{ type: 'tool-call', ...tool, input }],
    },
    {
      ...(first
        ? header(first, results[0]!.rest, answers.slice(1))
        : impliedHeader(`${toolCallId}:result`, call!)),
      role: 'tool',
      content: [{ type: 'tool-result', ...tool, output }],
    },
  ];
}

function plainMessage(message: GptMessage): MessageInput[] {
  const { parts, rest } = convertContent(message.content);
  if (parts.length === 0) return [];
  const [only] = parts;
  const content = parts.length === 1 && only && isText(only) && !only.providerOptions ? only.text : parts;
  return [{ ...header(message, rest), role: roleOf(message), content }];
}

function roleOf({ role, content }: GptMessage): string {
  if (SYSTEM_CONTENT.has(content.content_type)) return 'system';
  // A role that no export had so far is a voice that is neither the user's nor the system's.
  return ROLES.has(role) ? role : 'assistant';
}

function isEmpty({ content }: GptMessage): boolean {
  return convertContent(content).parts.length === 0;
}

/** Arguments are JSON for most tools, and the bare code for `python`. */
function toolInput({ type, parts, code }: GptContent): Json {
  const text = code ?? joinTexts(parts);
  try {
    const input: unknown = JSON.parse(text);
    if (isObject(input)) return input as Json;
  } catch {
    // Not JSON: given on as text.
  }
  return { [type === 'code' ? 'code' : 'text']: text };
}

function toolOutput(results: readonly GptContent[]): ToolResultPart['output'] {
  const parts: Part[] = results.flatMap((result) => result.parts);
  if (!parts.every(isText)) return { type: 'content', value: parts };
  const failed = results.some((result) => result.type === 'system_error');
  return { type: failed ? 'error-text' : 'text', value: joinTexts(parts) };
}

function header(message: GptMessage, rest: JsonFields, joined: readonly GptMessage[] = []): MessageHeader {
  const chatgpt = {
    ...leftovers(message, rest),
    ...(joined.length === 0
      ? {}
      : { joined: joined.map((other) => ({ id: other.id, ...leftovers(other) })) }),
  };
  const { model_slug: model } = message.metadata;
  const metadata = defined<JsonFields>({ model: model ?? undefined, chatgpt: unlessEmpty(chatgpt) });
  return defined<MessageHeader>({
    id: message.id,
    createdAt: message.createdAt,
    metadata: unlessEmpty(metadata),
  });
}

function impliedHeader(id: string, { createdAt }: GptMessage): MessageHeader {
  return defined<MessageHeader>({ id, createdAt, metadata: { chatgpt: { implied: true } } });
}

interface MessageHeader {
  id: string;
  createdAt?: number;
  metadata?: JsonFields;
}

/** What is not told by the message itself. A text that was finished by the usual author leaves nothing. */
function leftovers(message: GptMessage, rest?: JsonFields): JsonFields {
  const { raw, content, metadata, role, author } = message;
  const contentType = content.content_type;
  const contentRest = rest ?? convertContent(content).rest;
  return defined<JsonFields>({
    ...otherFields(raw, KNOWN_FIELDS),
    status: raw.status === 'finished_successfully' ? undefined : (raw.status ?? undefined),
    author: ROLES.has(role) ? author : { role, name: author },
    contentType: contentType === 'text' ? undefined : contentType,
    content: unlessEmpty(contentRest),
    metadata: unlessEmpty(otherFields(metadata, KNOWN_METADATA)),
  });
}
