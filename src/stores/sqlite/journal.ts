import { CursorExpiredError, InvalidInputError } from '../../core/errors.ts';
import type { Change, ChangeOperation, ChangePage, Cursor, Partition, Receipt } from '../../core/store.ts';
import type { Database, Statement } from './database.ts';

/** Where a log stands. `head` is the id of its newest entry (0: none); `last` is the last seq given out. */
export interface LogState {
  pk: number;
  first: number;
  last: number;
  count: number;
  head: number;
}

/** A line of the journal as stored: log operations also carry where the log stands after them. */
export type StoredOperation = ChangeOperation & { state?: LogState };

export interface StoredChange {
  /** The partition's primary key. */
  partition: number;
  batchId?: string;
  operations: StoredOperation[];
}

/** One row a group commit. */
interface Row {
  id: number;
  at: number;
  count: number;
  changes: string;
}

/** A position: the first `count` changes of row `row` are behind it, and all rows before. */
interface Position {
  row: number;
  count: number;
}

/** So many rows behind, starting over is cheaper than catching up. */
const FAR_BEHIND = 256;
const ROW = 'SELECT id, seq AS at, previous AS count, value AS changes FROM entries';

/**
 * The journal: a row for each group commit, among the entries, as the last one that the commit adds; so the newest
 * row of the table is always one of the journal's. A cursor points between two changes: `row.count`.
 */
export class Journal {
  /** The newest row that this process has taken in. */
  seen = 0;
  readonly #since: Statement;
  readonly #from: Statement;
  readonly #newestId: Statement;
  readonly #newest: Statement;
  readonly #trimmed: Statement;
  readonly #setTrimmed: Statement;
  readonly #deleteRows: Statement;
  readonly #deleteBatches: Statement;
  readonly #deleteNames: Statement;
  readonly #name: Statement;
  readonly #findBatch: Statement;
  readonly #addBatch: Statement;

  constructor(db: Database) {
    this.#since = db.prepare(`${ROW} WHERE id > ? AND log = 0 ORDER BY id LIMIT ${FAR_BEHIND + 1}`);
    this.#from = db.prepare(`${ROW} WHERE id >= ? AND log = 0 ORDER BY id LIMIT ?`);
    this.#newestId = db.prepare('SELECT max(id) FROM entries').pluck();
    this.#newest = db.prepare(`${ROW} ORDER BY id DESC LIMIT 1`);
    this.#trimmed = db.prepare("SELECT value FROM meta WHERE name = 'trimmed'").pluck();
    this.#setTrimmed = db.prepare("UPDATE meta SET value = ? WHERE name = 'trimmed'");
    this.#deleteRows = db.prepare(
      'DELETE FROM entries WHERE id >= ? AND id <= ? AND log = 0 AND id < (SELECT max(id) FROM entries)',
    );
    this.#deleteBatches = db.prepare('DELETE FROM batches WHERE journal <= ?');
    this.#deleteNames = db.prepare('DELETE FROM dropped_partitions WHERE journal <= ?');
    this.#name = db.prepare(
      `SELECT tenant, type, id FROM partitions WHERE pk = @pk
       UNION ALL SELECT tenant, type, id FROM dropped_partitions WHERE pk = @pk`,
    );
    this.#findBatch = db.prepare('SELECT receipt FROM batches WHERE id = ?').pluck();
    this.#addBatch = db.prepare('INSERT INTO batches VALUES (?, ?, ?)');
  }

  /** Gives the rows that others wrote since, once each; false when there are so many that starting over is cheaper. */
  catchUp(follow: (change: StoredChange) => void): boolean {
    const rows = this.#since.all(this.seen) as Row[];
    if (rows.length > FAR_BEHIND) return false;
    for (const row of rows) {
      for (const change of parse(row.changes)) follow(change);
      this.seen = row.id;
    }
    return true;
  }

  /** Whether rows were written that {@link seen} does not know of. */
  get moved(): boolean {
    return this.newestRow > this.seen;
  }

  get newestRow(): number {
    return (this.#newestId.get() as number | null) ?? 0;
  }

  replay(batchId: string): Receipt | undefined {
    const receipt = this.#findBatch.get(batchId) as string | undefined;
    return receipt === undefined ? undefined : { ...(JSON.parse(receipt) as Receipt), replayed: true };
  }

  remember(batchId: string, row: number, receipt: Receipt): void {
    this.#addBatch.run(batchId, row, JSON.stringify(receipt));
  }

  read(after: Cursor | 'oldest' | 'newest', limit: number): ChangePage {
    let position =
      after === 'oldest' ? this.#oldest() : after === 'newest' ? this.newest() : this.check(after);
    const changes: Change[] = [];
    // Each row has at least one change, but for the first, which the cursor may have behind it.
    for (const row of this.#from.all(position.row, limit + 1) as Row[]) {
      const start = row.id === position.row ? position.count : 0;
      if (start === row.count) continue;
      const stored = parse(row.changes);
      for (let i = start; i < stored.length; i++) {
        if (changes.length === limit) return { changes, cursor: cursorOf(position) };
        position = { row: row.id, count: i + 1 };
        changes.push(this.#toChange(position, row.at, stored[i]!));
      }
    }
    return { changes, cursor: cursorOf(position) };
  }

  /** The end of the journal. */
  newest(): Position {
    const row = this.#newest.get() as Row | undefined;
    return row ? { row: row.id, count: row.count } : { row: 0, count: 0 };
  }

  trim(upTo: Cursor): void {
    const position = this.check(upTo);
    const row = this.#from.get(position.row, 1) as Row | undefined;
    const last = row?.id === position.row && position.count >= row.count ? position.row : position.row - 1;
    // The newest row always stays: its id is what the next one counts on from.
    this.#deleteRows.run(this.#oldest().row, last);
    this.#deleteBatches.run(last);
    this.#deleteNames.run(last);
    this.#setTrimmed.run(cursorOf(position));
  }

  /** @throws CursorExpiredError, InvalidInputError for a cursor that leads nowhere */
  check(cursor: Cursor): Position {
    const position = positionOf(cursor);
    if (!position || position.row > this.newestRow) {
      throw new InvalidInputError('bad cursor', [
        { path: 'after', message: 'is not a cursor that this store gave' },
      ]);
    }
    const oldest = this.#oldest();
    if (position.row < oldest.row || (position.row === oldest.row && position.count < oldest.count)) {
      throw new CursorExpiredError({ after: cursor, oldest: cursorOf(oldest) });
    }
    return position;
  }

  #toChange(position: Position, at: number, { partition: pk, batchId, operations }: StoredChange): Change {
    const partition = this.#name.get({ pk }) as Partition;
    const told = operations.map(({ state: _, ...operation }) => operation as ChangeOperation);
    return { cursor: cursorOf(position), at, partition, operations: told, ...(batchId && { batchId }) };
  }

  #oldest(): Position {
    return positionOf(this.#trimmed.get() as string)!;
  }
}

