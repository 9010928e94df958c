import type { Store } from '../../core/store.ts';
import { Backlog } from './backlog.ts';

/** What a spool holds. */
export interface SpoolState {
  /** Batches that are not in the store yet. */
  readonly waiting: number;
  /** Batches that the store refused when they were replayed. */
  readonly rejected: number;
}

/** Counts what a spool holds, whoever else uses it. Nothing is replayed, and nothing changed. */
export async function spoolState(spool: Store): Promise<SpoolState> {
  const backlog = new Backlog(spool);
  await backlog.open();
  return { waiting: backlog.count, rejected: await backlog.rejectedCount() };
}
