/** How far the consumers of the journal are, and how old it is. */
import { isCursorExpired } from '../errors.ts';
import { decodeJson } from '../json.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import type { Cursor, Store } from '../store.ts';

const PAGE = 1000;
const MOST_CONSUMERS = 1000;

export interface ConsumerState {
  /** `$search` is the full-text index; the others are named by their subscribers. */
  name: string;
  /** Whose it is; absent for the index, which is of all tenants. */
  tenant?: string;
  /** Changes that it has not had. Those of the engine's own bookkeeping don't count. */
  behind: number;
  /** There are more than were counted. */
  more: boolean;
  /** When the oldest of them was committed (epoch ms). */
  oldestAt?: number;
  /** The journal no longer has what comes after its place. */
  expired: boolean;
  /** Of the index: it is being built, and what was there before is not all in it yet. */
  building?: true;
}

export interface JournalState {
  /** When the oldest change that is kept was committed (epoch ms); absent where nothing is. */
  oldestAt?: number;
  consumers: ConsumerState[];
}

interface Counting {
  /** At how many changes of a consumer it ends. */
  readonly most: number;
  /** Ends it: what nobody waits for any more must not go on reading. */
  readonly signal?: AbortSignal;
}

/** Counts what each consumer has not had. @throws the signal's reason */
export async function readJournalState(store: Store, counting: Counting): Promise<JournalState> {
  const [oldest, { items }] = await Promise.all([
    store.readChanges('oldest', 1),
    store.listRecords(SYSTEM_PARTITION, kinds.consumer, { limit: MOST_CONSUMERS }),
  ]);
  const consumers: ConsumerState[] = [];
  for (const { id, value } of items) {
    const { cursor, building } = decodeJson<{ cursor?: Cursor; building?: object }>(value);
    if (cursor === undefined) continue;
    const lag = await lagOf(store, cursor, counting);
    consumers.push({ ...nameOf(id), ...lag, ...(building && { building: true }) });
  }
  const [first] = oldest.changes;
  return { ...(first && { oldestAt: first.at }), consumers };
}

async function lagOf(
  store: Store,
  from: Cursor,
  { most, signal }: Counting,
): Promise<Omit<ConsumerState, 'name'>> {
  let behind = 0;
  let oldestAt: number | undefined;
  for (let after = from; ; ) {
    signal?.throwIfAborted();
    const page = await store.readChanges(after, PAGE).catch(expired);
    if (!page) return { behind, more: true, expired: true };
    for (const { partition, at } of page.changes) {
      if (partition.tenant === SYSTEM_PARTITION.tenant) continue;
      behind++;
      oldestAt ??= at;
    }
    const isEnd = page.changes.length < PAGE;
    if (isEnd || behind >= most)
      return { behind, more: !isEnd, ...(oldestAt !== undefined && { oldestAt }), expired: false };
    after = page.cursor;
  }
}

function expired(error: unknown): undefined {
  if (!isCursorExpired(error)) throw error;
}

/** Names of subscribers are kept with their tenant, as JSON. */
function nameOf(id: string): { name: string; tenant?: string } {
  if (!id.startsWith('[')) return { name: id };
  const [tenant, name] = decodeJson<[string, string]>(id);
  return { name, tenant };
}
