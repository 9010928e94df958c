import { isUnavailable, StoreUnavailableError } from '../../core/errors.ts';

/** A call may take so many times longer than a silent store is waited for, while others are answered. */
const LONGEST = 5;
/** So many looks are a store's time to answer. A process that was held up has not looked, and takes nobody for silent. */
const LOOKS = 8;

interface Flight {
  readonly since: number;
  /** The look after which it began. */
  readonly look: number;
  fail(error: unknown): void;
  /** Has it done elsewhere. @returns false where that can't be */
  takeOver(): boolean;
}

/**
 * Calls of the store that are under way. When the store answers none of them for a while, it is lost: those that can be
 * done elsewhere are, in the order in which they were called. One call that takes long is no sign of that.
 */
export class Flights {
  /** In the order of their calls. */
  readonly #flights = new Set<Flight>();
  readonly #timeoutMs: number;
  readonly #onLost: (error: StoreUnavailableError) => void;
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;
  /** The look after which the store last answered anything. */
  #heard = 0;

  /**
   * @param timeoutMs how long a store may answer nothing
   * @param onLost hears of every call that did not reach the store, before the call fails. It calls {@link abandon}
   */
  constructor(timeoutMs: number, onLost: (error: StoreUnavailableError) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onLost = onLost;
  }

  /**
   * Makes a call. @param elsewhere how it can be done without the store; gives undefined where it can't
   * @throws StoreUnavailableError when the store is lost, or gives no answer
   */
  track<T>(call: () => Promise<T>, elsewhere: () => Promise<T> | undefined = () => undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const flight: Flight = {
        since: performance.now(),
        look: this.#looks,
        fail: reject,
        takeOver() {
          const instead = elsewhere();
          if (instead) resolve(instead);
          return instead !== undefined;
        },
      };
      this.#flights.add(flight);
      this.#timer ??= setInterval(() => this.#look(), this.#timeoutMs / LOOKS);
      attempt(call).then(
        (value) => {
          this.#heard = this.#looks;
          if (this.#flights.delete(flight)) resolve(value);
        },
        (error: unknown) => {
          if (isUnavailable(error)) return this.#lose(flight, error);
          this.#heard = this.#looks;
          if (this.#flights.delete(flight)) reject(error);
        },
      );
    });
  }

  /** Has all that can be done elsewhere done there. The store's answers to these come too late. */
  abandon(): void {
    for (const flight of [...this.#flights]) if (flight.takeOver()) this.#flights.delete(flight);
  }

  /** Fails all that are under way. */
  failAll(error: unknown): void {
    for (const flight of [...this.#flights]) {
      this.#flights.delete(flight);
      flight.fail(error);
    }
  }

  #look(): void {
    const looks = ++this.#looks;
    for (const flight of [...this.#flights]) {
      const { since, look } = flight;
      const silent = looks - Math.max(look, this.#heard) > LOOKS;
      if (!silent && looks - look <= LONGEST * LOOKS) break;
      const ms = Math.round(performance.now() - since);
      this.#lose(flight, new StoreUnavailableError(`the store gave no answer in ${ms} ms`));
    }
    if (this.#flights.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #lose(flight: Flight, error: StoreUnavailableError): void {
    if (!this.#flights.has(flight)) return;
    this.#onLost(error);
    if (this.#flights.delete(flight)) flight.fail(error);
  }
}

function attempt<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}
