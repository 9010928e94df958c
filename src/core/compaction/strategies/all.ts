import type { Strategy } from '../../model/compaction.ts';
import { type Draft, type Job, type Shorten, tokensOf } from '../draft.ts';
import { dedup } from './dedup.ts';
import { extractive } from './extractive.ts';
import { summarize } from './summarize.ts';
import { toolResults } from './tool-results.ts';
import { priority, truncate } from './truncate.ts';

const byName: Readonly<Record<Strategy, Shorten>> = {
  truncate,
  priority,
  'tool-results': toolResults,
  dedup,
  extractive,
  summarize,
};

/** Applies strategies in their order until the draft is short enough. */
export async function shorten(draft: Draft, names: readonly Strategy[], job: Job): Promise<Draft> {
  let shorter = draft;
  for (const name of names) {
    if (tokensOf(shorter) <= job.target) break;
    shorter = await byName[name](shorter, job);
    job.signal.throwIfAborted();
  }
  return shorter;
}