export function cursorOf({ row, count }: Position): Cursor {
  return `${row}.${count}`;
}

function positionOf(cursor: Cursor): Position | undefined {
  const match = /^(\d{1,15})\.(\d{1,9})$/.exec(cursor);
  return match ? { row: Number(match[1]), count: Number(match[2]) } : undefined;
}

function parse(changes: string): StoredChange[] {
  return (JSON.parse(changes) as PackedChange[]).map(unpack);
}

/** `[partition, batch id or 0, …operations]`: a row holds one for each batch of its group, so it is kept short. */
type PackedChange = [number, string | 0, ...PackedOperation[]];
type PackedOperation = [string, ...(string | number | null)[]];

/** Packs a change as JSON text. */
export function pack({ partition, batchId, operations }: StoredChange): string {
  return `[${partition},${batchId === undefined ? 0 : JSON.stringify(batchId)},${operations.map(packOperation).join(',')}]`;
}

function packOperation(operation: StoredOperation): string {
  const packed = (...fields: PackedOperation) => JSON.stringify(fields);
  switch (operation.op) {
    case 'append':
      // By far the most common: written without a detour.
      return `["a",${JSON.stringify(operation.log)},${operation.firstSeq},${operation.count},${packState(operation.state!)}]`;
    case 'put':
    case 'add':
      return packed(operation.op, operation.kind, operation.id, operation.version, operation.created ? 1 : 0);
    case 'delete':
      return packed('delete', operation.kind, operation.id);
    case 'rewrite':
      return packed('rewrite', operation.log, operation.seq, operation.version);
    case 'truncate': {
      const { log, firstSeq, lastSeq, state } = operation;
      return `["truncate",${JSON.stringify(log)},${firstSeq},${lastSeq},${packState(state!)}]`;
    }
    case 'expire':
      return packed('expire', operation.at);
    case 'drop':
      return packed('drop', operation.expired ? 1 : 0);
  }
}

function packState({ pk, first, last, count, head }: LogState): string {
  return `${pk},${first},${last},${count},${head}`;
}

function unpack([partition, batchId, ...operations]: PackedChange): StoredChange {
  const change = { partition, operations: operations.map(unpackOperation) };
  return batchId === 0 ? change : { ...change, batchId };
}

function unpackOperation([op, ...fields]: PackedOperation): StoredOperation {
  const [text, a, b, ...rest] = fields as [string, number, number, ...number[]];
  const [pk, first, last, count, head] = rest as [number, number, number, number, number];
  const state = { pk, first, last, count, head };
  switch (op) {
    case 'put':
    case 'add':
      return { op, kind: text, id: String(a), version: b, created: rest[0] === 1 };
    case 'delete':
      return { op, kind: text, id: String(a) };
    case 'a':
      return { op: 'append', log: text, firstSeq: a, count: b, state };
    case 'rewrite':
      return { op, log: text, seq: a, version: b };
    case 'truncate':
      return { op, log: text, firstSeq: a, lastSeq: b, state };
    case 'expire':
      return { op, at: fields[0] as number | null };
    default:
      return { op: 'drop', expired: fields[0] === 1 };
  }
}
