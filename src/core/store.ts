/**
 * The port: what every store implements, and all that core knows of storage.
 *
 * Everything lives in a {@link Partition} (a session, a thread, a user, …) of a tenant. A partition holds
 * **records** (`kind` + `id` → value, with a version) and **logs** (a name → entries with a gapless `seq` that the
 * store assigns). A {@link Batch} of operations on one partition commits atomically and durably, or not at all;
 * nothing else changes a store. Every commit is told in the **journal**, in commit order.
 *
 * Values are JSON text: the core encodes and decodes, a store keeps the text byte for byte.
 */
import type { JsonText } from './json.ts';

/** The unit of atomicity. `type` says what it is (`session`, `thread`, `user`, …). The tenant is part of the key. */
export interface Partition {
  readonly tenant: string;
  readonly type: string;
  readonly id: string;
}

export interface RecordKey {
  readonly partition: Partition;
  readonly kind: string;
  readonly id: string;
}

/**
 * What a record must be for an operation to go ahead: this very version, not there, or there.
 * A lost race is a `ConflictError` that carries the current version.
 */
export type IfVersion = number | 'absent' | 'present';

/**
 * A place in a cross-partition index: `order` sorts within `key`; ties have an order that stays the same from page to
 * page. A record has one place at most for each index and key.
 */
export interface IndexEntry {
  readonly index: string;
  readonly key: string;
  readonly order: number;
}

/** A change of a record that is a JSON object, as JSON objects: fields to `set`, or what to `merge`, object by object. */
export type Patch = { readonly set: JsonText } | { readonly merge: JsonText };

export interface AppendEntry {
  /** Makes the append idempotent: an entry whose id the log already has is not added again. */
  readonly id?: string;
  readonly value: JsonText;
  /** A label by which a log can be read sparsely (see {@link LogRange.mark}). */
  readonly mark?: string;
  /** What the entry's version is to be, 1 unless given: copies keep the versions of entries that were rewritten. */
  readonly version?: number;
}

export type Operation =
  /** Nothing but a condition: the batch fails with `ConflictError` when it does not hold. Writes nothing. */
  | { readonly op: 'check'; readonly kind: string; readonly id: string; readonly ifVersion: IfVersion }
  /** Writes a record and replaces all its index entries. */
  | {
      readonly op: 'put';
      readonly kind: string;
      readonly id: string;
      readonly value: JsonText;
      readonly ifVersion?: IfVersion;
      readonly indexes?: readonly IndexEntry[];
      /**
       * The version to write, at least the record's own: copies keep their versions, and may be made again. Later
       * versions of the store are beyond it.
       */
      readonly version?: number;
      /** The value is a counter's fields, and can be added to. */
      readonly counter?: boolean;
      /**
       * What this write changes, so that it can be done to the record as it will then be. A store that takes writes
       * while the record can't be read goes by it, in place of `value` and `ifVersion`; to others this is a put like any
       * other.
       */
      readonly patch?: Patch;
    }
  /** Adds to the number fields of a counter record, which springs into being at zero. Never reads first. */
  | {
      readonly op: 'add';
      readonly kind: string;
      readonly id: string;
      readonly deltas: Record<string, number>;
    }
  /** Deletes a record. One that is not there is no error, unless `ifVersion` says otherwise. */
  | { readonly op: 'delete'; readonly kind: string; readonly id: string; readonly ifVersion?: IfVersion }
  /** Appends entries. `ifLastSeq` makes it a compare-and-set on the log's end (0 is an empty, new log). */
  | {
      readonly op: 'append';
      readonly log: string;
      readonly entries: readonly AppendEntry[];
      readonly ifLastSeq?: number;
      /** The `seq` of the first entry, beyond the last one given out: copies keep their seqs, with the holes in them. */
      readonly startSeq?: number;
    }
  /** Replaces one entry's value in place; `mark` is kept unless given (null takes it away). */
  | {
      readonly op: 'rewrite';
      readonly log: string;
      readonly seq: number;
      readonly value: JsonText;
      readonly mark?: string | null;
      readonly ifVersion?: number;
    }
  /** Removes entries from the ends of a log: those with `seq < before`, those with `seq > after`. Seqs are not reused. */
  | {
      readonly op: 'truncate';
      readonly log: string;
      readonly before?: number;
      readonly after?: number;
      /** Only if the log ends here: takes away nothing that was appended meanwhile. */
      readonly ifLastSeq?: number;
    }
  /**
   * Puts a text document into the full-text index, in place of the one that its collection had under that id. What is
   * in the index is derived from records and logs: the journal tells nothing of it, copies leave it out, and it goes
   * with its partition.
   */
  | {
      readonly op: 'index';
      readonly collection: string;
      readonly id: string;
      /** Found under this name, too, together with documents of other partitions (a user's, whatever the session). */
      readonly scope: string;
      /** What it can be found by: 1 to 64 characters each, `a` to `z` and `0` to `9`, none twice. */
      readonly terms: readonly string[];
      /** Given back with it. */
      readonly value: JsonText;
      /** Of documents that match alike the one with the greater order comes first. */
      readonly order: number;
    }
  /** Takes a text document out of the index; without an id, all that the collection has in this partition. */
  | { readonly op: 'unindex'; readonly collection: string; readonly id?: string }
  /**
   * Gives a text document its vectors of one model, in place of those it had; they stay when it is indexed again, until
   * it is taken out. Nothing happens where the document is not there.
   */
  | {
      readonly op: 'embed';
      readonly collection: string;
      readonly id: string;
      readonly model: string;
      readonly vectors: readonly TextVector[];
    }
  /** Sets when the partition expires (epoch ms), or that it does not. Expiry is enforced by core's sweeper, with `drop`. */
  | { readonly op: 'expire'; readonly at: number | null }
  /** Removes the whole partition. With `ifExpiredAt`, only if its expiry is at or before that time. Must stand alone. */
  | { readonly op: 'drop'; readonly ifExpiredAt?: number };

