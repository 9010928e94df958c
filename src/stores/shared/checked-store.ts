import type {
  Batch,
  ChangePage,
  CommitGroups,
  Cursor,
  IndexHit,
  IndexRange,
  LogInfo,
  LogPage,
  LogRange,
  Page,
  Partition,
  Receipt,
  RecordKey,
  RecordRange,
  Store,
  Stored,
  TextMatches,
  TextQuery,
} from '../../core/store.ts';
import { checkBatch } from './check-batch.ts';
import {
  checkIndexRange,
  checkKeys,
  checkLimit,
  checkLogRange,
  checkPartition,
  checkRecordRange,
  checkTextQuery,
} from './check-reads.ts';
import { Lifetime } from './lifetime.ts';

/** The parts of a store that do its work. What they are given was checked. */
export interface StoreParts {
  readonly reads: Pick<Store, 'getRecords' | 'listRecords' | 'listLogs' | 'readLog' | 'queryIndex'>;
  readonly journal: { read: Store['readChanges'] };
  readonly committer: Pick<Store, 'commit'> & { readonly groups: CommitGroups };
  readonly texts: Pick<Store, 'searchText'>;
}

/** The front of a store: nothing passes that is badly made, and nothing once the store is closed. */
export abstract class CheckedStore {
  protected readonly life = new Lifetime('store');
  /** The parts, once they are made. */
  protected abstract readonly parts: StoreParts;

  get groups(): CommitGroups {
    return this.parts.committer.groups;
  }

  commit(batch: Batch): Promise<Receipt> {
    try {
      this.life.check();
      checkBatch(batch);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.parts.committer.commit(batch);
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    this.life.check();
    checkKeys(keys);
    return this.parts.reads.getRecords(keys);
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    range: RecordRange,
  ): Promise<Page<Stored>> {
    this.life.check();
    checkRecordRange(partition, kind, range);
    return this.parts.reads.listRecords(partition, kind, range);
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    this.life.check();
    checkPartition(partition);
    return this.parts.reads.listLogs(partition);
  }

  async readLog(partition: Partition, log: string, range: LogRange): Promise<LogPage> {
    this.life.check();
    checkLogRange(partition, log, range);
    return this.parts.reads.readLog(partition, log, range);
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    this.life.check();
    checkIndexRange(range);
    return this.parts.reads.queryIndex(range);
  }

  async readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    this.life.check();
    checkLimit(limit);
    return this.parts.journal.read(after, limit);
  }

  async searchText(query: TextQuery): Promise<TextMatches> {
    this.life.check();
    checkTextQuery(query);
    return this.parts.texts.searchText(query);
  }
}
