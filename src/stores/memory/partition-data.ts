import type { JsonText } from '../../core/json.ts';
import type {
  ChangeOperation,
  Entry,
  IndexEntry,
  Operation,
  OperationResult,
  Partition,
} from '../../core/store.ts';
import { addCounters, type Standing } from '../shared/conditions.ts';
import { compareBytes } from '../shared/pages.ts';
import { LogData } from './log-data.ts';

export interface RecordData {
  kind: string;
  id: string;
  value: JsonText;
  version: number;
  counter: boolean;
  indexes: readonly IndexEntry[];
}

/** What one write did: its result for the receipt and, unless nothing changed, its line in the journal. */
export interface Applied {
  result: OperationResult;
  change?: ChangeOperation;
}

/** Hears of index entries that come and go. */
export interface IndexKeeper {
  put(partition: Partition, record: RecordData): void;
  remove(partition: Partition, record: RecordData): void;
}

/** Hears of text documents. */
export interface TextKeeper {
  index(partition: Partition, document: Operation & { op: 'index' }): void;
  /** @returns how many went */
  unindex(partition: Partition, documents: Operation & { op: 'unindex' }): number;
  embed(partition: Partition, vectors: Operation & { op: 'embed' }): void;
}

/** What is kept beside the partitions. */
export interface Keepers {
  readonly indexes: IndexKeeper;
  readonly texts: TextKeeper;
}

/** All data of one partition, and how operations change it. */
export class PartitionData implements Standing {
  readonly partition: Partition;
  readonly records = new Map<string, RecordData>();
  readonly logs = new Map<string, LogData>();
  /** When it expires (epoch ms), null for never. */
  expiry: number | null = null;
  /** The names of records in the order of listings, by kind (`''`: all); each kept until a record comes or goes. */
  readonly #names = new Map<string, string[]>();

  constructor(partition: Partition) {
    this.partition = partition;
  }

  version(kind: string, id: string): number | undefined {
    return this.records.get(recordName(kind, id))?.version;
  }

  counter(kind: string, id: string): RecordData | undefined {
    return this.records.get(recordName(kind, id));
  }

  /** Names of records, by kind and id. */
  names(kind: string | undefined): readonly string[] {
    const known = this.#names.get(kind ?? '');
    if (known) return known;
    const names: string[] = [];
    for (const [name, record] of this.records)
      if (kind === undefined || record.kind === kind) names.push(name);
    names.sort(compareBytes);
    this.#names.set(kind ?? '', names);
    return names;
  }

  lastSeq(log: string): number {
    return this.logs.get(log)?.lastSeq ?? 0;
  }

  entryVersion(name: string, seq: number): number | undefined {
    return this.logs.get(name)?.at(seq)?.version;
  }

  expiresAt(): number | null {
    return this.expiry;
  }

  /** Applies an operation that was judged. `drop` is the store's own business. */
  apply(
    operation: Exclude<Operation, { op: 'drop' }>,
    version: number,
    { indexes, texts }: Keepers,
  ): Applied {
    switch (operation.op) {
      case 'check':
        return { result: {} };
      case 'put':
        return this.#put(operation, version, indexes);
      case 'add':
        return this.#add(operation, version);
      case 'delete':
        return this.#delete(operation, indexes);
      case 'append':
        return this.#append(operation);
      case 'rewrite':
        return this.#rewrite(operation);
      case 'truncate':
        return this.#truncate(operation);
      case 'index':
        texts.index(this.partition, operation);
        return { result: {} };
      case 'unindex':
        return { result: { count: texts.unindex(this.partition, operation) } };
      case 'embed':
        texts.embed(this.partition, operation);
        return { result: {} };
      case 'expire':
        this.expiry = operation.at;
        return { result: {}, change: { op: 'expire', at: operation.at } };
    }
  }

  #put(put: Operation & { op: 'put' }, next: number, indexes: IndexKeeper): Applied {
    const version = put.version ?? next;
    const name = recordName(put.kind, put.id);
    const before = this.records.get(name);
    const { kind, id, value, counter = false, indexes: places = [] } = put;
    const record: RecordData = { kind, id, value, version, counter, indexes: places };
    if (before) indexes.remove(this.partition, before);
    this.records.set(name, record);
    indexes.put(this.partition, record);
    const created = before === undefined;
    if (created) this.#renamed(kind);
    return { result: { version, created }, change: { op: 'put', kind, id, version, created } };
  }

  #add(add: Operation & { op: 'add' }, version: number): Applied {
    const { kind, id } = add;
    const before = this.records.get(recordName(kind, id));
    const counters = addCounters(before ? JSON.parse(before.value) : {}, add.deltas);
    const value = JSON.stringify(counters);
    this.records.set(recordName(kind, id), { kind, id, value, version, counter: true, indexes: [] });
    const created = before === undefined;
    if (created) this.#renamed(kind);
    return { result: { version, created, counters }, change: { op: 'add', kind, id, version, created } };
  }

  #delete({ kind, id }: Operation & { op: 'delete' }, indexes: IndexKeeper): Applied {
    const before = this.records.get(recordName(kind, id));
    if (!before) return { result: { count: 0 } };
    indexes.remove(this.partition, before);
    this.records.delete(recordName(kind, id));
    this.#renamed(kind);
    return { result: { count: 1 }, change: { op: 'delete', kind, id } };
  }

  #renamed(kind: string): void {
    this.#names.delete(kind);
    this.#names.delete('');
  }

  #append(append: Operation & { op: 'append' }): Applied {
    let log = this.logs.get(append.log);
    if (!log) {
      log = new LogData();
      this.logs.set(append.log, log);
    }
    let count = 0;
    const seqs: number[] = [];
    for (const { id, value, mark, version = 1 } of append.entries) {
      const known = id === undefined ? undefined : log.withId(id);
      if (known) {
        seqs.push(known.seq);
        continue;
      }
      const seq = Math.max(log.lastSeq + 1, append.startSeq ?? 0);
      log.append({ seq, value, version, ...(id && { id }), ...(mark && { mark }) });
      count++;
      seqs.push(seq);
    }
    if (count === 0) return { result: { seqs, count } };
    const firstSeq = log.lastSeq + 1 - count;
    return { result: { seqs, count }, change: { op: 'append', log: append.log, firstSeq, count } };
  }

  #rewrite({ log: name, seq, value, mark }: Operation & { op: 'rewrite' }): Applied {
    const log = this.logs.get(name)!;
    const { mark: oldMark, ...before } = log.at(seq)!;
    const newMark = mark === undefined ? oldMark : mark;
    const entry: Entry = { ...before, value, version: before.version + 1, ...(newMark && { mark: newMark }) };
    log.replace(entry);
    return {
      result: { version: entry.version },
      change: { op: 'rewrite', log: name, seq, version: entry.version },
    };
  }

  #truncate({ log: name, before, after }: Operation & { op: 'truncate' }): Applied {
    const log = this.logs.get(name);
    if (!log) return { result: { count: 0 } };
    const count = log.truncate(before, after);
    if (count === 0) return { result: { count } };
    const { firstSeq, newestSeq: lastSeq } = log;
    return { result: { count }, change: { op: 'truncate', log: name, firstSeq, lastSeq } };
  }
}

export function recordName(kind: string, id: string): string {
  return `${kind}\0${id}`;
}
