import type { Message } from '../core/model/message.ts';
import type {
  ContextWindow,
  InReason,
  LeftOut,
  OutReason,
  SectionName,
  WindowItem,
} from '../core/model/window.ts';
import type { Output } from './output.ts';
import type { RecalledText } from './recalled-texts.ts';
import { contentText } from './render-message.ts';
import { bar, type Column, clip, count, counted, safeLine, table, width } from './text.ts';

const inReasons: Record<InReason, string> = {
  system: 'system prompt',
  pinned: 'pinned',
  summary: 'stands for earlier messages',
  'high-priority': 'high priority',
  newest: 'the newest',
  'last-user-turn': "the user's last turn",
  fits: 'fits the budget',
  recalled: 'about the query',
};

const outReasons: Record<OutReason, string> = {
  budget: "didn't fit the budget",
  'low-priority': 'low priority',
  compacted: 'compacted',
  'unanswered-tool-call': 'a tool call without its result',
  'orphaned-tool-result': 'a tool result without its call',
};

const sectionStyles: Record<SectionName, Parameters<Output['style']>[0]> = {
  system: 'magenta',
  pinned: 'yellow',
  summary: 'blue',
  older: 'dim',
  recalled: 'green',
  recent: 'cyan',
};

const BAR_COLUMNS = 40;
/** Of what a message says, at least so much is shown. */
const MIN_TEXT_COLUMNS = 24;

/** Stands for the seq of what has no place in the log: a summary, and the message that holds what is recalled. */
const NO_SEQ = '–';

/**
 * A window for people: how the budget is spent, what is in and why, what was left out and why.
 * @param recalled what it recalls, in its order
 */
export function explainWindow(
  out: Output,
  window: ContextWindow,
  recalled: readonly RecalledText[],
): string[] {
  return [
    ...budgetLines(out, window),
    ...standsOn(out, window),
    '',
    ...sectionLines(out, window),
    '',
    ...itemLines(out, window, recalled),
    ...leftOutLines(out, window.leftOut),
    ...roomLines(out, window),
  ];
}

function budgetLines(out: Output, { tokens, budget, counter, atSeq }: ContextWindow): string[] {
  const share = tokens / budget.messages;
  const spent = `${count(tokens)} of ${count(budget.messages)} tokens`;
  const parts = [
    `${count(budget.maxTokens)} in all`,
    ...(budget.reply > 0 ? [`${count(budget.reply)} kept for the reply`] : []),
    ...(budget.tools > 0 ? [`${count(budget.tools)} for tools`] : []),
    `counted by ${counter.name}${counter.estimated ? ' (an estimate)' : ''}`,
    `at message ${count(atSeq)}`,
  ];
  return [
    `${out.style('cyan', bar(share, BAR_COLUMNS))} ${out.style('bold', spent)} (${Math.round(share * 100)} %)`,
    out.style('dim', parts.join(' · ')),
  ];
}

/** What the window was built from besides the log. */
function standsOn(out: Output, { compaction, recall }: ContextWindow): string[] {
  const lines: string[] = [];
  if (compaction !== undefined) lines.push(`stands on compaction ${compaction}`);
  if (recall)
    lines.push(`looked for: ${clip(safeLine(recall.query), Math.max(MIN_TEXT_COLUMNS, out.columns - 12))}`);
  if (recall && !recall.index.complete) lines.push('not everything was searched: the index is behind');
  return lines.map((line) => out.style('dim', line));
}

function sectionLines(out: Output, { sections, tokens }: ContextWindow): string[] {
  const columns: Column[] = [
    { head: 'SECTION' },
    { head: 'MESSAGES', right: true },
    { head: 'TOKENS', right: true },
    { head: '' },
  ];
  const rows = sections.map(({ name, items, tokens: cost }) => [
    out.style(sectionStyles[name], name),
    count(items.length),
    count(cost),
    bar(cost / tokens, 20).replaceAll('░', ''),
  ]);
  return headed(out, table(columns, rows));
}

