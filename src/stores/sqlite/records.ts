import type {
  IndexEntry,
  IndexHit,
  IndexRange,
  Operation,
  OperationResult,
  Page,
  Partition,
  RecordRange,
  Stored,
} from '../../core/store.ts';
import { EXPIRY_INDEX, PARTITION_INDEX } from '../../core/store.ts';
import { addCounters } from '../shared/conditions.ts';
import { decodePageToken, toPage, toStored } from '../shared/pages.ts';
import type { PartitionState } from './catalog.ts';
import type { Database, Statement } from './database.ts';

interface RecordRow {
  kind: string;
  id: string;
  version: number;
  counter: number;
  indexed: number;
  value: string;
}

/** So many versions are remembered of one partition. */
const MAX_VERSIONS = 1024;

/** Records and their index entries. */
export class Records {
  readonly #db: Database;
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #addIndex: Statement;
  readonly #indexesOf: Statement;
  readonly #deleteIndexes: Statement;
  readonly #version: Statement;

  constructor(db: Database) {
    this.#db = db;
    const where = 'WHERE partition = ? AND kind = ? AND id = ?';
    this.#get = db.prepare(`SELECT kind, id, version, counter, indexed, value FROM records ${where}`);
    this.#version = db.prepare(`SELECT version FROM records ${where}`).pluck();
    this.#put = db.prepare('INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#delete = db.prepare(`DELETE FROM records ${where}`);
    this.#addIndex = db.prepare('INSERT OR REPLACE INTO index_entries VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#indexesOf = db.prepare(
      `SELECT name AS "index", key, position AS "order" FROM index_entries ${where}`,
    );
    this.#deleteIndexes = db.prepare(`DELETE FROM index_entries ${where}`);
  }

  get(partition: PartitionState, kind: string, id: string): RecordRow | undefined {
    return this.#get.get(partition.pk, kind, id) as RecordRow | undefined;
  }

  /** The version of a record, remembered: conditions on the same records come again and again. */
  version(partition: PartitionState, kind: string, id: string): number | undefined {
    const { versions } = partition;
    const name = `${kind}\0${id}`;
    if (versions.has(name)) return versions.get(name);
    const version = this.#version.get(partition.pk, kind, id) as number | undefined;
    if (versions.size >= MAX_VERSIONS) versions.clear();
    versions.set(name, version);
    return version;
  }

  put(
    partition: PartitionState,
    tenant: string,
    put: Operation & { op: 'put' },
    next: number,
  ): OperationResult {
    const { kind, id, value, indexes = [], version = next } = put;
    const before = this.get(partition, kind, id);
    if (before?.indexed) this.#deleteIndexes.run(partition.pk, kind, id);
    this.#put.run(partition.pk, kind, id, version, put.counter ? 1 : 0, indexes.length > 0 ? 1 : 0, value);
    for (const entry of indexes) this.#index(partition, tenant, kind, id, entry);
    noteVersion(partition, kind, id, version);
    return { version, created: before === undefined };
  }

  add(partition: PartitionState, add: Operation & { op: 'add' }, version: number): OperationResult {
    const { kind, id, deltas } = add;
    const before = this.get(partition, kind, id);
    const counters = addCounters(before ? JSON.parse(before.value) : {}, deltas);
    this.#put.run(partition.pk, kind, id, version, 1, 0, JSON.stringify(counters));
    noteVersion(partition, kind, id, version);
    return { version, created: before === undefined, counters };
  }

  delete(partition: PartitionState, { kind, id }: Operation & { op: 'delete' }): OperationResult {
    const before = this.get(partition, kind, id);
    if (!before) return { count: 0 };
    if (before.indexed) this.#deleteIndexes.run(partition.pk, kind, id);
    this.#delete.run(partition.pk, kind, id);
    noteVersion(partition, kind, id, undefined);
    return { count: 1 };
  }

  /** Removes all records of a partition that is dropped. */
  drop(pk: number): void {
    this.#db.prepare('DELETE FROM index_entries WHERE partition = ?').run(pk);
    this.#db.prepare('DELETE FROM records WHERE partition = ?').run(pk);
  }

  list(partition: Partition, pk: number, kind: string | undefined, range: RecordRange): Page<Stored> {
    const direction = range.reverse ? 'DESC' : 'ASC';
    const where = ['partition = @pk'];
    if (kind !== undefined) where.push('kind = @kind');
    const position = range.after === undefined ? [] : decodePageToken(range.after, 2);
    if (range.after !== undefined)
      where.push(`(kind, id) ${range.reverse ? '<' : '>'} (@afterKind, @afterId)`);
    const rows = this.#db
      .prepare(
        `SELECT kind, id, version, counter, indexed, value FROM records WHERE ${where.join(' AND ')}
         ORDER BY kind ${direction}, id ${direction} LIMIT @limit`,
      )
      .all({ pk, kind, afterKind: position[0], afterId: position[1], limit: range.limit + 1 }) as RecordRow[];
    return toPage(
      rows,
      range.limit,
      (row) => [row.kind, row.id],
      (row) => (range.whole ? this.#toWhole(partition, pk, row) : toStored(partition, row)),
    );
  }

  #toWhole(partition: Partition, pk: number, row: RecordRow): Stored {
    const indexes = row.indexed ? (this.#indexesOf.all(pk, row.kind, row.id) as IndexEntry[]) : [];
    return { ...toStored(partition, row), indexes, counter: row.counter === 1 };
  }

  queryIndex(range: IndexRange): Page<IndexHit> {
    const source = sourceOf(range);
    const where = [...source.where];
    if (range.tenant !== undefined) where.push(`${source.tenant} = @tenant`);
    if (range.from !== undefined) where.push('position >= @from');
    if (range.to !== undefined) where.push('position <= @to');
    const position = range.after === undefined ? [] : decodePageToken(range.after, 4);
    const order = 'position, partition, kind, record';
    if (range.after !== undefined) where.push(`(${order}) ${range.reverse ? '<' : '>'} (@a, @b, @c, @d)`);
    const sorted = range.reverse ? order.replaceAll(',', ' DESC,').concat(' DESC') : order;
    const [a, b, c, d] = position;
    const rows = this.#db
      .prepare(
        `SELECT * FROM (${source.select}) WHERE ${where.join(' AND ') || 'true'} ORDER BY ${sorted} LIMIT @limit`,
      )
      .all({ ...range, tenant: range.tenant, a, b, c, d, limit: range.limit + 1 }) as IndexRow[];
    return toPage(rows, range.limit, (row) => [row.position, row.partition, row.kind, row.record], toHit);
  }

  #index(partition: PartitionState, tenant: string, kind: string, id: string, entry: IndexEntry): void {
    this.#addIndex.run(tenant, entry.index, entry.key, entry.order, partition.pk, kind, id);
  }
}

