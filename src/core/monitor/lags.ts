import { type ConsumerState, readJournalState } from '../health/journal-state.ts';
import type { Store } from '../store.ts';

/** Consumers save their place about once in so many changes: with fewer of them outstanding, all may be handled. */
const UNSAVED = 1024;

/** How far a consumer of the journal is behind, as far as its saved place tells. */
export interface Lag {
  /** Changes after its saved place; up to 1024 of them it may have handled. */
  behind: number;
  /** There are more than were counted. */
  more: boolean;
  /** How long ago the first of them was committed (milliseconds). */
  ms: number;
  /** The journal no longer has what comes next. */
  expired: boolean;
}

export interface Lags {
  /** How far the slowest consumer, the text index among them, really is behind (milliseconds); 0 where none is. */
  journalMs: number;
  /** The tenant's named consumers of events. */
  consumers: (Lag & { name: string })[];
  /** The text index; absent where nobody has searched yet. */
  index?: Lag & { building: boolean };
}

/** Reads how far the journal's consumers are: a page or two of the journal for each. @throws the signal's reason */
export async function readLags(
  store: Store,
  tenant: string,
  { now, signal }: { now: number; signal: AbortSignal },
): Promise<Lags> {
  const { consumers } = await readJournalState(store, { most: UNSAVED + 1, signal });
  const lagOf = ({ behind, more, oldestAt = now, expired }: ConsumerState): Lag => ({
    behind,
    more,
    ms: Math.max(0, now - oldestAt),
    expired,
  });
  const index = consumers.find(({ name, tenant: of }) => name === '$search' && of === undefined);
  return {
    journalMs: Math.max(0, ...consumers.map((one) => sureMs(lagOf(one)))),
    consumers: consumers.flatMap((one) => (one.tenant === tenant ? { name: one.name, ...lagOf(one) } : [])),
    ...(index && { index: { ...lagOf(index), building: index.building === true } }),
  };
}

/** How far a consumer is behind for sure. */
export function sureMs({ behind, ms }: Lag): number {
  return behind > UNSAVED ? ms : 0;
}
