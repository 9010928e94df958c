import type { Operation, Partition, Store } from '../store.ts';

const MAX_OPERATIONS = 1000;
const MAX_BYTES = 2 * 1024 * 1024;

/** Gathers operations on one partition into batches of a sane size. */
export class Writer {
  readonly #store: Store;
  readonly #partition: Partition;
  readonly #signal: AbortSignal | undefined;
  #operations: Operation[] = [];
  #logs = new Set<string>();
  #bytes = 0;

  constructor(store: Store, partition: Partition, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#partition = partition;
    this.#signal = signal;
  }

  /** @param bytes how large its values are */
  async add(operation: Operation, bytes = 0): Promise<void> {
    // A batch writes a log once.
    if ('log' in operation && this.#logs.has(operation.log)) await this.flush();
    this.#operations.push(operation);
    if ('log' in operation) this.#logs.add(operation.log);
    this.#bytes += bytes;
    if (this.#bytes >= MAX_BYTES || this.#operations.length >= MAX_OPERATIONS) await this.flush();
  }

  /** Commits what was gathered. */
  async flush(): Promise<void> {
    this.#signal?.throwIfAborted();
    const operations = this.#operations;
    this.discard();
    if (operations.length > 0) await this.#store.commit({ partition: this.#partition, operations });
  }

  /** Forgets what was gathered since the last commit. */
  discard(): void {
    this.#operations = [];
    this.#logs = new Set();
    this.#bytes = 0;
  }
}
