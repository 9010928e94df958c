import { textOf } from '../../messages/formats/text.ts';
import type { Message, Part, ToolResultPart } from '../../model/message.ts';
import { countMessage } from '../../tokens/message-tokens.ts';
import { type Draft, type Job, lastSeqOf, type Shorten } from '../draft.ts';
import { extract, type Sentence } from '../extract.ts';
import { said } from '../said.ts';
import { sentencesOf } from '../sentences.ts';
import { renderSummary, type Summary, summaryMessage } from '../summary.ts';
import { type Folded, fold } from './fold.ts';

/** What a tool says is mostly of use at once; what the user says stays so. */
const weights: Readonly<Record<Message['role'], number>> = {
  user: 1.1,
  system: 1.1,
  assistant: 1,
  tool: 0.5,
};
/** Of what a tool printed, so many lines are looked at, half from each end. */
const LINES_OF_A_RESULT = 40;

/**
 * Keeps of the older turns the sentences that carry the most, as they were said: names, numbers, paths and demands of the
 * user first. Sentences kept before are weighed anew among those that come in, so that there is never a summary of a
 * summary.
 */
export const extractive: Shorten = async (draft, job) => {
  const folded = fold(draft, job);
  return folded ? withExtract(draft, job, folded) : draft;
};

/** The draft with sentences of what goes in place of it. */
export async function withExtract(draft: Draft, job: Job, { gone, kept, maxTokens }: Folded): Promise<Draft> {
  const sentences = draft.summary ? sentencesBefore(draft.summary) : [];
  for (const item of gone.flatMap((unit) => unit.items)) {
    for (const sentence of sentencesIn(said(item))) sentences.push(sentence);
    await job.pause();
  }
  const items = await extract(sentences, maxTokens, job.counter, job.pause);
  const { summary: _, ...rest } = draft;
  const sources = [...new Set(items.map((item) => item.seq))].sort((a, b) => a - b);
  return {
    ...rest,
    units: kept,
    touched: Math.max(draft.touched, lastSeqOf(gone)),
    done: [...draft.done, 'extractive'],
    ...(items.length > 0 && { summary: counted({ items }, sources, job) }),
  };
}

export function counted(summary: Summary, sources: readonly number[], { counter }: Job) {
  const place = { id: '0', fromSeq: 1_000_000, uptoSeq: 1_000_000, createdAt: 0 };
  const tokens = countMessage(counter, summaryMessage(place, renderSummary(summary)));
  return { summary, tokens, sources };
}

/** What a summary said so far; one that a model wrote is taken apart as well. */
function sentencesBefore({ summary, sources }: NonNullable<Draft['summary']>): Sentence[] {
  if ('items' in summary) return summary.items.map((item) => ({ ...item, weight: 1 }));
  const seq = sources.at(-1) ?? 0;
  const lines = sentencesOf(summary.text).filter((text) => !text.startsWith('#'));
  return lines.map((text) => ({ seq, at: 0, who: 'Summary', text: text.replace(/^[-*] /, ''), weight: 1.5 }));
}

function sentencesIn(message: Message): Sentence[] {
  const { seq, createdAt: at, role } = message;
  return textsIn(message).flatMap(([who, text]) =>
    sentencesOf(text).map((sentence) => ({ seq, at, who, text: sentence, weight: weights[role] })),
  );
}

const names: Readonly<Record<Message['role'], string>> = {
  user: 'User',
  system: 'System',
  assistant: 'Assistant',
  tool: 'Tool',
};

/** What a message says, and who says it. What the model thought is not said. */
function textsIn(message: Message): [who: string, text: string][] {
  const { content, role, name } = message;
  const who = name ?? names[role];
  if (typeof content === 'string') return [[who, content]];
  return content.flatMap((part): [string, string][] => {
    const text = textOf({ content: [part] });
    if (part.type === 'reasoning' || text === '') return [];
    if (part.type === 'tool-call') return [[`${who} calls`, text]];
    if (part.type === 'tool-result') return [[toolOf(part), ends(text)]];
    return [[who, text]];
  });
}

function toolOf(part: Part): string {
  const { toolName } = part as ToolResultPart;
  return toolName === '' ? names.tool : toolName;
}

function ends(text: string): string {
  const lines = text.split('\n');
  if (lines.length <= LINES_OF_A_RESULT) return text;
  const half = LINES_OF_A_RESULT / 2;
  return [...lines.slice(0, half), ...lines.slice(-half)].join('\n');
}
