import { CursorExpiredError, InvalidInputError } from '../../core/errors.ts';
import type { Change, ChangeOperation, ChangePage, Cursor, Partition, Receipt } from '../../core/store.ts';
import type { LogState } from './catalog.ts';
import type { Database, Statement } from './database.ts';

/** A line of the journal as stored: log operations also carry where the log stands after them. */
export type StoredOperation = ChangeOperation & { state?: LogState };

export interface StoredChange {
  partition: Partition;
  batchId?: string;
  operations: StoredOperation[];
}

/** One row a group commit. */
interface Row {
  id: number;
  at: number;
  changes: string;
}

/** A position: the first `count` changes of row `row` are behind it, and all rows before. */
interface Position {
  row: number;
  count: number;
}

const FAR_BEHIND = 256;

/** The journal: a row for each group commit, and a cursor that points between two changes, `row.count`. */
export class Journal {
  /** The newest row that this process has taken in. */
  seen = 0;
  readonly #add: Statement;
  readonly #since: Statement;
  readonly #from: Statement;
  readonly #newest: Statement;
  readonly #last: Statement;
  readonly #trimmed: Statement;
  readonly #setTrimmed: Statement;
  readonly #deleteRows: Statement;
  readonly #deleteBatches: Statement;
  readonly #findBatch: Statement;
  readonly #addBatch: Statement;

  constructor(db: Database) {
    this.#add = db.prepare('INSERT INTO journal (id, at, changes) VALUES (?, ?, ?)');
    this.#since = db.prepare(`SELECT id, changes FROM journal WHERE id > ? ORDER BY id LIMIT ${FAR_BEHIND + 1}`);
    this.#from = db.prepare('SELECT id, at, changes FROM journal WHERE id >= ? ORDER BY id');
    this.#newest = db.prepare('SELECT max(id) FROM journal').pluck();
    this.#last = db.prepare('SELECT id, changes FROM journal ORDER BY id DESC LIMIT 1');
    this.#trimmed = db.prepare("SELECT value FROM meta WHERE name = 'trimmed'").pluck();
    this.#setTrimmed = db.prepare("UPDATE meta SET value = ? WHERE name = 'trimmed'");
    this.#deleteRows = db.prepare('DELETE FROM journal WHERE id <= ? AND id < (SELECT max(id) FROM journal)');
    this.#deleteBatches = db.prepare('DELETE FROM batches WHERE journal <= ?');
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
    return (this.#newest.get() as number | null) ?? 0;
  }

  /** Writes the row of a group commit. */
  add(id: number, at: number, changes: readonly string[]): void {
    this.#add.run(id, at, `[${changes.join(',')}]`);
    this.seen = id;
  }

  replay(batchId: string): Receipt | undefined {
    const receipt = this.#findBatch.get(batchId) as string | undefined;
    return receipt === undefined ? undefined : { ...(JSON.parse(receipt) as Receipt), replayed: true };
  }

  remember(batchId: string, row: number, receipt: Receipt): void {
    this.#addBatch.run(batchId, row, JSON.stringify(receipt));
  }

  read(after: Cursor | 'oldest' | 'newest', limit: number): ChangePage {
    let position = after === 'oldest' ? this.#oldest() : after === 'newest' ? this.newest() : this.check(after);
    const changes: Change[] = [];
    for (const row of this.#from.iterate(position.row) as IterableIterator<Row>) {
      const stored = parse(row.changes);
      for (let i = row.id === position.row ? position.count : 0; i < stored.length; i++) {
        if (changes.length === limit) return { changes, cursor: cursorOf(position) };
        position = { row: row.id, count: i + 1 };
        changes.push(toChange(position, row.at, stored[i]!));
      }
    }
    return { changes, cursor: cursorOf(position) };
  }

  /** The end of the journal. */
  newest(): Position {
    const row = this.#last.get() as Row | undefined;
    return row ? { row: row.id, count: parse(row.changes).length } : { row: 0, count: 0 };
  }

  trim(upTo: Cursor): void {
    const position = this.check(upTo);
    const row = (this.#from.get(position.row) as Row | undefined)?.changes;
    const whole = row !== undefined && position.count >= parse(row).length;
    // The newest row always stays: its id is what the next one counts on from.
    this.#deleteRows.run(whole ? position.row : position.row - 1);
    this.#deleteBatches.run(whole ? position.row : position.row - 1);
    this.#setTrimmed.run(cursorOf(position));
  }

  /** @throws CursorExpiredError, InvalidInputError for a cursor that leads nowhere */
  check(cursor: Cursor): Position {
    const position = positionOf(cursor);
    if (!position || position.row > this.newestRow) {
      throw new InvalidInputError('bad cursor', [{ path: 'after', message: 'is not a cursor that this store gave' }]);
    }
    const oldest = this.#oldest();
    if (position.row < oldest.row || (position.row === oldest.row && position.count < oldest.count)) {
      throw new CursorExpiredError({ after: cursor, oldest: cursorOf(oldest) });
    }
    return position;
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

function toChange(position: Position, at: number, { partition, batchId, operations }: StoredChange): Change {
  const told = operations.map(({ state: _, ...operation }) => operation as ChangeOperation);
  return { cursor: cursorOf(position), at, partition, operations: told, ...(batchId && { batchId }) };
}

/** `[tenant, type, id, batch id or 0, …operations]`: a row holds one for each batch of its group, so it is kept short. */
type PackedChange = [string, string, string, string | 0, ...PackedOperation[]];
type PackedOperation = [string, ...(string | number | null)[]];

/** Packs a change as JSON text. */
export function pack({ partition, batchId, operations }: StoredChange): string {
  return JSON.stringify([partition.tenant, partition.type, partition.id, batchId ?? 0, ...operations.map(packOperation)]);
}

function packOperation(operation: StoredOperation): PackedOperation {
  switch (operation.op) {
    case 'put':
    case 'add':
      return [operation.op, operation.kind, operation.id, operation.version, operation.created ? 1 : 0];
    case 'delete':
      return ['delete', operation.kind, operation.id];
    case 'append':
      return ['a', operation.log, operation.firstSeq, operation.count, ...packState(operation.state!)];
    case 'rewrite':
      return ['rewrite', operation.log, operation.seq, operation.version];
    case 'truncate':
      return ['truncate', operation.log, operation.firstSeq, operation.lastSeq, ...packState(operation.state!)];
    case 'expire':
      return ['expire', operation.at];
    case 'drop':
      return ['drop', operation.expired ? 1 : 0];
  }
}

function packState({ pk, first, last, count, head }: LogState): number[] {
  return [pk, first, last, count, head];
}

function unpack([tenant, type, id, batchId, ...operations]: PackedChange): StoredChange {
  const change = { partition: { tenant, type, id }, operations: operations.map(unpackOperation) };
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