/** A vector of a text document, which may have several: one for each message in it, say. */
export interface TextVector {
  /** What it is of; told apart by core. */
  readonly key: string;
  /** Numbers of 32 bits, little-endian, in base64. Vectors of one model have the same length. */
  readonly values: string;
}

/**
 * Seqs and versions from here on are provisional: given out by a store that takes writes while it is away. The real ones
 * are known when it is back: nothing may be kept under these.
 */
export const PROVISIONAL = 2 ** 51;

/**
 * Operations on one partition that commit together. A record or log is written at most once in a batch,
 * and its conditions are all judged before any of it is written.
 */
export interface Batch {
  /**
   * Makes the whole batch idempotent for as long as the journal keeps it: a second commit changes nothing.
   * Partitions have ids of their own: the same id in another partition is another batch.
   */
  readonly id?: string;
  readonly partition: Partition;
  readonly operations: readonly Operation[];
  /**
   * The partition's id was made up for this batch, so that nobody else can know it yet. Lets a store that takes writes
   * while it is away judge conditions; nothing to others.
   */
  readonly fresh?: boolean;
}

/** What came of one operation, in the batch's order. Fields that the operation does not have are absent. */
export interface OperationResult {
  /** put, add, rewrite: the version now. Versions only grow, over deletes too; nothing else may be read into them. */
  readonly version?: number;
  /** put, add: whether the record was not there before. */
  readonly created?: boolean;
  /** add: the fields now. */
  readonly counters?: Readonly<Record<string, number>>;
  /** append: the seq of each entry, in order; for an entry that was there already, the seq it had. */
  readonly seqs?: readonly number[];
  /** append: how many were new. delete, truncate, drop: how many records or entries went. */
  readonly count?: number;
}

export interface Receipt {
  /** The journal's position right after this commit. */
  readonly cursor: Cursor;
  /** True when the batch's id was known and nothing was changed. `results` are then those of the first commit. */
  readonly replayed: boolean;
  readonly results: readonly OperationResult[];
}

export interface Stored {
  readonly partition: Partition;
  readonly kind: string;
  readonly id: string;
  readonly value: JsonText;
  readonly version: number;
  /** Only in a listing of whole records: its places in indexes. */
  readonly indexes?: readonly IndexEntry[];
  /** Only in a listing of whole records: whether it can be added to. */
  readonly counter?: boolean;
}

export interface Entry {
  readonly seq: number;
  readonly id?: string;
  readonly value: JsonText;
  /** 1 when appended, one more at each rewrite. */
  readonly version: number;
  readonly mark?: string;
}