/** One line of the table of messages, with what it says whole. */
type ItemRow = [cells: string[], text: string];

function itemLines(out: Output, window: ContextWindow, recalled: readonly RecalledText[]): string[] {
  const columns: Column[] = [
    { head: 'SEQ', right: true },
    { head: 'SECTION' },
    { head: 'ROLE' },
    { head: 'TOKENS', right: true },
    { head: 'WHY IT IS IN' },
    { head: 'WHAT IT SAYS' },
  ];
  const items = window.sections.flatMap(({ name, items }) => items.map((item) => ({ name, ...item })));
  const rows = items.flatMap((item, i): ItemRow[] => {
    const row = itemRow(out, item, window.messages[i]!);
    return item.recalled ? recalledRows(out, row, recalled) : [row];
  });
  const room =
    out.columns -
    Math.max(
      ...table(
        columns,
        rows.map(([cells]) => cells),
      ).map(width),
    ) -
    2;
  const shown = rows.map(([cells, text]) => [...cells, clip(text, Math.max(MIN_TEXT_COLUMNS, room))]);
  return headed(out, table(columns, shown));
}

function itemRow(
  out: Output,
  { name, seq, tokens, reason, trimmed, offloaded }: WindowItem & { name: SectionName },
  { role, content }: Message,
): ItemRow {
  const less = [
    ...(trimmed ? [`without ${outReasons[trimmed]}`] : []),
    ...(offloaded ? ['shortened to a marker'] : []),
  ];
  const why = inReasons[reason] + (less.length > 0 ? ` (${less.join(', ')})` : '');
  const cells = [seq > 0 ? `${seq}` : NO_SEQ, out.style(sectionStyles[name], name), role, count(tokens), why];
  return [cells, safeLine(contentText(content))];
}

/** The message that holds what is recalled, and below it what it tells again, a row each. */
function recalledRows(out: Output, [block]: ItemRow, recalled: readonly RecalledText[]): ItemRow[] {
  const memories = recalled.filter(({ seq }) => seq === undefined).length;
  const messages = recalled.length - memories;
  const told = [
    ...(memories > 0 ? [memories === 1 ? '1 memory' : `${count(memories)} memories`] : []),
    ...(messages > 0 ? [counted(messages, 'message')] : []),
  ];
  return [
    [block, `${told.join(' and ')}, told again:`],
    ...recalled.map(({ seq, role, text }): ItemRow => {
      const cells = [seq === undefined ? '' : `${seq}`, out.style(sectionStyles.recalled, 'recalled'), role];
      return [[...cells, '', ''], safeLine(text)];
    }),
  ];
}

function leftOutLines(out: Output, leftOut: readonly LeftOut[]): string[] {
  if (leftOut.length === 0) return ['', 'Nothing was left out.'];
  const columns: Column[] = [
    { head: 'LEFT OUT' },
    { head: 'MESSAGES', right: true },
    { head: 'TOKENS', right: true },
    { head: 'WHY' },
  ];
  const rows = leftOut.map(({ fromSeq, toSeq, count: messages, tokens, reason }) => [
    fromSeq === toSeq ? `${fromSeq}` : `${fromSeq} to ${toSeq}`,
    count(messages),
    tokens === undefined ? 'not read' : count(tokens),
    outReasons[reason],
  ]);
  return ['', ...headed(out, table(columns, rows))];
}

/** Why there is room left beside what did not fit. */
function roomLines(out: Output, { leftOut, recall, tokens, budget }: ContextWindow): string[] {
  const isWanting = leftOut.some(({ reason }) => reason === 'budget');
  if (!recall || !isWanting || tokens > budget.messages * 0.67) return [];
  return [
    '',
    out.style('dim', 'Room is kept for what may be recalled; --no-recall fills it with the newest messages.'),
  ];
}

function headed(out: Output, [head = '', ...lines]: readonly string[]): string[] {
  return [out.style('bold', head), ...lines];
}
