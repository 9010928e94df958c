import { type Draft, lastSeqOf, type Shorten, type Unit } from '../draft.ts';
import { renderSummary } from '../summary.ts';
import { counted, withExtract } from './extractive.ts';
import { fold } from './fold.ts';

/**
 * Has a model write the summary: from the one before and only what is new since. Where there is no model, or it gives
 * nothing of use, sentences are kept as `extractive` does, and the draft says why.
 */
export const summarize: Shorten = async (draft, job) => {
  const folded = fold(draft, job);
  if (!folded) return draft;
  const { gone, maxTokens } = folded;
  const failed = async (reason: string): Promise<Draft> => ({
    ...(await withExtract(draft, job, folded)),
    fallback: `summarize: ${reason}`,
  });
  if (!job.summarize) return failed('no summarizer was given');
  if (maxTokens === 0) return failed('no room for a summary');
  const answer = await job.summarize({
    previous: draft.summary && renderSummary(draft.summary.summary),
    items: gone.flatMap(({ items }) => items),
    maxTokens,
    counter: job.counter,
    signal: job.signal,
  });
  if (answer.text === undefined) return failed(answer.problem);
  const told = new Set(unitsOf(gone, answer.done));
  if (told.size < gone.length / 2) return failed(answer.problem ?? 'too little was summarised');
  const seqs = [...told].flatMap(({ items }) => items.map(({ message }) => message.seq));
  const sources = [...(draft.summary?.sources ?? []), ...seqs];
  return {
    ...draft,
    units: draft.units.filter((unit) => !told.has(unit)),
    touched: Math.max(draft.touched, lastSeqOf([...told])),
    done: [...draft.done, 'summarize'],
    ...(answer.problem !== undefined && { fallback: `summarize: ${answer.problem}` }),
    summary: counted({ text: answer.text }, sources, job),
  };
};

/** The first of some units, as far as all their messages are among the first so many. */
function unitsOf(units: readonly Unit[], messages: number): readonly Unit[] {
  let left = messages;
  const beyond = units.findIndex(({ items }) => {
    left -= items.length;
    return left < 0;
  });
  return beyond < 0 ? units : units.slice(0, beyond);
}
