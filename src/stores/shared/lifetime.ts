import { ClosedError } from '../../core/errors.ts';

/** Whether something is still open; it is closed once, however often that is asked for. */
export class Lifetime {
  readonly #what: string;
  #closing: Promise<void> | undefined;

  constructor(what: string) {
    this.#what = what;
  }

  /** @throws ClosedError from the moment on that {@link end} was called */
  check(): void {
    if (this.#closing) throw new ClosedError(this.#what);
  }

  end(close: () => Promise<void>): Promise<void> {
    // Closed for everybody before `close` takes its first step.
    this.#closing ??= Promise.resolve().then(close);
    return this.#closing;
  }
}
