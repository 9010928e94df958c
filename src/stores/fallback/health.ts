import type { StoreHealth } from '../../core/store.ts';
import type { FallbackState } from './options.ts';

interface Parts {
  /** What the store says of itself; undefined while it is away. */
  readonly store: StoreHealth | undefined;
  /** What the spool's store says of itself. */
  readonly spool: StoreHealth;
  readonly state: FallbackState;
  /** Since when the store is away (epoch ms), where it is. */
  readonly since: number;
  /** Batches in the spool, and those that the store has refused. */
  readonly spooled: number;
  readonly rejected: number;
  /** Partitions whose replay fails. */
  readonly aside: number;
}

/** Works as long as it takes writes: the store while it is there, else the spool. */
export function healthOf({ store, spool, state, since, spooled, rejected, aside }: Parts): StoreHealth {
  const { path } = spool.facts;
  const facts = {
    ...store?.facts,
    spooled,
    rejected,
    fallback: state,
    degraded: store === undefined,
    ...(path !== undefined && { spoolPath: path }),
  };
  const problems = [
    ...(store?.problems ?? []),
    ...spool.problems.map((problem) => `the fallback: ${problem}`),
  ];
  if (rejected > 0) problems.push(`acknowledged writes refused by the store when replayed: ${rejected}`);
  if (!store)
    problems.push(`the store is away since ${new Date(since).toISOString()}; in the spool: ${spooled}`);
  else if (state === 'replaying') problems.push(`the store is back; left in the spool: ${spooled}`);
  if (store && aside > 0) problems.push(`sessions whose replay fails, and is tried again: ${aside}`);
  return { ok: (store ?? spool).ok, problems, facts };
}
