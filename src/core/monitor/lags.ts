import { isHoldfastError } from '../errors.ts';
import { decodeJson } from '../json.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import type { Cursor, Store } from '../store.ts';

const PAGE = 1000;

/** How far a consumer of the journal is behind. */
export interface ConsumerLag {
  name: string;
  /** How long ago the first change was committed that it has not handled (milliseconds); 0 where there is none. */
  lagMs: number;
  /** The journal no longer has what it has not handled. */
  expired: boolean;
}

/** The named consumers of a tenant's events, by name. */
export async function consumerLags(store: Store, tenant: string, now: number): Promise<ConsumerLag[]> {
  const lags: ConsumerLag[] = [];
  let after: string | undefined;
  do {
    const range = { limit: PAGE, ...(after !== undefined && { after }) };
    const page = await store.listRecords(SYSTEM_PARTITION, kinds.consumer, range);
    for (const { id, value } of page.items) {
      const name = nameIn(id, tenant);
      if (name === undefined) continue;
      const lagMs = await lagOf(store, decodeJson<{ cursor: Cursor }>(value).cursor, now);
      lags.push({ name, lagMs: lagMs ?? 0, expired: lagMs === undefined });
    }
    after = page.next;
  } while (after !== undefined);
  return lags;
}

/** How old the first change after a cursor is (milliseconds); undefined where the journal no longer has it. */
export async function lagOf(store: Store, cursor: Cursor, now: number): Promise<number | undefined> {
  try {
    const [change] = (await store.readChanges(cursor, 1)).changes;
    return change ? Math.max(0, now - change.at) : 0;
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'cursor-expired') return undefined;
    throw error;
  }
}

/** Consumers are kept by tenant and name, as JSON; others than of events are not. */
function nameIn(id: string, tenant: string): string | undefined {
  if (!id.startsWith('[')) return undefined;
  const [of, name] = decodeJson<[string, string]>(id);
  return of === tenant ? name : undefined;
}
