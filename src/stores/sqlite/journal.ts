import { CursorExpiredError } from '../../core/errors.ts';
import type {
  Batch,
  Change,
  ChangeOperation,
  ChangePage,
  Cursor,
  Partition,
  Receipt,
} from '../../core/store.ts';
import { badCursor } from '../shared/pages.ts';
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

const ROWS_AT_ONCE = 16;
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
  readonly #rowUpTo: Statement;
  readonly #trimmed: Statement;
  readonly #setTrimmed: Statement;
  readonly #deleteRows: Statement;
  readonly #deleteBatches: Statement;
  readonly #deleteNames: Statement;
  readonly #name: Statement;
  readonly #findBatch: Statement;
  readonly #addBatch: Statement;

  constructor(db: Database) {
    this.#since = db.prepare(`${ROW} WHERE id > ? AND log = 0 ORDER BY id`);
    this.#from = db.prepare(`${ROW} WHERE id >= ? AND log = 0 ORDER BY id LIMIT ?`);
    this.#newestId = db.prepare('SELECT max(id) FROM entries').pluck();
    this.#newest = db.prepare(`${ROW} ORDER BY id DESC LIMIT 1`);
    this.#rowUpTo = db
      .prepare('SELECT id FROM entries WHERE id <= ? AND log = 0 ORDER BY id DESC LIMIT 1')
      .pluck();
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
    this.#findBatch = db
      .prepare('SELECT receipt FROM batches WHERE tenant = ? AND type = ? AND partition = ? AND id = ?')
      .pluck();
    this.#addBatch = db.prepare('INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)');
  }

  /** Gives what others committed after {@link seen}, once each. */
  catchUp(follow: (change: StoredChange) => void): void {
    for (const row of this.#since.all(this.seen) as Row[]) {
      for (const change of parse(row.changes)) follow(change);
      this.seen = row.id;
    }
  }

  get newestRow(): number {
    return (this.#newestId.get() as number | null) ?? 0;
  }

  /** The receipt of a batch that was committed before. */
  replay({ partition: { tenant, type, id: partition }, id }: Batch): Receipt | undefined {
    const receipt = this.#findBatch.get(tenant, type, partition, id) as string | undefined;
    return receipt === undefined ? undefined : { ...(JSON.parse(receipt) as Receipt), replayed: true };
  }

  remember({ partition: { tenant, type, id: partition }, id }: Batch, row: number, receipt: Receipt): void {
    this.#addBatch.run(tenant, type, partition, id, row, JSON.stringify(receipt));
  }

  read(after: Cursor | 'oldest' | 'newest', limit: number): ChangePage {
    let position =
      after === 'oldest' ? this.#oldest() : after === 'newest' ? this.newest() : this.check(after);
    const changes: Change[] = [];
    for (const row of this.#rows(position.row)) {
      const start = row.id === position.row ? position.count : 0;
      if (start >= row.count) continue;
      const stored = parse(row.changes);
      for (let i = start; i < stored.length; i++) {
        if (changes.length === limit) return { changes, cursor: cursorOf(position) };
        position = { row: row.id, count: i + 1 };
        changes.push(this.#toChange(position, row.at, stored[i]!));
      }
    }
    return { changes, cursor: cursorOf(position) };
  }

  /** Rows from the given one on; a few at a time, as each may tell of a thousand changes. */
  *#rows(from: number): Generator<Row> {
    for (let next = from; ; ) {
      const rows = this.#from.all(next, ROWS_AT_ONCE) as Row[];
      yield* rows;
      if (rows.length < ROWS_AT_ONCE) return;
      next = rows.at(-1)!.id + 1;
    }
  }

  /** The end of the journal. */
  newest(): Position {
    const row = this.#newest.get() as Row | undefined;
    return row ? { row: row.id, count: row.count } : { row: 0, count: 0 };
  }

  trim(upTo: Cursor, keep: readonly Cursor[]): void {
    const position = [upTo, ...keep.filter((cursor) => this.#keeps(cursor))]
      .map((cursor) => this.check(cursor))
      .reduce((a, b) => (isBefore(a, b) ? a : b));
    const row = this.#from.get(position.row, 1) as Row | undefined;
    const whole = row?.id !== position.row || position.count >= row.count;
    // The last row that is wholly behind the cursor.
    const last = (this.#rowUpTo.get(whole ? position.row : position.row - 1) as number | undefined) ?? 0;
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
      throw badCursor();
    }
    const oldest = this.#oldest();
    if (isBefore(position, oldest)) {
      throw new CursorExpiredError({ after: cursor, oldest: cursorOf(oldest) });
    }
    return position;
  }

  /** Whether the journal still has what comes after a cursor. */
  #keeps(cursor: Cursor): boolean {
    const position = positionOf(cursor);
    return position !== undefined && position.row <= this.newestRow && !isBefore(position, this.#oldest());
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

function isBefore(a: Position, b: Position): boolean {
  return a.row < b.row || (a.row === b.row && a.count < b.count);
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
