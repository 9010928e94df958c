import { type Draft, lastSeqOf, type Shorten } from '../draft.ts';
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
  const { gone, kept, maxTokens } = folded;
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
  if ('problem' in answer) return failed(answer.problem);
  const seqs = gone.flatMap(({ items }) => items.map(({ message }) => message.seq));
  const sources = [...(draft.summary?.sources ?? []), ...seqs];
  return {
    ...draft,
    units: kept,
    touched: Math.max(draft.touched, lastSeqOf(gone)),
    done: [...draft.done, 'summarize'],
    summary: counted({ text: answer.text }, sources, job),
  };
};