/** Keeps a remembered version right. Those that no condition ever asked for are not remembered. */
function noteVersion(
  { versions }: PartitionState,
  kind: string,
  id: string,
  version: number | undefined,
): void {
  const name = `${kind}\0${id}`;
  if (versions.has(name)) versions.set(name, version);
}

interface IndexRow {
  position: number;
  partition: number;
  kind: string;
  record: string;
  tenant: string;
  type: string;
  partition_id: string;
}

/** Where an index's rows come from: its own table, or what the partitions table says. */
function sourceOf(range: IndexRange): { select: string; where: string[]; tenant: string } {
  const names = 'p.tenant, p.type, p.id AS partition_id';
  const own = `p.pk AS partition, '' AS kind, '' AS record, ${names} FROM partitions p`;
  if (range.index === EXPIRY_INDEX) {
    return {
      select: `SELECT p.expires_at AS position, ${own} WHERE p.expires_at IS NOT NULL`,
      where: [],
      tenant: 'tenant',
    };
  }
  if (range.index === PARTITION_INDEX) {
    const ofType = range.key === '' ? '' : ' WHERE p.type = @key';
    return { select: `SELECT 0 AS position, ${own}${ofType}`, where: [], tenant: 'tenant' };
  }
  const select = `SELECT i.position, i.partition, i.kind, i.id AS record, i.tenant AS of_tenant, ${names}
    FROM index_entries i JOIN partitions p ON p.pk = i.partition WHERE i.name = @index AND i.key = @key`;
  return { select, where: [], tenant: 'of_tenant' };
}

function toHit(row: IndexRow): IndexHit {
  const partition = { tenant: row.tenant, type: row.type, id: row.partition_id };
  return { partition, kind: row.kind, id: row.record, order: row.position };
}
