import type {
  Entry,
  IndexHit,
  IndexRange,
  LogInfo,
  LogPage,
  LogRange,
  Page,
  Partition,
  RecordKey,
  RecordRange,
  Store,
  Stored,
} from '../../core/store.ts';
import { runsOf } from '../shared/log-ranges.ts';
import { BORN, SPOOL_LOG } from './entries.ts';
import { local, notInSpool, provisional } from './truth.ts';

/**
 * What can be read while the store is away: what was written meanwhile. Where the spool can't know, because more may be
 * in the store, it says so with a `StoreUnavailableError`; it never says that something is not there.
 */
export class View {
  readonly #spool: Store;

  constructor(spool: Store) {
    this.#spool = spool;
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    const records = await this.#spool.getRecords(keys);
    const unknown = keys.filter((_, i) => !records[i]);
    const born = await this.#spool.getRecords(unknown.map(({ partition }) => ({ partition, ...BORN })));
    const missing = unknown.find((_, i) => !born[i]);
    if (missing) throw notInSpool(`record ${missing.kind}`);
    return records.map((record) => record && asSeen(record));
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    range: RecordRange,
  ): Promise<Page<Stored>> {
    if (range.whole) throw notInSpool('what it takes to copy a record');
    const page = await this.#spool.listRecords(partition, kind, range);
    const items = page.items.filter((record) => !record.kind.startsWith('$')).map(asSeen);
    if (items.length === 0 && range.after === undefined) await this.#mustBeBorn(partition, 'what is listed');
    return { ...page, items };
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    const logs = (await this.#spool.listLogs(partition)).filter(({ log }) => log !== SPOOL_LOG);
    if (logs.length === 0) await this.#mustBeBorn(partition, 'what is listed');
    return logs.map(withBounds);
  }

  async readLog(partition: Partition, log: string, range: LogRange): Promise<LogPage> {
    const { after, before, seqs, ...rest } = range;
    const oldest = runsOf(range)[0]?.[0];
    const page = await this.#spool.readLog(partition, log, {
      ...rest,
      ...(after !== undefined && { after: local(after) }),
      ...(before !== undefined && { before: local(before) }),
      ...(seqs && { seqs: seqs.map(local) }),
    });
    const born = await this.#isBorn(partition);
    // What has a real seq, comes before one, or was asked for by id, may be in the store.
    const elsewhere =
      (before !== undefined && local(before) < 0) ||
      (oldest !== undefined && local(oldest) < 0) ||
      page.entries.length < (range.ids?.length ?? 0);
    if (!born && (page.lastSeq === 0 || elsewhere)) throw notInSpool('the log, or that part of it');
    return { ...withBounds(page), entries: page.entries.map(entryAsSeen) };
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    // The indexes that a store keeps by itself tell of the spool's own doings.
    const page = range.index.startsWith('$') ? { items: [] } : await this.#spool.queryIndex(range);
    if (page.items.length === 0 && range.after === undefined) throw notInSpool('what is listed');
    return page;
  }

  async #mustBeBorn(partition: Partition, what: string): Promise<void> {
    if (!(await this.#isBorn(partition))) throw notInSpool(what);
  }

  async #isBorn(partition: Partition): Promise<boolean> {
    const [born] = await this.#spool.getRecords([{ partition, ...BORN }]);
    return born !== undefined;
  }
}

function asSeen(record: Stored): Stored {
  return { ...record, version: provisional(record.version) };
}

function entryAsSeen(entry: Entry): Entry {
  return { ...entry, seq: provisional(entry.seq) };
}

function withBounds<T extends { firstSeq: number; lastSeq: number }>(bounds: T): T {
  const { firstSeq, lastSeq } = bounds;
  // A log that has never had an entry begins at 1 everywhere.
  return lastSeq === 0
    ? bounds
    : { ...bounds, firstSeq: provisional(firstSeq), lastSeq: provisional(lastSeq) };
}
