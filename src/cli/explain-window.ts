import type { ContextWindow, InReason, LeftOut, OutReason, SectionName } from '../core/model/window.ts';
import type { Output } from './output.ts';
import { contentText } from './render-message.ts';
import { bar, type Column, clip, count, safeLine, table, width } from './text.ts';

const inReasons: Record<InReason, string> = {
  system: 'system prompt',
  pinned: 'pinned',
  summary: 'stands for earlier messages',
  'high-priority': 'high priority',
  newest: 'the newest',
  'last-user-turn': "the user's last turn",
  fits: 'fits the budget',
  recalled: 'answers the query',
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

/** A window for people: how the budget is spent, what is in and why, what was left out and why. */
export function explainWindow(out: Output, window: ContextWindow): string[] {
  return [
    ...budgetLines(out, window),
    '',
    ...sectionLines(out, window),
    '',
    ...itemLines(out, window),
    ...leftOutLines(out, window.leftOut),
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

function itemLines(out: Output, { sections, messages }: ContextWindow): string[] {
  const columns: Column[] = [
    { head: 'SEQ', right: true },
    { head: 'SECTION' },
    { head: 'ROLE' },
    { head: 'TOKENS', right: true },
    { head: 'WHY IT IS IN' },
    { head: 'WHAT IT SAYS' },
  ];
  const items = sections.flatMap(({ name, items }) => items.map((item) => ({ name, ...item })));
  const rows = items.map(({ name, seq, tokens, reason, trimmed }, i) => [
    `${seq}`,
    out.style(sectionStyles[name], name),
    messages[i]!.role,
    count(tokens),
    inReasons[reason] + (trimmed ? ` (without ${outReasons[trimmed]})` : ''),
  ]);
  const room = out.columns - Math.max(...table(columns, rows).map(width)) - 2;
  const texts = messages.map(({ content }) => safeLine(contentText(content)));
  const shown = rows.map((row, i) => [...row, clip(texts[i]!, Math.max(MIN_TEXT_COLUMNS, room))]);
  return headed(out, table(columns, shown));
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

function headed(out: Output, [head = '', ...lines]: readonly string[]): string[] {
  return [out.style('bold', head), ...lines];
}