/** A page of a listing. `next` continues it (opaque, safe to hand out); absent when this was the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

/** Records are listed by kind and id, in the order of their UTF-8 bytes. */
export interface RecordRange {
  /** The `next` of the page before. */
  readonly after?: string;
  readonly limit: number;
  readonly reverse?: boolean;
  /** Give `indexes` (in any order) and `counter` of each record as well: what it takes to copy it. */
  readonly whole?: boolean;
}

/** Part of a log. `after` and `before` are seqs and exclusive. `reverse` reads from the newest end. */
export interface LogRange {
  readonly after?: number;
  readonly before?: number;
  readonly limit: number;
  readonly reverse?: boolean;
  /** Only entries with this mark; costs nothing for the others. */
  readonly mark?: string;
  /** Only entries with these ids. */
  readonly ids?: readonly string[];
  /** Only entries with these seqs, at most 1000; costs nothing for those between. Not together with `ids`. */
  readonly seqs?: readonly number[];
}

export interface LogBounds {
  /** The seq of the oldest entry that is there; `lastSeq + 1` in an empty log. */
  readonly firstSeq: number;
  /** The last seq that was given out, also when a truncation took that entry away; 0 in a log that never had one. */
  readonly lastSeq: number;
  /** How many entries there are. */
  readonly count: number;
}

export interface LogPage extends LogBounds {
  readonly entries: readonly Entry[];
}

export interface LogInfo extends LogBounds {
  readonly log: string;
}

export interface IndexRange {
  /** Only this tenant. All of them only on the two indexes that the store keeps by itself. */
  readonly tenant?: string;
  readonly index: string;
  readonly key: string;
  /** Bounds on `order`, inclusive. */
  readonly from?: number;
  readonly to?: number;
  /** The `next` of the page before. */
  readonly after?: string;
  readonly limit: number;
  readonly reverse?: boolean;
}

export interface IndexHit {
  readonly partition: Partition;
  /** The indexed record; both are empty in {@link EXPIRY_INDEX} and {@link PARTITION_INDEX}. */
  readonly kind: string;
  readonly id: string;
  readonly order: number;
}

/** Kept by the store: partitions that expire, `order` is when (epoch ms). Its key is `''`. */
export const EXPIRY_INDEX = '$expiry';
/** Kept by the store: all partitions of the type given as key, or all there are with the key `''`. `order` is 0. */
export const PARTITION_INDEX = '$partitions';

/** A position in the journal: opaque, durable, comparable only by the store that gave it. */
export type Cursor = string;

/** One commit, as the journal tells it: what changed, never the values. */
export interface Change {
  readonly cursor: Cursor;
  /** When it was committed (epoch ms); for people, not for order. */
  readonly at: number;
  readonly partition: Partition;
  readonly batchId?: string;
  readonly operations: readonly ChangeOperation[];
}

export type ChangeOperation =
  | {
      readonly op: 'put' | 'add';
      readonly kind: string;
      readonly id: string;
      readonly version: number;
      readonly created: boolean;
    }
  | { readonly op: 'delete'; readonly kind: string; readonly id: string }
  | { readonly op: 'append'; readonly log: string; readonly firstSeq: number; readonly count: number }
  | { readonly op: 'rewrite'; readonly log: string; readonly seq: number; readonly version: number }
  | { readonly op: 'truncate'; readonly log: string; readonly firstSeq: number; readonly lastSeq: number }
  | { readonly op: 'expire'; readonly at: number | null }
  | { readonly op: 'drop'; readonly expired: boolean };

export interface ChangePage {
  readonly changes: readonly Change[];
  /** Where to go on, also when the page is empty. */
  readonly cursor: Cursor;
  /**
   * Only from stores that hold changes back while a commit is under way that may come before them, and only at the end
   * of what they tell: there are such changes. Who goes by what changed and not by its order reads them from here, page
   * by page, until one is not full. They are told again in their places, with the same cursors. Nothing else takes this
   * cursor, and it is not to be kept.
   */
  readonly ahead?: Cursor;
}

/**
 * Asks for the text documents of one place: a partition, or a scope over partitions. Nothing outside it counts, neither
 * for what is found nor for its score, nor for the time that it takes.
 */
export interface TextQuery {
  readonly tenant: string;
  readonly collection: string;
  readonly within: { readonly partition: Partition } | { readonly scope: string };
  /** At most 64, none twice. */
  readonly terms: readonly string[];
  /** How many documents at most, 1000 or fewer. */
  readonly limit: number;
  /** Gives the documents' vectors of this model; a store with `vectorSearch` finds documents by the nearest as well. */
  readonly near?: { readonly model: string; readonly values: string };
}

