import { StoreUnavailableError } from '../../core/errors.ts';
import type { Store } from '../../core/store.ts';

/** The store itself: there already, or opened as soon as it can be reached. */
export class Source {
  readonly #open: () => Promise<Store>;
  #opening: Promise<Store> | undefined;
  #store: Store | undefined;
  #closed = false;

  constructor(store: Store | (() => Promise<Store>)) {
    if (typeof store !== 'function') this.#store = store;
    this.#open = typeof store === 'function' ? store : async () => store;
  }

  /** The store, where it has been opened. */
  get opened(): Store | undefined {
    return this.#store;
  }

  /** The store. @throws StoreUnavailableError where it has never been reached so far */
  get store(): Store {
    if (!this.#store) throw new StoreUnavailableError('the store has not been reached yet');
    return this.#store;
  }

  /** Opens it, unless it is open; a second call joins the first. */
  async open(): Promise<Store> {
    if (this.#store) return this.#store;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    const store = await this.#opening;
    this.#store = store;
    // Somebody has closed this while it was being opened.
    if (this.#closed) await store.close();
    return store;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#store?.close();
  }
}

/** What a promise gives, or undefined when it takes too long (milliseconds). */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
