/** Each wait is twice the one before, up to so many times the first. */
const LONGEST = 16;
/** After so many failures of one batch it is not tried again. */
const MAX_TRIES = 10;

interface Failure {
  /** The batch that fails; undefined where the spool itself does. */
  readonly batch: string | undefined;
  readonly tries: number;
  /** When to try again, as `performance.now()` tells time. */
  readonly until: number;
  readonly error: unknown;
}

/** Partitions whose replay fails though the store answers: each is tried again after a while, and holds up no other. */
export class SetAside {
  readonly #firstMs: number;
  readonly #failures = new Map<string, Failure>();

  /** @param firstMs the first wait */
  constructor(firstMs: number) {
    this.#firstMs = firstMs;
  }

  get size(): number {
    return this.#failures.size;
  }

  /** Why a partition is to be left alone for now; undefined where it isn't. */
  waiting(key: string): { error: unknown } | undefined {
    const failure = this.#failures.get(key);
    return failure && performance.now() < failure.until ? failure : undefined;
  }

  /** Notes a failure. @returns whether it is the partition's first since it last went well */
  failed(key: string, batch: string | undefined, error: unknown): boolean {
    const before = this.#failures.get(key);
    const tries = before && before.batch === batch ? before.tries + 1 : 1;
    const waitMs = this.#firstMs * Math.min(2 ** (tries - 1), LONGEST);
    this.#failures.set(key, { batch, tries, until: performance.now() + waitMs, error });
    return before === undefined;
  }

  /** Whether a batch that fails now has been tried often enough. */
  isLastTry(key: string, batch: string): boolean {
    const failure = this.#failures.get(key);
    return failure?.batch === batch && failure.tries >= MAX_TRIES - 1;
  }

  /** A partition has been replayed. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Everything has been replayed, be it by another process. */
  clear(): void {
    this.#failures.clear();
  }
}
