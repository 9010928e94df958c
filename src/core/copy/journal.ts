import type { Change, ChangePage, Cursor, Store } from '../store.ts';

const CHANGES_AT_ONCE = 1000;

interface JournalPage {
  readonly changes: readonly Change[];
  /** The store holds them back: they are told again in their places. */
  readonly isAhead: boolean;
  /** Where to go on another time. What is ahead does not move it. */
  readonly cursor: Cursor;
}

/** All that a store's journal has after a cursor, page by page; at the end what the store holds back. */
export async function* journalPages(store: Store, after: Cursor): AsyncGenerator<JournalPage> {
  let place = after;
  let isAhead = false;
  for (let next: Cursor | undefined = after; next !== undefined; ) {
    const page: ChangePage = await store.readChanges(next, CHANGES_AT_ONCE);
    if (!isAhead) place = page.cursor;
    yield { changes: page.changes, isAhead, cursor: place };
    const isFull = page.changes.length === CHANGES_AT_ONCE;
    isAhead ||= !isFull;
    next = isFull ? page.cursor : page.ahead;
  }
}

/** The last change that a store's journal has, also where the store holds it back. */
export async function journalEnd(store: Store): Promise<Cursor> {
  let { cursor: end } = await store.readChanges('newest', 0);
  for await (const { changes } of journalPages(store, end)) end = changes.at(-1)?.cursor ?? end;
  return end;
}

/** Reads a store's journal and tells each change once: what was told ahead is passed over in its place. */
export class News {
  readonly #store: Store;
  /** What was told ahead, and not in its place yet. */
  readonly #ahead = new Set<Cursor>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** What is new after a cursor; pages may be empty. */
  async *after(cursor: Cursor): AsyncGenerator<Omit<JournalPage, 'isAhead'>> {
    for await (const { changes, isAhead, cursor: place } of journalPages(this.#store, cursor)) {
      const isNew = (change: Change) =>
        isAhead ? this.#isFirst(change) : !this.#ahead.delete(change.cursor);
      yield { changes: changes.filter(isNew), cursor: place };
    }
  }

  #isFirst({ cursor }: Change): boolean {
    const { size } = this.#ahead;
    return this.#ahead.add(cursor).size > size;
  }
}
