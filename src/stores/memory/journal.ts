import { CursorExpiredError } from '../../core/errors.ts';
import type { Batch, Change, ChangeOperation, ChangePage, Cursor, Receipt } from '../../core/store.ts';
import { badCursor, batchKey } from '../shared/pages.ts';

/** The journal in memory: the position of a change is its number, counted from 1. */
export class Journal {
  #changes: Change[] = [];
  /** How many were trimmed away. */
  #trimmed = 0;
  readonly #receipts = new Map<string, { receipt: Receipt; position: number }>();

  get newest(): number {
    return this.#trimmed + this.#changes.length;
  }

  /** Tells a commit, and remembers its receipt where the batch has an id. */
  add(
    batch: Batch,
    at: number,
    operations: readonly ChangeOperation[],
    results: Receipt['results'],
  ): Receipt {
    const { partition, id } = batch;
    if (operations.length > 0) {
      const cursor = String(this.newest + 1);
      this.#changes.push({ cursor, at, partition: { ...partition }, operations, ...(id && { batchId: id }) });
    }
    const receipt = { cursor: String(this.newest), replayed: false, results };
    if (id) this.#receipts.set(batchKey(batch), { receipt, position: this.newest });
    return receipt;
  }

  /** The receipt of a batch that was committed before. */
  replay(batch: Batch): Receipt | undefined {
    const known = batch.id === undefined ? undefined : this.#receipts.get(batchKey(batch));
    return known && { ...known.receipt, replayed: true };
  }

  read(after: Cursor | 'oldest' | 'newest', limit: number): ChangePage {
    const position =
      after === 'oldest' ? this.#trimmed : after === 'newest' ? this.newest : this.position(after);
    const start = position - this.#trimmed;
    const changes = this.#changes.slice(start, start + limit);
    return { changes, cursor: changes.at(-1)?.cursor ?? String(position) };
  }

  trim(upTo: Cursor, keep: readonly Cursor[]): void {
    const kept = keep
      .map(numberOf)
      .filter((position) => position >= this.#trimmed && position <= this.newest);
    const position = Math.min(this.position(upTo), ...kept);
    this.#changes = this.#changes.slice(position - this.#trimmed);
    this.#trimmed = position;
    for (const [id, known] of this.#receipts) if (known.position <= position) this.#receipts.delete(id);
  }

  /** @throws CursorExpiredError, InvalidInputError */
  position(cursor: Cursor): number {
    const position = numberOf(cursor);
    if (!(position <= this.newest)) {
      throw badCursor();
    }
    if (position < this.#trimmed)
      throw new CursorExpiredError({ after: cursor, oldest: String(this.#trimmed) });
    return position;
  }
}

function numberOf(cursor: Cursor): number {
  return /^\d+$/.test(cursor) ? Number(cursor) : Number.NaN;
}