export interface TextMatches {
  /** How many documents there are in all. */
  readonly documents: number;
  /** In how many of them each term is, in the query's order. */
  readonly counts: readonly number[];
  /**
   * The documents with the greatest sums of their terms' idf, ln(1 + (documents - count + 0.5) / (count + 0.5)), ties by
   * order, the greater first, then by partition and id; the newest others (by order) where that leaves room; and, beyond
   * the limit, as many as it is at most that are nearest by their best vector's cosine.
   */
  readonly hits: readonly TextHit[];
}

export interface TextHit {
  readonly partition: Partition;
  readonly id: string;
  readonly order: number;
  /** The sum of its terms' idf; 0 for one that holds none of them. */
  readonly score: number;
  readonly value: JsonText;
  readonly vectors?: readonly TextVector[];
}

/** Named differences between stores. The conformance suite derives its skips from them. */
export interface StoreFeatures {
  /** Survives the process. */
  readonly persistent: boolean;
  /** Several processes may use it at once and see each other's commits. */
  readonly shared: boolean;
  /** Has a full-text index: `searchText`, and the operations that feed it. */
  readonly textSearch: boolean;
  /** Finds text documents by their vectors; where not, those found by terms are given with their vectors. */
  readonly vectorSearch: boolean;
}

export interface StoreHealth {
  readonly ok: boolean;
  /** What is wrong, where something is. */
  readonly problems: readonly string[];
  /** Facts for people: versions, sizes, settings. Never secrets. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

/** How commits have gone together since the store was opened. */
export interface CommitGroups {
  /** How many groups went out, and how many batches were in them. */
  readonly groups: number;
  readonly batches: number;
  /** Batches in the largest one. */
  readonly largest: number;
  /** How many groups had 1 batch, up to 2, up to 4, … up to 1024, and more: each one counts once. */
  readonly sizes: readonly number[];
  /** Batches that wait for their group to go out. */
  readonly waiting: number;
}

/** What a store can do by itself about a server that was away. */
export interface StoreRecovery {
  /** Asks the server at once, over new connections. @throws StoreUnavailableError where it is still away */
  reconnect?(): Promise<void>;
  /**
   * Brings what a fallback holds into the store.
   * @returns how many batches are left, those that come in meanwhile among them
   * @throws StoreUnavailableError where the store is still away
   */
  replay?(): Promise<number>;
}

/** A durable home for partitions. Every method of a closed store throws `ClosedError`. */
export interface Store {
  readonly name: string;
  readonly features: StoreFeatures;
  /** For monitoring, where the store commits batches in groups. */
  readonly groups?: CommitGroups | undefined;
  /** Where there is anything that can be done. */
  readonly recovery?: StoreRecovery | undefined;
  /** Commits a batch; resolves only when it is as durable as the store was asked to be. */
  commit(batch: Batch): Promise<Receipt>;
  /** Records by key, in the keys' order. */
  getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]>;
  listRecords(partition: Partition, kind: string | undefined, range: RecordRange): Promise<Page<Stored>>;
  listLogs(partition: Partition): Promise<LogInfo[]>;
  /** Reads part of a log from either end; costs O(entries returned), whatever the log's length. */
  readLog(partition: Partition, log: string, range: LogRange): Promise<LogPage>;
  queryIndex(range: IndexRange): Promise<Page<IndexHit>>;
  /** The journal after a cursor. `'oldest'` starts at what is still kept, `'newest'` gives an empty page at the end. */
  readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage>;
  /** Resolves when there is a change after the cursor; rejects with the signal's reason when that is aborted. */
  waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void>;
  /**
   * Forgets the journal up to and with this cursor, but nothing that comes after one of `keep`. Reading from before
   * it is then `CursorExpiredError`. A cursor in `keep` that is older than the journal, or another store's, holds
   * nothing back.
   */
  trimChanges(upTo: Cursor, keep?: readonly Cursor[]): Promise<void>;
  /** Full-text candidates; the core ranks them. Only where `features.textSearch` says so. */
  searchText(query: TextQuery): Promise<TextMatches>;
  health(): Promise<StoreHealth>;
  close(): Promise<void>;
}
