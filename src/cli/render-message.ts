import type { Message, Part, ToolCallPart, ToolResultPart } from '../core/model/message.ts';
import type { Output } from './output.ts';
import { count, safe, safeLine, when } from './text.ts';

type Style = Parameters<Output['style']>[0];

const roleStyles: Record<Message['role'], Style> = {
  system: 'magenta',
  user: 'green',
  assistant: 'cyan',
  tool: 'yellow',
};

/** Of a tool's arguments and results, so much is shown. */
const MAX_TOOL_TEXT = 2000;

/** A message for people: who, when and how long, then what was said, indented. */
export function renderMessage(out: Output, message: Message): string {
  const { seq, role, name, tokens, createdAt, pinned, priority } = message;
  const facts = [
    when(createdAt),
    ...(tokens === undefined ? [] : [`${count(tokens)} tokens`]),
    ...(pinned ? ['pinned'] : []),
    ...(priority && priority !== 'normal' ? [`${priority} priority`] : []),
  ];
  const who = name === undefined ? role : `${role} ${safeLine(name)}`;
  // A summary, and what is recalled, have no place in the log.
  const place = seq > 0 ? `#${seq}` : '–';
  const head = `${out.style('dim', place)} ${out.style(roleStyles[role], who)}  ${out.style('dim', facts.join(' · '))}`;
  const body = contentText(message.content)
    .trimEnd()
    .replace(/^(?=.)/gm, '  ');
  return `${head}\n${body}\n`;
}

/** What a message says, as text; calls and results of tools on lines of their own. */
export function contentText(content: Message['content']): string {
  return typeof content === 'string' ? safe(content) : content.map(partText).join('\n');
}

function partText(part: Part): string {
  switch (part.type) {
    case 'text':
      return safe(String(part.text));
    case 'reasoning':
      return `(reasoning) ${safe(String(part.text))}`;
    case 'tool-call': {
      const { toolName, input } = part as ToolCallPart;
      return `→ ${safeLine(toolName)}(${toolText(input)})`;
    }
    case 'tool-result': {
      const { toolName, output } = part as ToolResultPart;
      return `← ${toolName ? `${safeLine(toolName)}: ` : ''}${toolText(output.value ?? output)}`;
    }
    default:
      return `[${safeLine(part.type)}]`;
  }
}

function toolText(value: unknown): string {
  const text = safe(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
  return text.length > MAX_TOOL_TEXT
    ? `${text.slice(0, MAX_TOOL_TEXT)}… (${count(text.length)} characters)`
    : text;
}
